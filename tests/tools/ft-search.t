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
    test_expect_code 3 ft-search --index index <bad 2>messages >out && test_grep "document c: has chunks" messages &&
    echo "{\"id\":\"d\",\"embedding\":{\"\$tensor\":\"<f4\",\"shape\":[1],\"data\":\"AACAPw==\"}}" | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-search --index index <bad 2>messages >out && test_grep "queries have 1 dimensions, the index 2" messages
'

golden=$TOP/tests/golden/eval
ft-cat -q --from-text "$golden/probe.index" >probe.index && ft-cat -q --from-text "$golden/probe.docs" >probe.docs

test_expect_success '--vote: tags of documents, the share of right ones is knn of ft-eval; texts and JSON have all labels' '
    ft-search -q --index probe.index --vote -k 7 <probe.docs >voted && ft-cat -q voted | sed "1d;\$d" >lines && test "$(wc -l <lines)" -eq 60 &&
    test_grep "\"tags\":{\"finetuner_label\":\"class [0-4]\",\"predicted_label\":\"class [0-4]\",\"predicted_score\":[0-9.]*},\"matches\":" lines &&
    right=$(grep -c "\"finetuner_label\":\"\(class [0-4]\)\",\"predicted_label\":\"\1\"" lines) &&
    ft-eval -q -k 7 --metrics knn --index probe.index probe.docs >knn && echo "$right" | awk "{ printf \"knn@7\t%.4f\n\", \$1 / 60 }" >expect &&
    test_cmp expect knn &&
    ft-search -q --index probe.index --vote -k 1 --distance dot <voted | ft-cat -q | sed -n 2p >again &&
    test "$(grep -o predicted_label again | wc -l)" -eq 1 &&
    ft-search -q --index probe.index --vote -k 7 --json <probe.docs >json && test "$(wc -l <json)" -eq 60 &&
    test_grep "\"label\": \"class [0-4]\", \"confidence\": [01][.0-9]*, \"labels\": {\"class [0-4]\": .*}, \"matches\": \[{" json
'

test_expect_success '--vote: equally many go to the nearest, neighbours without a label have no vote' '
    sed "1s/class [0-9]*/one/; 2s/class [0-9]*/two/; 3,\$d" "$golden/probe.index" >two && head -1 two | sed "s/\"i0\"/\"q\"/; s/text of i0/a query/" >q &&
    ft-cat -q --from-text two >two.ft && ft-cat -q --from-text q >q.ft && ft-search -q --vote --json --index two.ft <q.ft >actual &&
    test_grep "\"label\": \"one\", \"confidence\": 0.5, \"labels\": {\"one\": 0.5, \"two\": 0.5}" actual &&
    sed "1s/finetuner_label/other/" two | ft-cat -q --from-text >one.ft && ft-search -q --vote --json --index one.ft <q.ft >actual &&
    test_grep "\"label\": \"two\", \"confidence\": 1, \"labels\": {\"two\": 1}" actual &&
    sed "s/finetuner_label/other/" two | ft-cat -q --from-text >none.ft && ft-search -q --vote --json --index none.ft <q.ft >actual &&
    test_grep "\"label\": null, \"confidence\": 0, \"labels\": {}" actual &&
    ft-search -q --vote --index none.ft <q.ft | ft-cat -q >actual && ! grep predicted actual && test_grep "finetuner_label" actual
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
        sed -n 6p actual >first && printf "1.0000\tlines:2\tthe table\n" >expect && test_cmp expect first &&
        printf "text,label\na lamp,thing\nthe table,thing\nhello there,greeting\n" >labels.csv && ft-ingest -q labels.csv >labels 2>/dev/null &&
        ft-search -q -m "$model" --index labels --vote "a lamp" >actual && printf "0.6667\tthing\n0.3333\tgreeting\n" >expect && test_cmp expect actual
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
