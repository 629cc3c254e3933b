#!/bin/sh
test_description='DocArray: files of DocumentArray.save_json in, files for load_json out'
. "$(dirname "$0")/../lib.sh"

# Made by docarray 0.21.0: tests/golden/docarray/make.py.
GOLDEN=$TOP/tests/golden/docarray
MODEL=$TOP/tests/golden/model/mean
RED=iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAEElEQVR4nGP8zwAFTDAGAwATKQED8NgHhAAAAABJRU5ErkJggg==

# docs FILE [OPTION...]: its documents, a line each; what is said goes to docs.err.
docs () {
    ft-ingest "$@" 2>docs.err >docs.ft && ft-cat -q docs.ft | sed "1d; \$d"
}

# refuses CODE PATTERN TEXT [OPTION...]: a file of this text.
refuses () {
    refuses_code=$1 refuses_pattern=$2
    printf "%s" "$3" >refused.json && shift 3 &&
    test_expect_code "$refuses_code" ft-ingest -q --format docarray "$@" refused.json >out 2>err &&
    test_grep "$refuses_pattern" err
}

test_expect_success 'labelled documents; what is null is not there' '
    docs "$GOLDEN/labeled.json" >got &&
    cat >want <<-\EOF &&
	{"id":"a","text":"hello \"ä😀\"","tags":{"finetuner_label":"greeting","n":3.0,"deep":{"x":null,"l":[1,"a",true]}}}
	{"id":"b","text":"bye\n\tthen","mime_type":"text/plain","weight":0.5,"tags":{"finetuner_label":"parting"}}
	{"id":"c","text":"hi","mime_type":"text/plain","uri":"hi.txt","tags":{"finetuner_label":"greeting"}}
	EOF
    test_cmp want got && test_grep "labeled.json: DocArray: labelled rows" docs.err &&
    cat "$GOLDEN/labeled.json" | docs - >got && test_cmp want got &&
    docs --format docarray "$GOLDEN/labeled.json" >got && test_cmp want got &&
    docs --where finetuner_label=parting "$GOLDEN/labeled.json" >got && test "$(wc -l <got)" -eq 1 && test_grep "\"b\"" got &&
    docs --limit 2 "$GOLDEN/labeled.json" >got && test "$(wc -l <got)" -eq 2
'

test_expect_success 'labels that were integers: DocArray writes 1 as true' '
    test_grep "true" "$GOLDEN/numbers.json" && docs "$GOLDEN/numbers.json" >got &&
    printf "%s\n" "{\"id\":\"a\",\"text\":\"one\",\"tags\":{\"finetuner_label\":\"1\"}}" "{\"id\":\"b\",\"text\":\"two\",\"tags\":{\"finetuner_label\":\"2.5\"}}" >want &&
    test_cmp want got
'

test_expect_success 'a text and an image, in either order' '
    docs "$GOLDEN/text-image.json" >got && test "$(wc -l <got)" -eq 3 &&
    head -1 got >first && tail -1 got >last && sed -n "2s/\"blob\".*}}/.../p" got >second &&
    cat >want <<-EOF &&
	{"id":"p","chunks":[{"id":"p-0","text":"a red picture","modality":"text","tags":{"role":"anchor"}},{"id":"p-1","blob":{"\$bin":"$RED"},"mime_type":"image/png","modality":"image","tags":{"role":"positive"}}]}
	EOF
    test_cmp want first &&
    test_grep "^{\"id\":\"q\",\"chunks\":\[{\"id\":\"q-1\",\"text\":\"a blue picture\",\"modality\":\"text\",\"tags\":{\"role\":\"anchor\"}},{\"id\":\"q-0\"," second &&
    test_grep "{\"id\":\"r-1\",\"uri\":\"https://example.org/x.jpg\",\"mime_type\":\"image/jpeg\",\"modality\":\"image\",\"tags\":{\"role\":\"positive\"}}" last &&
    test_grep "DocArray: texts with images" docs.err
'

