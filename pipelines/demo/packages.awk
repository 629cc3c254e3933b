# packages.awk - Debian's package metadata (apt-cache dumpavail) as three CSV files below DIR:
#
#   packages.csv     id,text      every package's name and synopsis, synopses once
#   train.csv        text,label   synopses and their sections, to learn from
#   test.csv         text,label   others, to measure with
#
#   apt-cache dumpavail | LC_ALL=C awk -v dir=DIR -f packages.awk
#
# A section counts from 100 synopses on, unless it says nothing of what a package is about; a fifth of it, 40 at most, is for the test, and
# 150 at most of the others for training. Which ones they are follows from a hash of the synopsis, so the same packages give the same files
# everywhere, and no synopsis is in both: upper and lower case are one, as they are to the model.

BEGIN {
    least = 100; most_test = 40; most_train = 150
    for (i = 1; i < 256; i++)
        code[sprintf("%c", i)] = i
    count = split("doc debug libdevel oldlibs metapackages localization tasks introspection", names, " ")
    for (i = 1; i <= count; i++)
        mute[names[i]] = 1
    RS = ""; FS = "\n"
}

{
    name = section = synopsis = ""
    for (i = 1; i <= NF; i++)
        if (name == "" && index($i, "Package: ") == 1)
            name = substr($i, 10)
        else if (section == "" && index($i, "Section: ") == 1)
            section = substr($i, 10)
        else if (synopsis == "" && $i ~ /^Description(-en)?: /)
            synopsis = substr($i, index($i, ": ") + 2)
    sub(/.*\//, "", section)
    sub(/[ \t\r]+$/, "", synopsis)
    if (name == "" || section == "" || synopsis == "" || tolower(synopsis) in seen)
        next
    seen[tolower(synopsis)] = 1
    total++
    id[total] = name; text[total] = synopsis; label[total] = section
    size[section]++
}

# Exact in the 53 bits of awk's numbers.
function hash(string,    h, i) {
    h = 5381
    for (i = 1; i <= length(string); i++)
        h = (h * 65599 + code[substr(string, i, 1)]) % 4294967296
    return h
}

function cell(string) {
    gsub(/"/, "\"\"", string)
    return string ~ /[",]/ ? "\"" string "\"" : string
}

END {
    if (total == 0) {
        print "no package metadata: run apt-get update" | "cat >&2"
        exit 1
    }
    print "id,text" >(dir "/packages.csv")
    print "text,label" >(dir "/train.csv")
    print "text,label" >(dir "/test.csv")
    sorter = "LC_ALL=C sort -k1,1 -k2,2n >" dir "/order.tmp"
    for (i = 1; i <= total; i++) {
        print cell(id[i]) "," cell(text[i]) >(dir "/packages.csv")
        if (size[label[i]] >= least && !(label[i] in mute))
            print label[i], sprintf("%.0f", hash(text[i])), i | sorter
    }
    close(sorter)
    RS = "\n"; FS = " "
    while ((getline line <(dir "/order.tmp")) > 0) {
        split(line, part, " ")
        section = part[1]; i = part[3]
        sections += !(section in taken)
        share = int(size[section] / 5)
        share = share < most_test ? share : most_test
        taken[section]++
        if (taken[section] <= share)
            print cell(text[i]) "," section >(dir "/test.csv")
        else if (taken[section] <= share + most_train)
            print cell(text[i]) "," section >(dir "/train.csv")
    }
    printf "%d packages, %d sections\n", total, sections
}
