#!/bin/sh
# The emoji's pictures and captions, of a made-up font and made-up annotations.
test_description='pipelines/emoji: bitmaps.c, captions.awk'
. "$(dirname "$0")/../lib.sh"

# Numbers as a font has them, of 1, 2 and 4 bytes.
u8 () {
    for n; do printf "\\$(printf %03o "$n")"; done
}

u16 () {
    for n; do u8 $((n >> 8 & 255)) $((n & 255)); done
}

u32 () {
    for n; do u16 $((n >> 16 & 65535)) $((n & 65535)); done
}

# A PNG of 2 x 1 pixels, and what it is on white (made with Python's zlib): colors (10, 20, 30) of alpha 0, (200, 100, 0) of 128, and one without.
head='\211\120\116\107\015\012\032\012\000\000\000\015\111\110\104\122\000\000\000\002\000\000\000\001\010\003\000\000\000\303\374\217\270'
tail='\000\000\000\016\111\104\101\124\170\001\001\003\000\374\377\000\000\001\000\004\000\002\013\041\213\161\000\000\000\000\111\105\116\104\256\102\140\202'
clear='\000\000\000\011\120\114\124\105\012\024\036\310\144\000\001\002\003\342\251\257\107\000\000\000\002\164\122\116\123\000\200\233\053\116\030'
white='\000\000\000\011\120\114\124\105\377\377\377\343\261\177\001\002\003\132\207\010\020\000\000\000\002\163\145\105\156\000\200\156\235\353\364'
clear_png () {
    printf "$head$clear$tail"
}
plain_png () {
    printf "$head$tail"
}

# Glyphs 1 and 2 are a and b, 4 is U+1F63A, 5 the ligature of 1 and 2, 6 that of 2, 2 and 1. Pictures have 4, 5 and 6.
cmap () {
    u16 0 1 3 10 && u32 12 && u16 12 0 && u32 40 0 2 && u32 97 98 1 && u32 128570 128570 4
}
gsub () {
    u16 1 0 0 0 10 && u16 1 4 && u16 4 0 1 8 &&
        u16 1 10 2 18 28 && u16 1 2 1 2 && u16 1 4 5 2 2 && u16 1 4 6 3 2 1
}
cblc () {
    u16 3 0 && u32 1 56 40 1 0 && u32 0 0 0 0 0 0 0 0 && u16 4 6 && u32 8 && u16 1 17 && u32 4 0 115 195 310
}
cbdt () {
    u16 3 0 && u8 1 1 1 1 1 && u32 106 && clear_png && u8 1 1 1 1 1 && u32 71 && plain_png && u8 1 1 1 1 1 && u32 106 && clear_png
}

font () {
    at=76
    u32 65536 && u16 4 0 0 0
    for table in cmap gsub cblc cbdt; do
        $table >$table.table
        size=$(wc -c <$table.table)
        printf %s $table | sed 's/gsub/GSUB/; s/cblc/CBLC/; s/cbdt/CBDT/' && u32 0 $at "$size"
        at=$((at + size))
    done
    cat cmap.table gsub.table cblc.table cbdt.table
}

font >font.ttf
printf '%s\n' a ab bba bab '' 😺 c aa >sequences

test_expect_success 'pictures of characters and of ligatures, on white' '
    ${CC:-cc} -std=c11 -O1 -o bitmaps "$TOP/pipelines/emoji/bitmaps.c" && mkdir out && ./bitmaps font.ttf out <sequences >list &&
    printf "%s\t%s\n" ab out/61-62.png bba out/62-62-61.png 😺 out/1f63a.png >expect && test_cmp expect list &&
    printf "$head$white$tail" >on-white && cmp on-white out/1f63a.png && cmp on-white out/62-62-61.png && plain_png | cmp - out/61-62.png &&
    ls out >files && test "$(wc -l <files)" -eq 3
'

test_expect_success 'a font cut at any byte is an error' '
    size=$(wc -c <font.ttf) && n=0 &&
    while test $n -lt "$size"; do
        head -c $n font.ttf >cut && test_expect_code 1 ./bitmaps cut out <sequences >/dev/null 2>err && test_grep "^bitmaps: cut: " err || return 1
        n=$((n + 1))
    done
'

test_expect_success 'a font without such pictures is an error' '
    sed "s/CBLC/EBLC/" font.ttf >other && test_expect_code 1 ./bitmaps other out <sequences 2>err && test_grep "no table CBLC" err &&
    test_expect_code 1 ./bitmaps none out <sequences 2>err && test_grep "No such file" err && test_expect_code 2 ./bitmaps 2>err
'

# annotation SEQUENCE NAME KEYWORDS, as CLDR has it
annotation () {
    printf "\t\t<annotation cp=\"%s\">%s</annotation>\n\t\t<annotation cp=\"%s\" type=\"tts\">%s</annotation> <!-- a remark -->\n" "$1" "$3" "$1" "$2"
}