test_expect_success 'scores, triplets, sessions' '
    docs "$GOLDEN/scored.json" "$GOLDEN/scored.json" >got && test "$(wc -l <got)" -eq 4 && test_grep "\"finetuner_score\":0.9" got &&
    test_grep "^{\"id\":\"t\",\"tags\":{\"finetuner_score\":0.25},\"chunks\":\[{\"id\":\"t-0\",\"text\":\"c\",\"tags\":{\"role\":\"anchor\"}}" got &&
    docs "$GOLDEN/triplets.json" >got && test_grep "\"text\":\"q\".*anchor.*\"text\":\"p\".*positive.*\"text\":\"n\".*negative" got &&
    docs "$GOLDEN/session.json" >got && test_grep "\"text\":\"q\".*\"text\":\"good\".*positive.*\"text\":\"bad\".*negative" got &&
    printf "[{\"chunks\":[{\"text\":\"a\"},{\"text\":\"b\"}],\"tags\":{\"finetuner_score\":true}}]" >one.json && docs one.json >got &&
    test_grep "{\"id\":\"one.json:1:1\",\"tags\":{\"finetuner_score\":1.0}" got
'

test_expect_success 'images, tensors, embeddings, matches, chunks of chunks' '
    docs "$GOLDEN/images.json" >got && test_grep "{\"id\":\"a\",\"blob\":{\"\$bin\":\"$RED\"},\"modality\":\"image\"" got && test_grep "\"uri\":\"b.png\"" got &&
    ft-ingest -q "$GOLDEN/vectors.json" | ft-cat -q --full | sed -n 2p >got &&
    test_grep "\"tensor\":{\"\$tensor\":\"<f4\",\"shape\":\[3\],\"data\":\"AACAPwAAIEAAAEDA\"},\"tags\":{\"finetuner_label\":\"x\"}" got &&
    docs "$GOLDEN/tensors.json" >got && test_grep "{\"id\":\"a\",\"tensor\":{\"tensor\":\"<f4 \[2,2,3\]\"}}" got &&
    docs "$GOLDEN/embedded.json" >got && test_grep "{\"id\":\"e\",\"embedding\":{\"tensor\":\"<f4 \[2\]\"},\"tags\":{\"k\":\"v\"}}" got &&
    docs "$GOLDEN/matches.json" >got &&
    test_grep "\"embedding\":{\"tensor\":\"<f4 \[3\]\"},\"matches\":\[{\"id\":\"i1\",\"text\":\"t1\",\"embedding\":{\"tensor\":\"<f4 \[3\]\"},\"scores\":{\"cosine\":{\"value\":0.0}}}" got &&
    docs "$GOLDEN/nested.json" >got && test_grep "\"text\":\"a page\",\"chunks\":\[{\"id\":\"n0\",\"text\":\"a line\",\"chunks\":\[{\"id\":\"n00\"" got
'

test_expect_success 'an array of rows that are no documents of DocArray goes by its keys' '
    printf "[\n{\"text\":\"a\",\"label\":\"x\",\"lang\":\"en\"},\n{\"text\":\"b\",\"label\":\"y\",\"lang\":\"de\"}\n]\n" >rows.json && docs rows.json >got &&
    printf "%s\n" "{\"id\":\"rows.json:2:1\",\"text\":\"a\",\"tags\":{\"finetuner_label\":\"x\",\"lang\":\"en\"}}" \
        "{\"id\":\"rows.json:3:2\",\"text\":\"b\",\"tags\":{\"finetuner_label\":\"y\",\"lang\":\"de\"}}" >want && test_cmp want got &&
    printf "[{\"q\":\"a\",\"d\":\"b\"}]" >rows.json && docs --pairs --columns anchor=q,positive=d rows.json >got && test_grep "\"text\":\"b\",\"tags\":{\"role\":\"positive\"" got
'

