# phrases.awk - what CLDR says in two languages, languages, countries, currencies, units, times, kinds of characters, as rows anchor,positive: a phrase
# of the second and what is at the same place in the first. Not those that are, in either language, the name of a picture that is held out.
#
#   awk -f phrases.awk en-test-names.csv de-test-names.csv ... main/en.xml main/de.xml >phrases.csv

BEGIN { print "anchor,positive" }

# Numbers, patterns ({0}) and signs are no phrases.
function phrase(text) {
    return text ~ /[A-Za-z][a-z][a-z]/ && text !~ /[0-9{}\[\]]/
}

function plain(text) {
    gsub(/&lt;/, "<", text)
    gsub(/&gt;/, ">", text)
    gsub(/&amp;/, "\\&", text)
    return text
}

function cell(text) {
    if (text !~ /[",]/)
        return text
    gsub(/"/, "\"\"", text)
    return "\"" text "\""
}

function add(here, there) {
    if (phrase(here) && phrase(there) && tolower(here) != tolower(there) && !(tolower(here) in held) && !(tolower(there) in held) &&
        !((here, there) in seen))
        print cell(here) "," cell(there)
    seen[here, there] = 1
}

FILENAME ~ /\.csv$/ {
    sub(/,[^,]*$/, "")
    gsub(/^"|"$/, "")
    gsub(/""/, "\"")
    held[tolower($0)] = 1
    next
}

FNR == 1 {
    language++
    depth = 0
}

/^[ \t]*<\// {
    depth--
    next
}

# An element is on one line, or begins on one and ends on another.
/^[ \t]*<[a-zA-Z]/ {
    text = $0
    sub(/^[ \t]*</, "", text)
    tag = text
    sub(/>.*/, "", tag)
    if (text !~ /<\//) {
        if (tag !~ /\/$/) {
            path[depth + 1] = path[depth] "/" tag
            depth++
        }
        next
    }
    sub(/^[^>]*>/, "", text)
    sub(/<.*/, "", text)
    place = path[depth] "/" tag
    gsub(/ draft="[^"]*"/, "", place)
    if (language == 1)
        first[place] = plain(text)
    else if (place in first)
        add(plain(text), first[place])
}
