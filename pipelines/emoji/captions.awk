# captions.awk - what bitmaps lists and CLDR's annotations in; out, in `dir`, rows text,image for each language of the annotations and each part:
#
#   en-train-names.csv                   the name of each picture
#   en-train-words.csv                   each keyword of each
#   en-1-train.csv to en-10-train.csv    to learn from: the name (1 and 2), the keywords in one (3 and 4), a keyword (5 to 10)
#   de-en-train.csv                      rows anchor,positive of two languages, each after the first with it: names, and keywords in one
#
#   awk -v dir=DIR -f captions.awk pictures.tsv annotations/en.xml annotationsDerived/en.xml [annotations/de.xml ...]
#
# A file to learn from has no picture twice and no text twice, so that any two of its rows may meet in a batch. A word of many pictures is in another file
# for each, as far as there are files; if all were in one, what shares words would be one group, and most pictures share some word with another.
#
# The first language decides the parts, so that they are the same in all. Translations are also of what has no picture.
#
# Left out are skin tones, the same drawing in another color, and pictures of flags of countries, of which one says nothing about another. What is held
# out are bases: names that differ in who it is, in color, size, side, hour or phase alone are of one base, and all of a base lie on one side.

BEGIN {
    FS = "\t"
    files = 10
    for (i = 32; i < 127; i++)
        code[sprintf("%c", i)] = i
    differ("woman women man men person people girl boy child old older baby santa mrs. mx women’s men’s and")
    differ("red orange yellow green blue purple brown black white grey pink light dark")
    differ("small medium medium-small large big low high open closed raised lowered done not locked unlocked bright dim")
    differ("left right up down leftward leftwards rightward rightwards upwards downwards up-down left-right")
    differ("up-left up-right down-left down-right left-facing right-facing")
    differ("1st 2nd 3rd first second third last one two three four five six seven eight nine ten eleven twelve")
}

function differ(words,    word, n, i) {
    n = split(words, word, " ")
    for (i = 1; i <= n; i++)
        dropped[word[i]] = 1
}

# Bytes of UTF-8: tones, letters of a country's code, the black flag with tags behind it. ASCII and its neighbours are type, not pictures.
function toned(sequence) {
    return sequence ~ /\360\237\217[\273-\277]/
}

function left_out(sequence) {
    return toned(sequence) || sequence ~ /\360\237\207[\246-\277]/ || sequence ~ /\363\240/ || length(sequence) < 3
}

function plain(text) {
    gsub(/&lt;/, "<", text)
    gsub(/&gt;/, ">", text)
    gsub(/&quot;/, "\"", text)
    gsub(/&apos;/, "'", text)
    gsub(/&amp;/, "\\&", text)
    return text
}

function base_of(name,    word, n, i, base) {
    name = tolower(name)
    if (name ~ /^(keycap|family|kiss|couple with heart)(:|$)/)
        sub(/:.*/, "", name)
    if (name ~ /o\342\200\231clock$|-thirty$/)
        return "clock"
    if (name ~ / moon( face)?$/)
        return "moon"
    if (name ~ /^globe showing/)
        return "globe"
    sub(/mer(man|maid|person)/, "mermaid", name)
    sub(/princess/, "prince", name)
    n = split(name, word, /[ :,]+/)
    for (i = 1; i <= n; i++)
        if (!(word[i] in dropped))
            base = base " " word[i]
    return base
}

# 0 to 99
function hash(text,    i, h) {
    for (i = 1; i <= length(text); i++)
        h = (h * 31 + code[substr(text, i, 1)]) % 1000003
    return h % 100
}

function part_of(name,    h) {
    h = hash(base_of(name))
    return h < 20 ? "test" : h < 35 ? "val" : "train"
}