test_expect_success 'broken JSON: file, line, which document' '
    refuses 3 "refused.json:2: document 2: byte .*expected" "[{\"text\":\"a\"},
{\"text\" \"b\"}]" &&
    refuses 3 "refused.json:3: document 1: byte" "[{\"text\":
\"a\",
\"uri\"}]" &&
    refuses 3 "refused.json:1: document 2: the file ends inside it" "[{\"text\":\"a\"},{\"text\":\"b\"" &&
    refuses 3 "refused.json:1: behind document 1: the file ends inside the array" "[{\"text\":\"a\"}" &&
    refuses 3 "behind document 1: expected , or \]" "[{\"text\":\"a\"} {\"text\":\"b\"}]" &&
    refuses 3 "behind document 1: goes on behind the array" "[{\"text\":\"a\"}] x" &&
    refuses 3 "behind document 1: expected an object" "[{\"text\":\"a\"},]" &&
    refuses 3 "the array is empty" "[ ]" && refuses 3 "begins with an object" "{\"text\":\"a\"}" && refuses 3 "no JSON array" "text" &&
    refuses 3 "document 1: \"weight\": expected a number" "[{\"text\":\"a\",\"weight\":\"x\"}]" &&
    refuses 3 "document 1: chunks 2: \"tags\": expected an object" "[{\"chunks\":[{\"text\":\"a\"},{\"text\":\"b\",\"tags\":[1]}]}]" &&
    refuses 3 "NaN or Infinity" "[{\"text\":\"a\",\"embedding\":[1,NaN]}]" &&
    refuses 3 "\"tensor\": expected finite numbers" "[{\"tensor\":[[1,2],[3]]}]" && refuses 3 "\"tensor\": expected finite" "[{\"tensor\":[1,[2]]}]" &&
    refuses 3 "\"embedding\" has 2 dimensions" "[{\"text\":\"a\",\"embedding\":[[1],[2]]}]" &&
    refuses 3 "\"tensor\": an object without.*protocol=.protobuf." "[{\"id\":\"a\",\"tensor\":{\"sparse\":{}}}]" &&
    dense="[{\"tensor\":{\"dense\":{\"buffer\"" &&
    refuses 3 "\"tensor\": numbers of type unknown" "$dense:\"AA==\"}}}]" && refuses 3 "type >f4, expected <f4" "$dense:\"AACAPw==\",\"shape\":[1],\"dtype\":\">f4\"}}}]" &&
    refuses 3 "type <f2" "$dense:\"AAA=\",\"shape\":[1],\"dtype\":\"<f2\"}}}]" && refuses 3 "base64" "$dense:\"AA\",\"shape\":[1],\"dtype\":\"|u1\"}}}]" &&
    for shape in "[2]" "[]" "[0]" "[-1]" "[1,1,1,1,1,1,1,1,1]" "{}" "[9223372036854775807,4]" "[\"1\"]"; do
        refuses 3 "1 bytes of numbers that do not fill" "$dense:\"AA==\",\"shape\":$shape,\"dtype\":\"|u1\"}}}]" || return 1
    done &&
    refuses 3 "do not fill" "$dense:\"AAAAAAAA\",\"shape\":[1],\"dtype\":\"<f4\"}}}]" && refuses 3 "expected finite" "$dense:\"AADAfw==\",\"shape\":[1],\"dtype\":\"<f4\"}}}]" &&
    refuses 3 "nothing in it" "[{\"id\":\"a\",\"tags\":{}}]" &&
    refuses 3 "document 2: unlabelled rows, expected labelled rows as in the documents before" "[{\"text\":\"a\",\"tags\":{\"finetuner_label\":\"x\"}},{\"text\":\"b\"}]" &&
    refuses 3 "unlabelled rows, expected pairs" "[{\"text\":\"a\"}]" --pairs && refuses 3 "not a picture" "[{\"blob\":\"AAAA\"}]" &&
    refuses 3 "nested deeper" "[{\"text\":\"a\",\"tags\":{\"x\":$(printf "%030d" 0 | tr 0 "[")$(printf "%030d" 0 | tr 0 "]")}}]"
'

test_expect_success 'numbers and names of protocol protobuf are those of the other' '
    for name in kinds words; do
        docs --format docarray "$GOLDEN/$name.json" >out && sed "s/0.051158[0-9]*/0.051158488/" out | tr "{,}" "\n" | sort >want && docs --format docarray "$GOLDEN/$name.protobuf.json" >got &&
        tr "{,}" "\n" <got | sort >sorted && test_cmp want sorted && test "$(wc -l <got)" -gt 1 && docs "$GOLDEN/$name.protobuf.json" >auto && test_cmp got auto || return 1
    done &&
    test_grep "\"parent_id\"\|parentId\|mimeType" got; test $? -eq 1 && test_grep "\"mime_type\":\"text/plain\"" got && test_grep "\"embedding\"" got &&
    ft-ingest -q "$GOLDEN/kinds.protobuf.json" | ft-cat -q --full >got && test_grep "\"i1\"" got && test "$(grep -c "\"data\":" got)" -eq 13