# Each 100 emoji that the font has, numbered, of five names that differ in color and side.
notes () {
    annotation 🐱 "cat face" "cat | cat face | pet"
    annotation 🔠 "“A” &amp; B, &quot;C&quot;" "&lt;letters&gt; | a, b"
    annotation 👩🏿 "woman: dark skin tone" "adult | woman"
    annotation 🇩🇪 "flag: Germany" "flag"
    annotation "#" "hash" "sign"
    annotation 🦖 "T-Rex" "dinosaur"
    i=0
    while test $i -lt 100; do
        i=$((i + 1))
        for color in red Blue "large yellow" left person; do
            annotation "emoji $i $color" "$color thing-$i" "thing | $color"
        done
        annotation "m$i-woman" "woman maker-$i" "woman" && annotation "m$i-man" "man maker-$i: two" "man" && annotation "m$i-person" "maker-$i" ""
    done
}

mkdir annotations derived
notes >annotations/en.xml
sed 's/thing-/Ding-/g; s/cat face/Katze/g; s/pet/Haustier/; s/red /rotes /' annotations/en.xml | grep -v T-Rex >annotations/de.xml
annotation derived "derived name" word >derived/en.xml
{ sed -n 's/.*cp="\([^"]*\)" type.*/\1/p' annotations/en.xml | grep -v maker-7; echo derived; echo nameless; } | awk '{ print $0 "\tpictures/" NR ".png" }' >pictures.tsv

captions () {
    mkdir -p "$1" && LC_ALL=C awk -v dir="$1" -f "$TOP/pipelines/emoji/captions.awk" pictures.tsv annotations/en.xml derived/en.xml annotations/de.xml
}

# rows NAME: those of the first six pictures, in all parts; turn N: those to learn from
rows () {
    cat one/en-train-$1.csv one/en-val-$1.csv one/en-test-$1.csv | grep ",pictures/[1-6].png" | sort
}
turn () {
    cat one/en-$1-train.csv one/en-$1-val.csv one/en-$1-test.csv | grep ",pictures/[1-6].png" | sort
}

test_expect_success 'names, keywords, and what is learned from; no tones, flags of countries, characters of type' '
    captions one && rows names >found &&
    printf "%s\n" "\"“A” & B, \"\"C\"\"\",pictures/2.png" "T-Rex,pictures/6.png" "cat face,pictures/1.png" >expect && test_cmp expect found &&
    turn 1 >found && test_cmp expect found && turn 2 >found && test_cmp expect found && rows words >found &&
    printf "%s\n" "\"a, b\",pictures/2.png" "<letters>,pictures/2.png" "cat,pictures/1.png" "dinosaur,pictures/6.png" "pet,pictures/1.png" >expect &&
    test_cmp expect found && turn 3 >found &&
    printf "%s\n" "\"<letters>, a, b\",pictures/2.png" "\"cat, cat face, pet\",pictures/1.png" >expect && test_cmp expect found &&
    turn 4 >found && test_cmp expect found && turn 5 >found &&
    printf "%s\n" "<letters>,pictures/2.png" "cat,pictures/1.png" "dinosaur,pictures/6.png" >expect && test_cmp expect found && turn 6 >found &&
    printf "%s\n" "\"a, b\",pictures/2.png" "pet,pictures/1.png" >expect && test_cmp expect found &&
    grep -h "derived" one/en-*-names.csv >found && test "$(wc -l <found)" -eq 1 && ! grep -h nameless one/*.csv
'

test_expect_success 'a keyword that several pictures have is learned from once a file, and no picture twice' '
    test "$(cat one/en-*-words.csv | grep -c "^thing,pictures")" -gt 400 && cat one/??-[5-9]-train.csv one/??-10-train.csv >learned &&
    test "$(grep -c "^thing,pictures" learned)" -eq 12 && test "$(grep -c "^red,pictures" learned)" -eq 12 &&
    for file in one/??-[0-9]*-*.csv; do
        sed "s/.*,//" $file | sort | uniq -d >twice && test ! -s twice &&
            sed "s/,[^,]*$//" $file | sort | uniq -d >twice && test ! -s twice || return 1
    done
'

test_expect_success 'two languages of one part: names and keywords, of what has no picture too, but of no tones' '
    sort one/de-en-train.csv one/de-en-val.csv one/de-en-test.csv >found && grep -qx "Katze,cat face" found &&
    grep -qx "\"cat, Katze, Haustier\",\"cat, cat face, pet\"" found && ! grep -i "dark skin\|T-Rex" found && ! grep "^derived" found &&
    for part in train val test; do
        sed -n "s/.*,.* Ding-.*//; s/.*thing-\([0-9]*\)$/\1/p" one/de-en-$part.csv | sort -u >translated &&
            sed -n "s/.*thing-\([0-9]*\),.*/\1/p" one/en-$part-names.csv | sort -u >shown && test_cmp shown translated || return 1
    done
'

