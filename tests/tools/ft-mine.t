#!/bin/sh
test_description='ft-mine: triplets as sentence-transformers mines them, labels, what is never a negative, refusals, cut streams'
. "$(dirname "$0")/../lib.sh"

golden=$TOP/tests/golden/mine
ft-cat -q --from-text "$golden/pairs.docs" >pairs && ft-cat -q --from-text "$golden/index.docs" >index || exit 1

# The texts of each triplet, a line each, sorted.
rows () {
    ft-cat -q --full "$1" | awk '/"chunks"/ {
        out = ""
        while (match($0, /"text":"[^"]*"/)) {
            out = out (out == "" ? "" : " ") substr($0, RSTART + 8, RLENGTH - 9)
            $0 = substr($0, RSTART + RLENGTH)
        }
        print out
    }' | sort
}

# Without the header, where the command line stands.
records () {
    ft-cat -q --full "$1" | grep "\"chunks\""
}

# Rows and how near their positives and negatives are.
scores () {
    ft-cat -q --full "$1" | awk '/"chunks"/ {
        text = ""; out = ""
        while (match($0, /"(text|value)":("[^"]*"|[-0-9.e]*)/)) {
            word = substr($0, RSTART, RLENGTH)
            $0 = substr($0, RSTART + RLENGTH)
            if (word ~ /^"text/) text = text word; else out = out " " substr(word, 9)
        }
        print text out
    }' | sort | sed 's/^[^ ]* //'
}

near () {
    paste -d " " "$1" "$2" | awk -v minus="$3" '{
        for (i = 1; i <= NF / 2; i++) { d = $i - minus * $(i + NF / 2); if (d > 2e-6 || d < -2e-6) exit 1 }
        if (NF % 2) exit 1
    }'
}

while read -r name distance at arguments; do
    test "$at" = - || arguments="--index index $arguments"
    arguments="--distance $distance $arguments"
    sign=1 && test "$distance" != euclidean || sign=-1
    test_expect_success "$name: the triplets of sentence-transformers ($arguments)" "
        ft-mine -q $arguments --scores pairs >mined 2>messages &&
        rows mined >actual && test_cmp $golden/$name.expect actual &&
        scores mined >actual && test \$(wc -l <actual) -eq \$(wc -l <$golden/$name.scores) && near $golden/$name.scores actual $sign &&
        records mined >expect &&
        for threads in 1 3; do
            ft-mine -q $arguments --scores --threads \$threads pairs >again 2>messages && records again >actual && cmp expect actual || return 1
        done
    "
done <"$golden/cases"

test_expect_success 'an index that is held gives what one that passes by does; so does one from a pipe' '
    ft-mine -q --index index -k 200 --negatives 5 --relative-margin .1 pairs >passing &&
    ft-mine -q --index index -k 900000000 --negatives 5 --relative-margin .1 pairs >held &&
    ft-mine -q --index - -k 200 --negatives 5 --relative-margin .1 pairs <index >piped &&
    rows passing >expect && rows held >actual && test_cmp expect actual && rows piped >actual && test_cmp expect actual
'

test_expect_success '-k: only so many of the nearest are looked at' '
    ft-mine -q --index index -k 4 --negatives 3 pairs 2>messages >mined && rows mined >actual && test_grep "^q0 d0x0 " actual &&
    awk "NF > 5 { exit 1 }" actual && awk "NF == 4 { some = 1 } END { exit !some }" actual
'

# v X Y: a vector of two, small whole numbers.
number () {
    case $1 in
    0) printf '\000\000\000\000' ;;
    1) printf '\000\000\200\077' ;;
    2) printf '\000\000\000\100' ;;
    3) printf '\000\000\100\100' ;;
    4) printf '\000\000\200\100' ;;
    esac
}
v () {
    printf '{"$tensor":"<f4","shape":[2],"data":"%s"}' "$({ number "$1"; number "$2"; } | base64 -w 0)"
}
# pair A X Y P X Y; document ID X Y [LABEL]
pair () {
    printf '{"chunks":[{"text":"%s","embedding":%s},{"text":"%s","embedding":%s}]}\n' "$1" "$(v $2 $3)" "$4" "$(v $5 $6)"
}
document () {
    printf '{"id":"%s","text":"%s"%s,"embedding":%s}\n' "$1" "$1" "${4:+,\"tags\":{\"finetuner_label\":\"$4\"\}}" "$(v $2 $3)"
}

test_expect_success 'what pairs join is never a negative, however they join it; nor is the anchor itself' '
    { pair a 4 0 x 3 1; pair b 3 0 x 3 1; pair b 3 0 y 2 0; pair c 0 4 z 0 3; } | ft-cat -q --from-text >joined &&
    { document a 4 0; document y 2 0; document far 1 2; document z 0 3; } | ft-cat -q --from-text >corpus &&
    ft-mine -q --index corpus joined >mined && rows mined >actual &&
    printf "%s\n" "a x far z" "b x far z" "b y far z" "c z far x y" >expect && test_cmp expect actual
