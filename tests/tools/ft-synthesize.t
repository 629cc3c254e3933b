#!/bin/sh
test_description='ft-synthesize: who is chosen, scores against transformers, what comes out, refusals, cut streams'
. "$(dirname "$0")/../lib.sh"

golden=$TOP/tests/golden/scorer
model=$TOP/tests/golden/model/mean
scorer=$golden/plain
test -d "$scorer" || test_skip_all 'no tests/golden/scorer'
cut -f 1 "$golden/synthesize.tsv" | uniq >queries.txt && sort -u -t "	" -k 2,2 "$golden/synthesize.tsv" | cut -f 2 >corpus.txt || exit 1
ft-ingest -q --unlabeled queries.txt >queries 2>/dev/null && ft-ingest -q --unlabeled corpus.txt >corpus 2>/dev/null || exit 1

# query, positive, negative, score of each, margin: a line for each document, tabs between.
rows () {
    ft-cat -q --full "$1" | awk '/"chunks"/ {
        texts = ""; scores = ""
        while (match($0, /"(text|finetuner_score)":("[^"]*"|[-0-9.e]*)/)) {
            word = substr($0, RSTART, RLENGTH)
            $0 = substr($0, RSTART + RLENGTH)
            if (word ~ /^"text/) texts = texts substr(word, 9, length(word) - 9) "\t"; else scores = scores substr(word, 19) "\t"
        }
        print texts scores
    }'
}

# Rows of N relations drawn from ranks LO up to HI.
check () {
    awk -F "\t" -v n="$2" -v lo="$3" -v hi="$4" '
        function off(a, b) { return a - b > 1e-5 || b - a > 1e-5 }
        NR == FNR { rank[$1, $2] = $3; score[$1, $2] = $4; if (!($1 in known)) { known[$1] = 1; queries++ } next }
        {
            rows++
            if (rank[$1, $2] != "0" || !(($1, $3) in rank) || rank[$1, $3] == "-" || rank[$1, $3] + 0 < lo || rank[$1, $3] + 0 >= hi ||
                seen[$1, $3]++ || off($4, score[$1, $2] - score[$1, $3]) || off($5, score[$1, $2]) || off($6, score[$1, $3])) {
                print "row " rows ": " $0
                bad = 1
            }
        }
        END { if (rows != queries * (n - 1)) print rows " rows"; exit bad || rows != queries * (n - 1) }
    ' "$golden/synthesize.tsv" "$1"
}

test_expect_success 'the nearest and N - 1 others of each query; scores and margins are those of transformers' '
    ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus queries >made && rows made >actual && cat actual && check actual 10 1 100
'
test_expect_success 'ranks: exactly those asked for, and by seed' '
    ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus --relations 5 --range 2:6 queries >made && rows made >actual && check actual 5 2 6 &&
    ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus --relations 3 queries >made && rows made >actual && check actual 3 1 30 &&
    ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus --relations 3 --seed 5 queries >made && rows made >other && check other 3 1 30 &&
    ! cmp -s actual other && ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus --relations 3 --seed 5 queries >made && rows made >again && cmp other again
'
test_expect_success 'the same for any number of threads, embedded before or on the way, from a pipe; a query twice comes out twice' '
    ft-embed -q -m "$model" queries >q && ft-embed -q -m "$model" corpus >c && rows made >expect &&
    for threads in 1 3; do
        ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus --relations 3 --seed 5 --threads $threads queries >made && rows made >actual && cmp expect actual || return 1
    done &&
    ft-synthesize -q --scorer "$scorer" --index - --relations 3 --seed 5 q <c >made && rows made >actual && cmp expect actual &&
    ft-synthesize -q --scorer "$scorer" --index c --relations 3 --seed 5 q q >made && rows made >actual && cat expect expect | cmp - actual
'
test_expect_success 'what comes out trains: batches carry the scores, and margins are learned' '
    ft-synthesize -q -m "$model" --scorer "$scorer" --index corpus --relations 3 -o train.ft queries &&
    ft-sample -q --epochs 1 train.ft >batches 2>sample.err && ft-cat -q --full batches | grep -q "\"scores\":{" &&
    ft-train -q -m "$model" --loss margin-mse:similarity=cosine --lr 1e-3 --epochs 8 -o tuned train.ft &&
    sed "s/.*\"loss\": \([^,]*\),.*/\1/" tuned/run/log.jsonl >values &&
    awk "NR == 1 { first = \$1 } { last = \$1 } END { print first, last; exit !(last < .9 * first) }" values
'
test_expect_success 'scores are those of the activation that the cross-encoder names' '
    ft-synthesize -q --scorer "$golden/identity" --index c --relations 3 --seed 5 q >made && rows made >actual && ! check actual 3 1 30 >/dev/null &&
    paste expect actual | awk -F "\t" "function s(x) { return 1 / (1 + exp(-x)) } { d = s(\$12) - \$5; if (d > 1e-5 || d < -1e-5) exit 1 }"
'
test_expect_success 'ready for margin-mse: triplets with scores, all of them' '
    ft-synthesize -q --scorer "$scorer" --index c --relations 3 q >made && ft-cat -q made | sed -n 2p >first &&
    test_grep "^{\"id\":\"queries.txt:1\",\"tags\":{\"finetuner_score\":[-0-9.e]*},\"chunks\":\[{\"id\":\"queries.txt:1\",\"text\":\"what is my balance\",\"tags\":{\"role\":\"anchor\"}}" first &&
    test_grep "\"role\":\"positive\",\"finetuner_score\":" first && test_grep "\"role\":\"negative\",\"finetuner_score\":" first && ! grep embedding first &&
    ft-cat -q made | head -1 >header && ! grep "\"model\"" header &&
    ft-sample -q --batch 10 --epochs 1 made >batches 2>messages && cat messages && ft-cat -q batches >text && test_grep "\"kind\":\"triplets\"" text
'

test_expect_success 'usage: 2' '
    test_expect_code 2 ft-synthesize q 2>messages && test_grep "index FILE is missing" messages &&
    test_expect_code 2 ft-synthesize --index c q 2>messages && test_grep "scorer MODEL is missing" messages &&
    test_expect_code 2 ft-synthesize --index c --scorer "$scorer" --relations 1 q 2>messages && test_grep "expected 2 to" messages &&
    test_expect_code 2 ft-synthesize --index - --scorer "$scorer" <q 2>messages && test_grep "cannot both be standard input" messages &&
    for range in 0:5 5 5:4 1:3 x:y; do test_expect_code 2 ft-synthesize --index c --scorer "$scorer" --relations 5 --range $range q 2>messages || return 1; cat messages; done &&
    test_expect_code 2 ft-synthesize --index c --scorer "$scorer" --normalize q && test_expect_code 2 ft-synthesize --index c --scorer nowhere q &&
    test_expect_code 2 ft-synthesize --index c --scorer "$scorer" --precision fp7 q
'
test_expect_success 'a model that is no cross-encoder, queries that are no texts, an index that is too small: named' '
    test_expect_code 3 ft-synthesize --index c --scorer "$model" q 2>messages >out && test_grep "not a cross-encoder" messages && test_expect_code 3 ft-cat out 2>err &&
    test_expect_code 3 ft-synthesize --index c --scorer "$golden/two" q 2>messages >out && test_grep "2 labels" messages &&
    test_expect_code 3 ft-synthesize --index c --scorer "$scorer" queries 2>messages >out && cat messages && test_grep "no embedding: add -m MODEL" messages &&
    echo "{\"chunks\":[{\"text\":\"a\"},{\"text\":\"b\"}]}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-synthesize -m "$model" --index c --scorer "$scorer" bad 2>messages >out && cat messages && test_grep "no text, and the cross-encoder\|has chunks" messages &&
    echo "{\"id\":\"p\",\"uri\":\"x.png\"}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-synthesize -m "$model" --index c --scorer "$scorer" bad 2>messages >out && test_grep "document p: no text" messages &&
    ft-cat -q --full c | sed -n 2,6p | ft-cat -q --from-text >few && test_expect_code 3 ft-synthesize -m "$model" --scorer "$scorer" --index few queries 2>messages >out && cat messages &&
    test_grep "query 1: 5 other texts are near enough in the index, expected 10 or more" messages &&
    printf "%s\n" "{\"ft\":1,\"kind\":\"documents\",\"history\":[],\"seed\":0}" "{\"end\":0}" | ft-cat -q --from-text >none &&
    test_expect_code 3 ft-synthesize --index none --scorer "$scorer" q 2>messages >out && test_grep "none is empty" messages &&
    test_expect_code 3 ft-synthesize --index c --scorer "$scorer" none 2>messages >out && cat messages
'

head -2 queries.txt >two.txt && ft-ingest -q --unlabeled two.txt 2>/dev/null | ft-embed -q -m "$TOP/tests/golden/model/dense" >tiny
head -3 corpus.txt >three.txt && ft-ingest -q --unlabeled three.txt 2>/dev/null | ft-embed -q -m "$TOP/tests/golden/model/dense" >tiny.index
test_expect_success 'streams cut at any byte: queries, index' '
    test_cut_every_byte tiny "ft-synthesize -q --threads 1 --scorer $scorer --relations 2 --index tiny.index" &&
    test_cut_every_byte tiny.index "ft-synthesize -q --threads 1 --scorer $scorer --relations 2 --index - tiny"
'
test_expect_success 'the failure of a tool before is passed on; a full disk is 4' '
    printf "text,label\n\"a,b\n" | ft-ingest 2>/dev/null | { ft-synthesize --scorer "$scorer" --index c 2>messages; echo $? >rc; } | ft-cat >/dev/null 2>last;
    test "$(cat rc)" -eq 3 && test ! -s messages && test_grep "ft-ingest failed: " last &&
    if test -w /dev/full; then test_expect_code 4 ft-synthesize -q --relations 2 --scorer "$scorer" --index tiny.index tiny >/dev/full; fi
'

test_done
