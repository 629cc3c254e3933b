#!/bin/sh
test_description='ft-search: exact nearest documents, as text, JSON and documents; refusals; cut streams'
. "$(dirname "$0")/../lib.sh"

# vector BASE64: two floats. 1 0 = AACAPwAAAAA=, 0 1 = AAAAAAAAgD8=, 2 1 = AAAAQAAAgD8=, 3 3 = AABAQAAAQEA=
v () {
    printf '{"$tensor":"<f4","shape":[2],"data":"%s"}' "$1"
}
cat >index.text <<EOT
{"id":"right","text":"to the\tright\nof it","embedding":$(v AACAPwAAAAA=)}
{"id":"up","text":"above \"it\"","embedding":$(v AAAAAAAAgD8=)}
{"id":"far","text":"far out","embedding":$(v AABAQAAAQEA=)}
{"id":"too","text":"right too","embedding":$(v AACAPwAAAAA=)}
EOT
ft-cat -q --from-text index.text >index
cat >queries.text <<EOT
{"id":"q","text":"near right","tags":{"n":1},"embedding":$(v AAAAQAAAgD8=),"matches":[{"id":"old"}]}
{"id":"right","text":"to the\tright\nof it","embedding":$(v AACAPwAAAAA=)}
EOT
ft-cat -q --from-text queries.text >queries

test_expect_success 'documents in, the same with matches out: nearest first, ties in the order of the index, never itself' '
    ft-search -q --index index -k 3 <queries >found &&
    ft-cat -q found >text &&
    sed -n 2p text | sed "s/.*\"matches\":/matches:/" >first && sed -n 3p text | sed "s/.*\"matches\":/matches:/" >second &&
    test_grep "^matches:\[{\"id\":\"far\",\"text\":\"far out\",\"scores\":{\"cosine\":{\"value\":0.9486.*{\"id\":\"right\",.*{\"id\":\"too\"" first &&
    test_grep "^matches:\[{\"id\":\"too\",.*\"value\":1.0}}},{\"id\":\"far\",.*\"value\":0.707.*,{\"id\":\"up\",.*\"value\":0.0}}}\]" second &&
    test_grep "\"id\":\"q\",\"text\":\"near right\",\"tags\":{\"n\":1},\"embedding\":" text &&
    ! grep "\"old\"" text &&
    test_grep "\"ft-search\",\"0.1.0\",\"-q\",\"--index\"" text
'

test_expect_success '--json: one line a query; -o writes the same' '
    ft-search -q --index index -k 2 --distance euclidean --json <queries >actual &&
    test "$(wc -l <actual)" -eq 2 &&
    sed -n 1p actual | grep -F "{\"query\": \"near right\", \"matches\": [{\"id\": \"right\", \"score\": 1.4142136, \"text\": \"to the\\tright\\nof it\"}, {\"id\": \"too\", \"score\": 1.4142136, \"text\": \"right too\"}]}" &&
    sed -n 2p actual | grep -F "{\"query\": \"to the\\tright\\nof it\", \"matches\": [{\"id\": \"too\", \"score\": 0, \"text\": \"right too\"}, {\"id\": \"up\", \"score\": 1.4142136, \"text\": \"above \\\"it\\\"\"}]}" &&
    ft-search -q --index index -k 2 --distance euclidean --json -o out <queries && cmp out actual &&
    test_expect_code 2 ft-search -q --index index --json -o out <queries &&
    ft-search -q --index index -k 1 --distance dot --json <queries >actual && test_grep "\"id\": \"far\", \"score\": 9," actual
'

test_expect_success 'more matches than there are documents: those there are' '
    ft-search -q --index index -k 1000000000 --json <queries >actual &&
    test "$(sed -n 1p actual | grep -o "\"id\"" | wc -l)" -eq 4 && test "$(sed -n 2p actual | grep -o "\"id\"" | wc -l)" -eq 3
'

test_expect_success 'no queries: a stream without records' '
    printf "%s\n" "{\"ft\":1,\"kind\":\"documents\",\"history\":[],\"seed\":0}" "{\"end\":0}" | ft-cat -q --from-text >none &&
    ft-search -q --index index <none >found && ft-cat -q found >text && test "$(wc -l <text)" -eq 2 &&
    test_expect_code 3 ft-search --index none <queries 2>messages && test_grep "none is empty" messages