'
test_expect_success 'pairs in the index join too, texts of a label in it are not negatives of that label' '
    { pair a 4 0 x 3 1; pair c 0 4 z 0 3; } | ft-cat -q --from-text >pairs2 &&
    { document far 1 2; pair a 4 0 new 4 1 | sed "s/\"text\":\"a\"/&,\"tags\":{\"role\":\"anchor\"}/; s/\"text\":\"new\"/&,\"tags\":{\"role\":\"positive\"}/"; } | ft-cat -q --from-text >corpus &&
    ft-mine -q --index corpus pairs2 >mined && rows mined >actual &&
    printf "%s\n" "a x far z" "c z far x new" >expect && test_cmp expect actual &&
    { document p 4 0 one; document q 4 1 one; document r 0 4 two; document s 0 3 two; } | ft-cat -q --from-text >labelled &&
    { document t 3 0 one; document u 3 1; document w 0 2 three; } | ft-cat -q --from-text >corpus &&
    ft-mine -q --index corpus --negatives 2 labelled >mined && rows mined >actual &&
    printf "%s\n" "p q u r" "q p u r" "r s w u" "s r w u" >expect && test_cmp expect actual
'
test_expect_success 'labels: each text an anchor once, its positive another of the label, alone ones are left out and counted' '
    { document p 4 0 one; document q 4 1 one; document q2 3 1 one; document r 0 4 two; document s 0 3 two; document t 1 1 three; } | ft-cat -q --from-text >labelled &&
    ft-mine --negatives 1 labelled 2>messages >mined && rows mined >actual && test "$(wc -l <actual)" -eq 5 &&
    test_grep "1 of 6 left out: no other text has their label" messages && test_grep "^ft-mine: in=6 out=5 bad=0" messages &&
    awk "{ print \$1 }" actual >anchors && printf "%s\n" p q q2 r s >expect && test_cmp expect anchors &&
    ! awk "{ print \$1, \$2 }" actual | grep -v -e "^[pq]2* [pq]2*$" -e "^[rs] [rs]$" && ! grep "^\([^ ]*\) \1 " actual &&
    awk "{ print \$1, \$3 }" actual >nearest && printf "%s\n" "p t" "q t" "q2 t" "r t" "s t" >expect && test_cmp expect nearest &&
    for seed in 1 2 3 4 5; do ft-mine -q --seed $seed --negatives 1 labelled 2>/dev/null >mined && rows mined || return 1; done | sort -u >all &&
    test "$(wc -l <all)" -gt 5
'
test_expect_success 'labels and a margin: s+ is the least similar of the label' '
    { document p 4 0 one; document q 4 1 one; document q2 3 3 one; document r 0 4 two; document s 1 4 two; document t 4 2 three; document u 4 2 three; } |
        ft-cat -q --from-text >labelled &&
    ft-mine -q --negatives 9 --absolute-margin 0 labelled 2>/dev/null >mined && rows mined >actual &&
    test_grep "^p q2* s r$" actual && test_grep "^q2 [pq] r$" actual && test_grep "^r s q2 t u q p$" actual
'

test_expect_success '--pick random: of the ranks, by seed; another seed, others; nearest first' '
    ft-mine -q --index index --range 5:15 --negatives 3 --pick random --seed 7 pairs >mined && rows mined >actual &&
    ft-mine -q --index index --range 5:15 --negatives 3 --pick random --seed 7 --threads 1 pairs >again && rows again >same && cmp actual same &&
    ft-mine -q --index index --range 5:15 --negatives 3 --pick random --seed 8 pairs >mined && rows mined >other && ! cmp -s actual other &&
    ft-mine -q --index index --range 5:15 --negatives 10 pairs >mined && rows mined >ten &&
    paste -d " " actual ten | awk "{
        at = 0
        for (i = 3; i <= 5; i++) { for (j = 8; j <= 17 && \$j != \$i; j++); if (j > 17 || j <= at) exit 1; at = j }
    }" && ft-mine -q --index index --range 5:15 --negatives 10 --pick random pairs >mined && rows mined >all && cmp ten all
'

test_expect_success 'the result is ready for ft-sample, its header is no longer that of embeddings' '
    ft-embed -q -m "$TOP/tests/golden/model/mean" pairs >embedded && ft-mine -q --negatives 2 embedded >mined &&
    ft-cat -q mined | head -1 >header && ! grep "\"model\"" header && ! grep "\"dim\"" header && ! ft-cat -q mined | grep embedding &&
    ft-sample -q --batch 8 --epochs 1 mined >batches 2>messages && test ! -s messages && ft-cat -q batches | test_grep "\"kind\":\"triplets\"" -
