# pairs.awk - `synopsis,long description` as CSV from apt's English translations: apt-helper cat-file ...Translation-en... | awk -f pairs.awk
# Descriptions of more than 100 characters, everything once.
function cell(string) {
    gsub(/"/, "\"\"", string)
    return "\"" string "\""
}

function flush() {
    gsub(/[ \t]+/, " ", long)
    sub(/^ /, "", long)
    sub(/ $/, "", long)
    if (synopsis != "" && length(long) > 100 && !(synopsis in seen) && !(long in seen)) {
        seen[synopsis] = seen[long] = 1
        print cell(synopsis) "," cell(long)
    }
    synopsis = long = ""
}

/^Description-en: / { flush(); synopsis = substr($0, 17); next }
/^ \.$/ { next }
/^ / { if (synopsis != "") long = long " " substr($0, 2); next }
{ flush() }
END { flush() }