'

test_expect_success 'usage: 2' '
    test_expect_code 2 ft-search 2>messages && test_grep "index FILE is missing" messages &&
    test_expect_code 2 ft-search --index index word 2>messages && test_grep "m MODEL is missing" messages &&
    test_expect_code 2 ft-search --index - <queries 2>messages && test_grep "cannot both be standard input" messages &&
    test_expect_code 2 ft-search --index index -k 0 <queries &&
    test_expect_code 2 ft-search --index index --prompt x <queries &&
    test_expect_code 2 ft-search -m nowhere --index index word
'

test_expect_success 'queries that cannot be: without embedding, with chunks, of other dimensions' '
    echo "{\"id\":\"b\",\"text\":\"t\"}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-search --index index <bad 2>messages >out && test_grep "standard input: document b: no embedding" messages &&
    test_expect_code 3 ft-cat out &&
    echo "{\"id\":\"c\",\"chunks\":[{\"text\":\"t\"}]}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-search --index index <bad 2>messages >out && test_grep "document c has chunks" messages &&
    echo "{\"id\":\"d\",\"embedding\":{\"\$tensor\":\"<f4\",\"shape\":[1],\"data\":\"AACAPw==\"}}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-search --index index <bad 2>messages >out && test_grep "queries have 1 dimensions, the index 2" messages
'

test_expect_success 'streams cut at any byte: queries, index' '
    test_cut_every_byte queries "ft-search -q --index index" &&
    test_cut_every_byte index "cat >index.tmp; ft-search -q --index index.tmp --json <queries"
'

test_expect_success 'the failure of a tool before is passed on, a full disk is 4' '
    printf "text,label\n\"a,b\n" | ft-ingest 2>/dev/null | { ft-search --index index 2>messages; echo $? >rc; } | ft-cat >/dev/null 2>last;
    test "$(cat rc)" -eq 3 && test ! -s messages && test_grep "ft-ingest failed: " last &&
    if test -w /dev/full; then
        test_expect_code 4 ft-search -q --index index <queries >/dev/full && test_expect_code 4 ft-search -q --index index --json <queries >/dev/full
    fi
'

model=$TOP/tests/golden/model/plain
if test -d "$model"; then
    printf "%s\n" "a lamp" "the table" "see you later" "good morning" "hello there" >lines
    ft-ingest -q --format lines lines >docs 2>/dev/null
    test_expect_success 'texts as operands: score, id and text a line, under the query when there are several' '
        ft-search -q -m "$model" --index docs -k 2 "a lamp" >actual &&
        test "$(wc -l <actual)" -eq 2 && sed -n 1p actual >first && printf "1.0000\tlines:1\ta lamp\n" >expect && test_cmp expect first &&
        ft-search -q -m "$model" --index docs -k 2 "a lamp" "the	table" >actual &&
        test "$(wc -l <actual)" -eq 7 &&
        sed -n "1p;4p;5p" actual >three && printf "a lamp\n\nthe table\n" >expect && test_cmp expect three &&
        sed -n 6p actual >first && printf "1.0000\tlines:2\tthe table\n" >expect && test_cmp expect first
    '
    test_expect_success 'an index embedded before gives the same' '
        ft-embed -q -m "$model" docs >embedded &&
        ft-search -q -m "$model" --index docs "a lamp" "good morning" >expect &&
        ft-search -q -m "$model" --index embedded "a lamp" "good morning" >actual && test_cmp expect actual &&
        ft-search -q -m "$model" --index - "a lamp" "good morning" <embedded >actual && test_cmp expect actual &&
        ft-search -q -m "$model" --index embedded --json <docs >expect && ft-search -q --index docs -m "$model" --json <embedded >actual &&
        test_cmp expect actual && ft-search -q --index embedded --json <embedded >actual && test_cmp expect actual
    '
else
    test_skip 'texts as operands' 'no tests/golden/model'
fi

test_done
