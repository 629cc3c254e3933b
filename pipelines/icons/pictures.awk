# pictures.awk - lines of sha256sum over icon themes in; train.csv, val.csv and test.csv out, in `dir`: rows image,label.
#
# A theme's icon of a name is the file that is nearest to 64 pixels among those of 48 and more. Files of equal bytes, links above all, are one
# picture; its label is the name of it that most themes have. Labels of a single picture are left out. What is held out are names: all that some
# theme has the same picture for, directly or through others, lie on one side.

BEGIN {
    for (i = 32; i < 127; i++)
        code[sprintf("%c", i)] = i
}

# SUM  usr/share/icons/THEME/..., and in that a directory 48 or 48x48.
{
    sum = $1
    path = substr($0, length(sum) + 3)
    count = split(path, part, "/")
    name = part[count]
    sub(/\.png$/, "", name)
    size = 0
    for (i = 5; i < count; i++)
        if (part[i] ~ /^[0-9]+(x[0-9]+)?$/)
            size = part[i] + 0
    if (size < 48 || name ~ /-symbolic$/ || path ~ /animations|[", ]/)
        next
    away = size < 64 ? 64 - size : size - 64
    icon = part[4] "/" name
    if (!(icon in path_of))
        themes[name]++
    else if (away > away_of[icon] || (away == away_of[icon] && path > path_of[icon]))
        next
    name_of[icon] = name
    away_of[icon] = away
    path_of[icon] = path
    sum_of[icon] = sum
}

function root(name) {
    while (name in parent)
        name = parent[name]
    return name
}

# The first by name stands for all.
function join(a, b) {
    a = root(a)
    b = root(b)
    if (a < b)
        parent[b] = a
    else if (b < a)
        parent[a] = b
}

# 0 to 99
function hash(text,    i, h) {
    for (i = 1; i <= length(text); i++)
        h = (h * 31 + code[substr(text, i, 1)]) % 1000003
    return h % 100
}

END {
    for (icon in sum_of) {
        sum = sum_of[icon]
        name = name_of[icon]
        if (!(sum in label))
            label[sum] = name
        join(name, label[sum])
        if (themes[name] > themes[label[sum]] || (themes[name] == themes[label[sum]] && name < label[sum]))
            label[sum] = name
        if (!(sum in picture) || path_of[icon] < picture[sum])
            picture[sum] = path_of[icon]
    }
    for (sum in label)
        pictures[label[sum]]++
    for (sum in label)
        if (pictures[label[sum]] > 1) {
            h = hash(root(label[sum]))
            rows++
            print (h < 30 ? "test" : h < 45 ? "val" : "train"), picture[sum] "," label[sum] | ("LC_ALL=C sort >" dir "/sides")
        }
    close("LC_ALL=C sort >" dir "/sides")
    if (!rows) {
        print "pictures.awk: no picture of a name that two themes have" >"/dev/stderr"
        exit 1
    }
    print "image,label" >(dir "/train.csv")
    print "image,label" >(dir "/val.csv")
    print "image,label" >(dir "/test.csv")
    while ((getline row <(dir "/sides")) > 0) {
        split(row, part, " ")
        print part[2] >(dir "/" part[1] ".csv")
    }
}