test_expect_success 'the same pictures in each language, but what has no name in it' '
    for part in train val test; do
        for language in en de; do
            test "$(head -1 one/$language-$part-names.csv)" = text,image && sed "1d; s/.*,//" one/$language-$part-names.csv >$language.pictures &&
                test -z "$(sort $language.pictures | uniq -d)" && sed "1d; s/.*,//" one/$language-1-$part.csv >all && test_cmp $language.pictures all ||
                return 1
        done
        grep -vx "pictures/6.png\|pictures/807.png" en.pictures >expect; test_cmp expect de.pictures || return 1
    done && grep -hx "Katze,pictures/1.png" one/de-*-names.csv && ! grep -h T-Rex one/de-*.csv
'

test_expect_success 'names of one base lie on one side' '
    for part in train val test; do
        for thing in thing maker; do
            sed -n "s/.*$thing-\([0-9]*\).*/$thing \1/p" one/en-$part-names.csv | sort | uniq -c >$part.$thing &&
                test "$(awk "{ print \$1 }" $part.$thing | sort -u)" -eq $(test $thing = thing && echo 5 || echo 3) || return 1
        done
        cat $part.thing $part.maker >>bases && test "$(wc -l <$part.thing)" -gt 5 || return 1
    done &&
    test "$(wc -l <bases)" -eq 200 && test -z "$(sort bases | uniq -d)" && test "$(wc -l <train.thing)" -gt "$(wc -l <test.thing)"
'

test_expect_success 'nothing that has a name: said' '
    echo "x	x.png" >none.tsv && test_expect_code 1 awk -v dir=. -f "$TOP/pipelines/emoji/captions.awk" none.tsv annotations/en.xml 2>err &&
    test_grep "no picture" err
'

# ldml UNIT COUNTRY PATTERN PLACE, as CLDR has it
ldml () {
    printf "%s\n" "<?xml version=\"1.0\"?>" "<!DOCTYPE ldml SYSTEM \"x.dtd\">" "<ldml>" "	<names>" "		<country type=\"A\" draft=\"provisional\">$2</country>" \
        "		<alias/>" "		<country type=\"B\">Peru</country>" "	</names>" "	<units>" "		<unit type=\"A\">" "			<name>$1</name>" \
        "			<per>$3</per>" "		</unit>" "		<unit type=\"$4\">" "			<name>Elle</name>" "		</unit>" "	</units>" "</ldml>"
}

test_expect_success 'phrases at one place in both languages, but patterns, what is alike, and names that are held out' '
    ldml "light &amp; years" "Ivory, Coast" "{0} per day" B >en.xml && ldml "Lichtjahre" "Elfenbeinküste" "{0} pro Tag" C >de.xml &&
    printf "text,image\nx,y.png\n" >held.csv && awk -f "$TOP/pipelines/emoji/phrases.awk" held.csv en.xml de.xml >found &&
    printf "%s\n" anchor,positive "Elfenbeinküste,\"Ivory, Coast\"" "Lichtjahre,light & years" >expect && test_cmp expect found &&
    printf "text,image\n\"ivory, coast\",y.png\n" >held.csv && awk -f "$TOP/pipelines/emoji/phrases.awk" held.csv en.xml de.xml >found &&
    printf "%s\n" anchor,positive "Lichtjahre,light & years" >expect && test_cmp expect found
'

# table BEFORE AFTER of three measures, as ft-eval prints one
table () {
    printf "modality\t%s\nmetric           before    after   change      low     high        p\n" "$1"
    printf "%-14s %8s %8s %8s %8s %8s %8s\n" recall@1 "$2" "$3" +.1 +.0 +.2 .002 median_rank 20 "$4" -15 -16 -14 .002
}

test_expect_success 'means of seeds, each language and way for itself' '
    { echo "== English" && table text:image .1 .3 5 && table image:text .1 .5 6 && echo "== German" && table text:image .2 .3 9; } >0.txt &&
    { echo "== English" && table text:image .1 .4 8 && table image:text .1 .5 6 && echo "== German" && table text:image .2 .3 9; } >1.txt &&
    awk -f "$TOP/pipelines/emoji/mean.awk" 0.txt 1.txt | sed "s/  */ /g" >found &&
    printf "%s\n" "== English, text:image" "recall@1 0.1000 0.3500 +0.2500" "median_rank 20.0000 6.5000 -13.5000" "== English, image:text" \
        "recall@1 0.1000 0.5000 +0.4000" "median_rank 20.0000 6.0000 -14.0000" "== German, text:image" "recall@1 0.2000 0.3000 +0.1000" \
        "median_rank 20.0000 9.0000 -11.0000" >expect && test_cmp expect found
'

test_expect_success 'make knows what to do' '
    MAKEFLAGS= MAKELEVEL= make -nB -C "$TOP/pipelines/emoji" >plan && test_grep "ft-train -m both" plan && test_grep "ft-eval.*--before both" plan
'

test_done
