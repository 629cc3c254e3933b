#!/bin/sh
test_description='ft-mine: images that are near a text and not its own, texts that are near an image; which way round, and what is no candidate'
. "$(dirname "$0")/../lib.sh"

# Pairs of an image and a text, in chunks without roles; then with names.
awk '{
    n = 0
    while (match($0, /"modality":"(image|text)"/)) {
        word = index($0, "\"modality\":\"image\"") == RSTART ? "\"uri\":\"i" NR - 2 "\"" : "\"text\":\"t" NR - 2 "\""
        printf "%s%s,%s", substr($0, 1, RSTART - 1), word, substr($0, RSTART, RLENGTH)
        $0 = substr($0, RSTART + RLENGTH)
    }
    print
}' "$TOP/tests/golden/eval/twins.docs" >twins.text && ft-cat -q --from-text twins.text >twins || { echo "Bail out! no pairs"; exit 1; }

# rows STREAM: "id role:name role:name ..." a line.
rows () {
    ft-cat -q --full "$1" | awk '/"chunks"/ {
        match($0, /"id":"[^"]*"/)
        out = substr($0, RSTART + 6, RLENGTH - 7)
        while (match($0, /"(text|uri)":"[^"]*"/)) {
            name = substr($0, RSTART, RLENGTH)
            sub(/.*":"/, "", name)
            $0 = substr($0, RSTART + RLENGTH)
            match($0, /"role":"[^"]*"/)
            out = out " " substr($0, RSTART + 8, RLENGTH - 9) ":" substr(name, 1, length(name) - 1)
        }
        print out
    }'
}

# found WAY: the three nearest of each that are not its own, by ft-search, as rows has them.
found () {
    case $1 in text:image) a=t b=i ;; *) a=i b=t ;; esac
    ft-search -q --index twins --modality $1 -k 4 <twins | ft-cat -q --full | awk -v b=$b '/"matches"/ {
        match($0, /"id":"[^"]*"/)
        id = substr($0, RSTART + 6, RLENGTH - 7)
        sub(/.*"matches"/, "")
        out = ""
        for (n = 0; n < 3 && match($0, /"(text|uri)":"[^"]*"/); $0 = substr($0, RSTART + RLENGTH)) {
            name = substr($0, RSTART, RLENGTH)
            sub(/.*":"/, "", name)
            sub(/"/, "", name)
            if (name != b id) { out = out " negative:" name; n++ }
        }
        print id out
    }'
}

for way in text:image image:text; do
    test_expect_success "$way: the nearest that are not its own, whichever way round the pair is" '
        ft-mine -q --modality $way twins >mined && rows mined | sed "s/ [a-z]*:[it][0-9]* [a-z]*:[it][0-9]*//" >got && found $way >want && test "$(wc -l <want)" -eq 71 &&
        test_cmp want got && case $way in text:image) roles=" positive:i0 anchor:t0" ;; *) roles=" anchor:i0 positive:t0" ;; esac &&
        rows mined >all && test_grep "^0$roles negative:" all && ft-mine -q --modality $way --threads 3 twins >three && rows three >more && test_cmp all more &&
        ft-sample -q --triplets --batch 8 mined | ft-cat -q --check | grep "^records"
    '
done

test_expect_success 'without --modality as the pairs are, which is said: an index of texts and images adds images alone' '
    ft-mine twins >mined 2>err && test_grep "pairs of a text and an image: only texts are candidates" err && rows mined >got &&
    ft-mine -q --modality image:text twins >mined && rows mined >want && test_cmp want got &&
    ft-mine -q --modality text:image twins >alone && rows alone >want && ft-mine -q --modality text:image --index twins twins >mined && rows mined >got && test_cmp want got &&
    sed -n 2,41p twins.text | sed "1i{\"ft\":1,\"kind\":\"documents\",\"history\":[],\"seed\":0}" >half && echo "{\"end\":40}" >>half && ft-cat -q --from-text half >some &&
    ft-mine -q --modality text:image --index twins some >mined && rows mined >got && head -40 want >some.want && test_cmp some.want got &&
    ft-cat -q --full twins | sed -n "s/.*{\"text\":\"\(t[0-9]*\)\",\"modality\":\"text\",\"embedding\":\(.*\)}\]}/{\"id\":\"\1\",\"text\":\"other \1\",\"embedding\":\2}/p" |
        ft-cat -q --from-text >texts && ft-mine -q --modality text:image --index texts twins >mined && rows mined >got && test_cmp want got &&
    ft-mine -q --modality image:text --index texts twins >mined && rows mined >got && ! cmp -s want got && test_grep "negative:other" got
'

test_expect_success 'labels: one modality; what cannot be' '
    labelled () {
        sed "s/.*{\"$1\":\"\([it][0-9]*\)\",\"modality\":\"[a-z]*\",\"embedding\":\({[^}]*}\).*/{\"$1\":\"\1\",\"tags\":{\"finetuner_label\":\"l\"},\"embedding\":\2}/" |
            awk "{ sub(/\"l\"/, \"\\\"l\" NR % 5 \"\\\"\"); print }"
    } &&
    ft-cat -q --full twins | sed -n 2,31p >rows.text && { labelled uri <rows.text; labelled text <rows.text; } | ft-cat -q --from-text >mixed &&
    labelled uri <rows.text | ft-cat -q --from-text >images && ft-mine -q --modality image images >mined && rows mined >want && test "$(wc -l <want)" -eq 30 &&
    ft-mine -q --modality image mixed >mined && rows mined >got && test_cmp want got &&
    refuses () {
        refuses_code=$1 refuses_pattern=$2 && shift 2 && test_expect_code $refuses_code ft-mine -q "$@" 2>err >out && cat err && test_grep "$refuses_pattern" err
    } &&
    refuses 2 "modality text:image goes with pairs" --modality text:image images && refuses 2 "expected text, image, text:image or image:text" --modality images twins &&
    refuses 3 "no pair of a text that asks and a text that answers" --modality text twins &&
    sed "40s/\"uri\":\"[^\"]*\",\"modality\":\"image\"/\"text\":\"another\",\"modality\":\"text\"/" twins.text | ft-cat -q --from-text >odd && ! cmp -s odd twins &&
    refuses 3 "document 38: no pair of an image that asks and a text that answers" odd
'

test_done