function cell(text) {
    if (text !~ /[",]/)
        return text
    gsub(/"/, "\"\"", text)
    return "\"" text "\""
}

function language_of(path) {
    sub(/.*\//, "", path)
    sub(/\..*/, "", path)
    return path
}

FILENAME ~ /\.tsv$/ {
    if (!left_out($1)) {
        sequence[++pictures] = $1
        path[$1] = $2
    }
    next
}

FNR == 1 {
    language = language_of(FILENAME)
    if (!(language in seen))
        languages[++count] = language
    seen[language] = 1
}

/<annotation cp="/ {
    at = $0
    sub(/.*<annotation cp="/, "", at)
    text = at
    sub(/".*/, "", at)
    if (language == languages[1] && !(at in known)) {
        known[at] = 1
        annotated[++annotations] = at
    }
    named = text ~ /^[^>]* type="tts"/
    sub(/^[^>]*>/, "", text)
    sub(/<.*/, "", text)
    if (named)
        name[language, at] = plain(text)
    else
        keywords[language, at] = plain(text)
}

function row(file, text, s) {
    print cell(text) "," path[s] >(dir "/" file ".csv")
}

# `text` of the picture s goes into the first file from `first` to `last` where neither is yet.
function learn(language, text, s, first, last,    k, file) {
    for (k = first; k <= last; k++) {
        file = language "-" k "-" part[s]
        if (!((file, path[s]) in taken) && !((file, text) in taken)) {
            taken[file, path[s]] = taken[file, text] = 1
            row(file, text, s)
            return
        }
    }
}

function list(language, s,    text) {
    text = keywords[language, s]
    gsub(/ \| /, ", ", text)
    return text
}

function write(language, s,    word, n, i, own) {
    own = name[language, s]
    row(language "-" part[s] "-names", own, s)
    learn(language, own, s, 1, 1)
    learn(language, own, s, 2, 2)
    n = split(keywords[language, s], word, / \| /)
    if (n > 1) {
        learn(language, list(language, s), s, 3, 3)
        learn(language, list(language, s), s, 4, 4)
    }
    for (i = 1; i <= n; i++)
        if (word[i] != own) {
            row(language "-" part[s] "-words", word[i], s)
            learn(language, word[i], s, 5, files)
        }
}

# What looks the same in both is learned by no one.
function translate(language, s, file,    here, there) {
    here = name[language, s]
    there = name[languages[1], s]
    if (tolower(here) != tolower(there))
        print cell(here) "," cell(there) >file
    here = list(language, s)
    there = list(languages[1], s)
    if (here ~ /, / && there ~ /, /)
        print cell(here) "," cell(there) >file
}

function begin(language,    parts, i, j) {
    split("train val test", parts, " ")
    for (i = 1; i <= 3; i++) {
        for (j = 1; j <= files; j++)
            print "text,image" >(dir "/" language "-" j "-" parts[i] ".csv")
        print "text,image" >(dir "/" language "-" parts[i] "-names.csv")
        print "text,image" >(dir "/" language "-" parts[i] "-words.csv")
        if (language != languages[1])
            print "anchor,positive" >(dir "/" language "-" languages[1] "-" parts[i] ".csv")
    }
}

END {
    for (i = 1; i <= pictures; i++)
        if ((languages[1], sequence[i]) in name)
            part[sequence[i]] = part_of(name[languages[1], sequence[i]])
    for (l = 1; l <= count; l++) {
        begin(languages[l])
        for (i = 1; i <= pictures; i++)
            if ((languages[l], sequence[i]) in name && sequence[i] in part) {
                write(languages[l], sequence[i])
                rows++
            }
        for (i = 1; l > 1 && i <= annotations; i++) {
            s = annotated[i]
            if ((languages[1], s) in name && (languages[l], s) in name && !toned(s))
                translate(languages[l], s, dir "/" languages[l] "-" languages[1] "-" part_of(name[languages[1], s]) ".csv")
        }
    }
    if (!rows) {
        print "captions.awk: no picture that has a name" >"/dev/stderr"
        exit 1
    }
}