'

test_expect_success 'bad documents are left out as told, and the rest is read' '
    printf "[{\"text\":\"a\"},{\"text\":},{\"text\":\"c\"},7]" >bad.json &&
    docs --format docarray --max-errors 2 bad.json >got && printf "%s\n" "{\"id\":\"bad.json:1:1\",\"text\":\"a\"}" "{\"id\":\"bad.json:1:3\",\"text\":\"c\"}" >want &&
    test_cmp want got && test_grep "bad=2" docs.err &&
    test_expect_code 1 ft-ingest -q --format docarray --max-errors 1 bad.json >out
'

test_expect_success 'a file cut at any byte is an error' '
    ft-ingest -q "$GOLDEN/session.json" >whole && size=$(wc -c <"$GOLDEN/session.json") && at=0 &&
    while test $at -lt $size; do
        head -c $at "$GOLDEN/session.json" >cut.json && test_expect_code 3 ft-ingest -q --format docarray cut.json >out 2>err || return 1
        at=$((at + 1))
    done
'

test_expect_success 'one line of more than a line may have is read document by document' '
    awk "BEGIN { x = sprintf(\"%1000s\", \"\"); printf \"[\"; for (i = 0; i < 18000; i++) printf \"%s{\\\"id\\\": \\\"%d\\\", \\\"text\\\": \\\"t%s\\\"}\", i ? \", \" : \"\", i, x; print \"]\" }" >long.json &&
    test "$(wc -c <long.json)" -gt 16777216 && test "$(wc -l <long.json)" -eq 1 &&
    (limit_memory 60000 && ft-ingest -q long.json >long.ft) && ft-cat -q long.ft | sed "1d; \$d" >got && test "$(wc -l <got)" -eq 18000 && test_grep "\"id\":\"17999\"" got
'

test_expect_success 'files of save_binary are refused, with the Python that converts them' '
    for name in pickle pickle-array protobuf protobuf-array; do
        cp "$GOLDEN/two.$name.bin" . && for format in docarray auto; do
            test_expect_code 3 ft-ingest -q --format $format two.$name.bin >out 2>err && test "$(wc -l <err)" -eq 1 &&
            test_grep "A.load_binary(.two.$name.bin., .$name.).save_json(.two.$name.bin.json.)" err || return 1
        done
    done &&
    cp "$GOLDEN/two.gzip.bin" "$GOLDEN/two.lz4.bin" . &&
    test_expect_code 3 ft-ingest -q --format docarray two.gzip.bin >out 2>err && test_grep ".pickle-array., .gzip.)" err &&
    test_expect_code 3 ft-ingest -q two.lz4.bin >out 2>err && test_grep ".pickle., .lz4.)" err &&
    test_expect_code 3 ft-ingest -q --format docarray - <two.pickle.bin >out 2>err && test_grep "load_binary(.FILE." err &&
    cp two.pickle.bin "it'"'"'s.bin" && test_expect_code 3 ft-ingest -q "it'"'"'s.bin" >out 2>err && test_grep "load_binary(.FILE." err
'

test_expect_success 'written: fields as they are, numbers with a point, bytes as base64' '
    for name in labeled numbers text-image scored triplets images vectors tensors matches embedded nested many; do
        ft-ingest -q "$GOLDEN/$name.json" >one.ft && ft-export -q --to docarray one.ft >again.json && ft-ingest -q again.json | ft-cat -q --full | sed "1d" >got &&
        ft-cat -q --full one.ft | sed "1d" >want && sed "\$d" got >got2 && sed "\$d" want >want2 && test_cmp want2 got2 || return 1
    done &&
    ft-ingest -q "$GOLDEN/matches.json" | ft-export -q --to docarray >got &&
    printf "[\n%s\n]\n" "{\"id\": \"q\", \"text\": \"t1\", \"embedding\": [1.0, 1.0, 0.100000001], \"matches\": [{\"id\": \"i1\", \"text\": \"t1\", \"embedding\": [1.0, 1.0, 0.100000001], \"scores\": {\"cosine\": {\"value\": 0.0}}}, {\"id\": \"i2\", \"text\": \"t2\", \"embedding\": [2.0, 1.0, 0.200000003], \"scores\": {\"cosine\": {\"value\": 0.051158487796783447}}}]}" >want &&
    test_cmp want got &&
    ft-ingest -q "$GOLDEN/images.json" | ft-export -q -o images.json && test_grep "\"blob\": \"$RED\"" images.json
