# captions.awk - what bitmaps lists and CLDR's annotations in; out, in `dir`, rows text,image for each language of the annotations and each part:
#
#   en-train-names.csv    the name of each picture
#   en-train-words.csv    each keyword of each
#   en-train.csv          to learn from: name, the keywords that no other picture has, all keywords in one
#
# A word that many pictures have is not learned from alone: pairs that share it would never meet in a batch.
#
#   awk -v dir=DIR -f captions.awk pictures.tsv annotations/en.xml annotationsDerived/en.xml [annotations/de.xml ...]
#
# The first language decides the parts, so that they are the same in all.
#
# Left out are skin tones, the same drawing in another color, and flags of countries, of which one says nothing about another. What is held out are
# bases: names that differ in who it is, in color, size, side, hour or phase alone are of one base, and all of a base lie on one side.

BEGIN {
    FS = "\t"
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
function left_out(sequence) {
    return sequence ~ /\360\237\217[\273-\277]/ || sequence ~ /\360\237\207[\246-\277]/ || sequence ~ /\363\240/ || length(sequence) < 3
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
    named = text ~ /^[^>]* type="tts"/
    sub(/^[^>]*>/, "", text)
    sub(/<.*/, "", text)
    if (named)
        name[language, at] = plain(text)
    else
        keywords[language, at] = plain(text)
}

# Each caption once.
function count_captions(language, s,    word, n, i) {
    uses[language, name[language, s]]++
    n = split(keywords[language, s], word, / \| /)
    for (i = 1; i <= n; i++)
        if (word[i] != name[language, s])
            uses[language, word[i]]++
}

function write(language, s,    file, word, n, i, own, all) {
    file = dir "/" language "-" part[s]
    own = name[language, s]
    print cell(own) "," path[s] >(file "-names.csv")
    print cell(own) "," path[s] >(file ".csv")
    n = split(keywords[language, s], word, / \| /)
    for (i = 1; i <= n; i++) {
        all = all (i == 1 ? "" : ", ") word[i]
        if (word[i] != own)
            print cell(word[i]) "," path[s] >(file "-words.csv")
        if (word[i] != own && uses[language, word[i]] == 1)
            print cell(word[i]) "," path[s] >(file ".csv")
    }
    if (n > 1)
        print cell(all) "," path[s] >(file ".csv")
}

function begin(language,    parts, i, j, kinds) {
    split("train val test", parts, " ")
    split(".csv -names.csv -words.csv", kinds, " ")
    for (i = 1; i <= 3; i++)
        for (j = 1; j <= 3; j++)
            print "text,image" >(dir "/" language "-" parts[i] kinds[j])
}

END {
    for (i = 1; i <= pictures; i++)
        if ((languages[1], sequence[i]) in name)
            part[sequence[i]] = part_of(name[languages[1], sequence[i]])
    for (l = 1; l <= count; l++) {
        begin(languages[l])
        for (i = 1; i <= pictures; i++)
            if ((languages[l], sequence[i]) in name && sequence[i] in part)
                count_captions(languages[l], sequence[i])
        for (i = 1; i <= pictures; i++)
            if ((languages[l], sequence[i]) in name && sequence[i] in part) {
                write(languages[l], sequence[i])
                rows++
            }
    }
    if (!rows) {
        print "captions.awk: no picture that has a name" >"/dev/stderr"
        exit 1
    }
}