'
test_expect_success '-m: what is embedded on the way gives what was embedded before; prompts and lengths are heard' '
    model=$TOP/tests/golden/model/mean &&
    printf "%s\n" "anchor,positive" "edit photos,a photo editor" "play music,music for you" "the cat,a cat sat" >pairs.csv &&
    ft-ingest -q pairs.csv >plain 2>/dev/null && ft-embed -q -m "$model" plain >embedded &&
    ft-mine -q -m "$model" plain >one && ft-mine -q embedded >two && ft-mine -q -m "$model" embedded >three &&
    rows one >expect && rows two >actual && test_cmp expect actual && rows three >actual && test_cmp expect actual &&
    ft-mine -q -m "$model" --scores --prompt query=zebra plain >four && ft-mine -q -m "$model" --scores plain >one && scores one >expect && scores four >actual && ! cmp -s expect actual &&
    test_expect_code 3 ft-mine plain 2>messages >out && test_grep "plain: document pairs.csv:2: chunks.0.: no embedding: add -m MODEL" messages && test_expect_code 3 ft-cat out 2>err
'

test_expect_success 'usage: 2' '
    test_expect_code 2 ft-mine --negatives 0 pairs && test_expect_code 2 ft-mine -k 0 pairs &&
    for range in 5 5:5 5:3 :5 a:b 5:b -1:5 5:0 "5: 9"; do test_expect_code 2 ft-mine --range "$range" pairs 2>messages || return 1; cat messages; done &&
    test_expect_code 2 ft-mine --range 5:7 --negatives 3 pairs 2>messages && test_grep "2 ranks, expected 3 or more" messages &&
    test_expect_code 2 ft-mine --range 5: -k 6 --negatives 3 pairs 2>messages && test_grep "expected 8 or more" messages &&
    test_expect_code 2 ft-mine --pick worst pairs && test_expect_code 2 ft-mine --normalize pairs && test_expect_code 2 ft-mine -m nowhere pairs &&
    test_expect_code 2 ft-mine --index - <pairs 2>messages && test_grep "cannot both be standard input" messages &&
    ft-mine -q -o there pairs && test_expect_code 2 ft-mine -o there pairs 2>messages && test_grep "add --force" messages
'
test_expect_success 'documents that say nothing: without label, two kinds, two anchors, scores, dimensions that differ, none' '
    echo "{\"id\":\"b\",\"text\":\"t\"}" | ft-cat -q --from-text >bad && test_expect_code 3 ft-mine bad 2>messages >out && cat messages &&
    test_grep "bad: document b: neither a pair, a triplet nor a text with a label" messages &&
    { pair a 1 0 b 0 1; document c 1 1 x; } | ft-cat -q --from-text >bad && test_expect_code 3 ft-mine bad 2>messages >out && test_grep "document c: a labelled text among pairs" messages &&
    pair a 1 0 b 0 1 | sed "s/\"text\"/\"tags\":{\"role\":\"anchor\"},\"text\"/g" | ft-cat -q --from-text >bad && test_expect_code 3 ft-mine bad 2>messages >out && test_grep "2 anchors, 0 positives" messages &&
    pair a 1 0 b 0 1 | sed "s/^{/{\"tags\":{\"finetuner_score\":0.5},/" | ft-cat -q --from-text >bad && test_expect_code 3 ft-mine bad 2>messages >out && test_grep "has a score" messages &&
    echo "{\"chunks\":[{\"text\":\"t\"}]}" | ft-cat -q --from-text >bad && test_expect_code 3 ft-mine bad 2>messages >out && cat messages &&
    test_expect_code 3 ft-mine --index bad pairs2 2>messages >out && cat messages &&
    echo "{\"text\":\"zz\",\"embedding\":{\"\$tensor\":\"<f4\",\"shape\":[1],\"data\":\"AACAPw==\"}}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-mine --index bad pairs2 2>messages >out && cat messages && test_grep "bad: .*1 dimensions, expected 2" messages &&
    printf "%s\n" "{\"ft\":1,\"kind\":\"documents\",\"history\":[],\"seed\":0}" "{\"end\":0}" | ft-cat -q --from-text >none &&
    test_expect_code 3 ft-mine none 2>messages >out && test_grep "nothing to mine" messages && ft-mine -q --index none pairs2 >out &&
    pair a 1 0 b 0 1 | ft-cat -q --from-text >one && ft-mine one 2>messages >out && test_grep "1 of 1 left out: no candidate" messages
'

pair a 4 0 x 3 1 >tiny.text && pair c 0 4 z 0 3 >>tiny.text && ft-cat -q --from-text tiny.text >tiny && document o 1 1 | ft-cat -q --from-text >tiny.index
test_expect_success 'streams cut at any byte: documents, index' '
    test_cut_every_byte tiny "ft-mine -q --index tiny.index" &&
    test_cut_every_byte tiny.index "ft-mine -q --index - tiny"
'
test_expect_success 'the failure of a tool before is passed on; a full disk is 4' '
    printf "text,label\n\"a,b\n" | ft-ingest 2>/dev/null | { ft-mine 2>messages; echo $? >rc; } | ft-cat >/dev/null 2>last;
    test "$(cat rc)" -eq 3 && test ! -s messages && test_grep "ft-ingest failed: " last &&
    if test -w /dev/full; then test_expect_code 4 ft-mine -q tiny >/dev/full; fi
'

test_done