'

test_expect_success 'written: embeddings of ft-embed, a tag that is an integer, a field of ours' '
    printf "{\"text\":\"the cat\",\"n\":1,\"big\":{\"deep\":[0]}}\n" >one.jsonl && ft-ingest -q one.jsonl | ft-embed -q -m "$MODEL" >one.ft &&
    ft-export -q --to docarray one.ft >got &&
    test_grep "\"tags\": {\"n\": 1.0, \"big\": {\"deep\": \[0\]}}" got && test_grep "\"embedding\": \[-\{0,1\}[0-9.e-]*, " got &&
    ft-cat -q --full one.ft | sed -n "2s/{/{\"ours\":{\"\$tensor\":\"<f4\",\"shape\":[1],\"data\":\"AACAPw==\"},/p" | ft-cat -q --from-text >ours.ft &&
    ft-export -q --to docarray ours.ft >got && test_grep "\"big\": {\"deep\": \[0\]}, \"ours\": \[1.0\]}}" got &&
    ft-cat -q --full one.ft | sed -n "2s/the cat/\\\\u0001 \\\\\"/p" | ft-cat -q --from-text | ft-export -q --to docarray >got && test_grep "\"text\": \"\\\\u0001 \\\\\"\"" got
'

test_expect_success 'written: a field of ours with a long name is not lost to one that begins like it; a key that is a number is refused' '
    long=$(printf "%070d" 0) && printf "{\"id\":\"a\",\"text\":\"x\",\"${long}1\":1,\"tags\":{\"$(printf "%063d" 0)\":2,\"t\":3}}\n" | ft-cat -q --from-text >own.ft &&
    ft-export -q --to docarray own.ft >got && test_grep "\"tags\": {\"0\{63\}\": 2.0, \"t\": 3.0, \"${long}1\": 1.0}" got &&
    printf "{\"\$msgpack\":\"%s\"}\n" "$(printf "\203\242id\241a\244text\241x\313\077\370\377\377\377\377\377\377\001" | base64 -w 0)" | ft-cat -q --from-text >odd.ft &&
    test_expect_code 3 ft-export -q --to docarray odd.ft 2>err >out && test_grep "document a: a key that is no string, which JSON has no word for" err
'

test_expect_success 'written: none at all is an empty array; what exists stays; a stream cut anywhere leaves no file' '
    ft-ingest -q --where text=nothing "$GOLDEN/labeled.json" | ft-export -q --to docarray >got && test "$(cat got)" = "[]" &&
    echo mine >there.json && test_expect_code 2 ft-export -q -o there.json one.ft 2>err && test "$(cat there.json)" = mine &&
    test_expect_code 2 ft-export -q --to docarray --precision int8 -o x.json one.ft && test_expect_code 2 ft-export -q -m "$MODEL" --to docarray -o x.json &&
    ft-ingest -q "$GOLDEN/scored.json" >small && test_before="rm -f cut.json" &&
    test_cut_every_byte small "ft-export -q --to docarray -o cut.json || { test ! -e cut.json || exit 0; exit 3; }"
'

# Both ways with the library itself, where there is one: FT_DOCARRAY names its Python.
PYTHON=${FT_DOCARRAY:-python3}
if "$PYTHON" -c "import docarray, PIL; assert docarray.__version__ == '0.21.0'" >/dev/null 2>&1; then
    test_expect_success 'docarray 0.21.0 reads and writes the same' '
        "$PYTHON" "$GOLDEN/check.py" "$GOLDEN" "$MODEL"
    '
else
    test_skip 'docarray 0.21.0 reads and writes the same' 'no Python with docarray 0.21.0 (FT_DOCARRAY names one)'
fi

test_done
