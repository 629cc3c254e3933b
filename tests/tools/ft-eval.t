#!/bin/sh
test_description='ft-eval: metrics against a brute force, relevance, comparisons, refusals, cut streams'
. "$(dirname "$0")/../lib.sh"

golden=$TOP/tests/golden/eval

# v NUMBER...: a tensor of one dimension for ft-cat --from-text. Only small whole numbers.
v () {
    printf '{"$tensor":"<f4","shape":[%d],"data":"' $#
    for number; do
        case $number in
        0) printf '\000\000\000\000' ;;
        1) printf '\000\000\200\077' ;;
        -1) printf '\000\000\200\277' ;;
        2) printf '\000\000\000\100' ;;
        3) printf '\000\000\100\100' ;;
        nan) printf '\000\000\300\177' ;;
        esac
    done | base64 -w 0
    printf '"}'
}

# doc ID LABEL NUMBER...
doc () {
    doc_id=$1 doc_label=$2
    shift 2
    printf '{"id":"%s","text":"text of %s","tags":{"finetuner_label":"%s"},"embedding":%s}\n' "$doc_id" "$doc_id" "$doc_label" "$(v "$@")"
}

# stream_of MODEL: documents on standard input as a stream, embedded by the model of this checksum.
stream_of () {
    { printf '{"ft":1,"kind":"documents","history":[],"seed":0,"model":"%s","dim":2}\n' "$1"; cat; echo '{"end":0}'; } >stream_of.text
    sed -i "\$s/.*/{\"end\":$(($(wc -l <stream_of.text) - 2))}/" stream_of.text
    ft-cat -q --from-text stream_of.text
}

cp "$golden"/* .
for file in *.docs *.index; do
    ft-cat -q --from-text "$file" >made && mv made "$file"
done

while read -r name arguments; do
    test_expect_success "$name: every metric is the brute force's ($arguments)" "
        ft-eval $name.docs $arguments --json >actual &&
        test_cmp $name.json actual &&
        ft-eval $arguments --json --threads 1 <$name.docs >one &&
        ft-eval $arguments --json --threads 3 <$name.docs >three &&
        cmp actual one && cmp actual three
    "
done <"$golden/cases"

{ doc a x 1 0; doc b x 2 1; doc c y 0 1; doc d y 0 2; doc e z 3 3; } >five
ft-cat -q --from-text five >five.ft

test_expect_success 'plain text: one name and value a line, what was left out on standard error' '
    printf "%s\t%s\n" acc@1 1.0000 precision@2 0.5000 recall@2 1.0000 hit@2 1.0000 mrr 1.0000 map 1.0000 rprecision 1.0000 \
        ndcg@2 1.0000 knn@2 1.0000 >expect &&
    { doc a x 1 0; doc b x 1 0; doc c y 0 1; doc d y 0 1; doc e z 3 3; } | ft-cat -q --from-text | ft-eval -k 2 >actual 2>messages &&
    test_cmp expect actual &&
    test_grep "^ft-eval: 1 of 5 queries have nothing relevant in the index and are left out$" messages &&
    test_grep "^ft-eval: 4 queries, 5 documents, relevant by labels, cosine$" messages &&
    test_grep "^ft-eval: in=5 out=4 bad=0 secs=" messages
'

test_expect_success 'only the same id and content is the query itself' '
    { doc a x 1 0; doc b x 0 1; } | ft-cat -q --from-text >queries &&
    { doc a x 1 0; doc d y 1 0; doc c x 1 0; } | ft-cat -q --from-text >index &&
    ft-eval -q -k 1 --json queries --index index >actual &&
    test_grep "\"acc@1\": 0.5, .*\"map\": 0.6666666667," actual &&
    sed "s/text of a/changed/" five >changed && head -1 changed | ft-cat -q --from-text >query &&
    ft-eval -q -k 1 --json query --index index >actual &&
    test_grep "\"map\": 0.8333333333," actual
'

test_expect_success '--before RESULT.json: a table with the change, and in JSON its metrics under before' '
    ft-eval -q -k 2 --json five.ft >old.json &&
    ft-eval -q -k 2 --distance euclidean five.ft --before old.json >actual &&
    head -1 actual >first && printf "%-16s %8s %8s %8s\n" metric before after change >expect && test_cmp expect first &&
    test "$(wc -l <actual)" -eq 10 && test_grep "^map  *0.8750 *1.0000 *+0.1250$" actual &&
    ft-eval -q -k 2 --distance euclidean five.ft --json >plain &&
    ft-eval -q -k 2 --distance euclidean five.ft --json --before old.json >both &&
    { sed "s/}}$/}, \"before\": /" plain | tr -d "\n"; sed "s/.*\"metrics\": //" old.json; } >expect &&
    test_cmp expect both &&
    ft-eval -q -k 2 five.ft --before both >/dev/null &&
    test_expect_code 2 ft-eval -k 3 five.ft --before old.json 2>messages && test_grep "made with -k 2, now it is -k 3" messages &&
    echo "{\"queries\":1,\"k\":2}" >bad.json &&
    test_expect_code 3 ft-eval -k 2 five.ft --before bad.json 2>messages && test_grep "bad.json: no number \"acc@1\"" messages &&
    echo "{" >bad.json && test_expect_code 3 ft-eval -k 2 five.ft --before bad.json
'

test_expect_success '--min: 1 with a line for each metric that falls short, the result is printed all the same' '
    ft-eval -q -k 2 five.ft --min map=.1 --min recall@2=0.1 >expect &&
    test_expect_code 1 ft-eval -q -k 2 five.ft --min map=1.5 --min recall=.1 --min knn=1.5 >actual 2>messages &&
    test_cmp expect actual &&
    test "$(grep -c "expected at least" messages)" -eq 2 && test_grep "^ft-eval: map is 0\.[0-9]*, expected at least 1.5$" messages &&
    test_grep "^ft-eval: knn@2 is" messages &&
    test_expect_code 2 ft-eval five.ft --min map 2>messages && test_grep "expected METRIC=X" messages &&
    test_expect_code 2 ft-eval five.ft --min mep=1 2>messages && test_grep "known are acc@1 precision@20" messages &&
    test_expect_code 1 ft-eval -q five.ft --min recall@5=1.1 >actual 2>messages && test_grep "^recall@5	" actual &&
    test_expect_code 2 ft-eval five.ft --min map=much
'

test_expect_success 'knn without labels is not defined: null, "-", and no minimum is met' '
    ft-eval -q --qrels qrels.qrels --index qrels.index qrels.docs >actual && test_grep "^knn@20	-$" actual &&
    test_expect_code 1 ft-eval -q --qrels qrels.qrels --index qrels.index qrels.docs --min knn=0 2>messages &&
    test_grep "knn@20 is not defined here" messages
'

test_expect_success '-o: the file appears whole, an old one stays without --force' '
    ft-eval -q -k 2 --json five.ft -o result && ft-eval -q -k 2 --json five.ft | cmp result - &&
    test_expect_code 2 ft-eval five.ft -o result 2>messages && test_grep "add --force" messages &&
    ft-eval -q -k 3 five.ft -o result --force && test_grep "^recall@3" result
'

qrels_error () {
    printf "$1" >bad.qrels
    test_expect_code "${3:-3}" ft-eval -q five.ft --qrels bad.qrels 2>messages && test_grep "$2" messages
}

test_expect_success 'qrels: every complaint names file and line' '
    qrels_error "a 0 b 1\na c 0\nb c\n" "bad.qrels:3: 2 columns, expected" &&
    qrels_error "a 0 b 1\n\na\tb\tmuch\n" "bad.qrels:3: expected a number in the last column, got .much." &&
    qrels_error "a 0 b nan\n" "bad.qrels:1: expected a number" &&
    qrels_error "a\t\t1\n" "bad.qrels:1: an empty id" &&
    qrels_error "a 0 b 1 x\n" "bad.qrels:1: 5 columns or more" &&
    qrels_error "a 0 b 1\nb 0 c 1\na\tb\t2\n" "bad.qrels:3: the same two ids as in line 1" &&
    qrels_error "" "bad.qrels: no judgements" &&
    qrels_error "a 0 nobody 1\n" "no query has anything relevant" &&
    test_expect_code 4 ft-eval -q five.ft --qrels absent 2>messages && test_grep "absent" messages &&
    cat five five | ft-cat -q --from-text >twice &&
    printf "a 0 b 1\n" >good.qrels &&
    test_expect_code 3 ft-eval -q twice --qrels good.qrels 2>messages && test_grep "good.qrels:1: two queries have this id" messages &&
    printf "a 0 b 1\na 0 nobody 1\nc 0 a 0\nc 0 d 1" >good.qrels &&
    ft-eval -k 1 --json five.ft --qrels good.qrels >actual 2>messages &&
    test_grep "good.qrels: 1 judgements are of a query or a document that is not here" messages &&
    test_grep "^{\"queries\": 2, " actual
'

test_expect_success 'embeddings that are missing, of other lengths, not finite' '
    { doc a x 1 0; echo "{\"id\":\"b\",\"text\":\"t\"}"; } | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-eval bad 2>messages && test_grep "^ft-eval: bad: document b: no embedding: add -m MODEL" messages &&
    { doc a x 1 0; doc b x 1 0 1; } | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-eval bad 2>messages && test_grep "document b: embedding has 3 dimensions, expected 2" messages &&
    { doc a x 1 0; doc b x 1 nan; } | ft-cat -q --from-text >bad &&
    test_expect_code 3 ft-eval bad 2>messages && test_grep "document b: embedding has a number that is not finite" messages &&
    doc a x 1 0 1 | ft-cat -q --from-text >three &&
    test_expect_code 3 ft-eval three --index five.ft 2>messages && test_grep "queries have 3 dimensions, the index 2" messages
'

test_expect_success 'embeddings of two models do not meet' '
    stream_of 00112233 <five >one && stream_of 00112233 <five >same && stream_of 44556677 <five >two &&
    ft-eval -q one --index same >/dev/null && ft-eval -q one --index five.ft >/dev/null &&
    test_expect_code 3 ft-eval one --index two 2>messages &&
    test_grep "^ft-eval: two: embeddings of another model (44556677, the other stream.s are of 00112233)" messages
'

test_expect_success 'streams that say nothing: empty, without labels, other kinds, none' '
    printf "%s\n" "{\"ft\":1,\"kind\":\"documents\",\"history\":[],\"seed\":0}" "{\"end\":0}" | ft-cat -q --from-text >empty &&
    test_expect_code 3 ft-eval empty 2>messages && test_grep "^ft-eval: empty is empty$" messages &&
    test_expect_code 3 ft-eval five.ft --index empty 2>messages && test_grep "^ft-eval: empty is empty$" messages &&
    sed "s/\"finetuner_label\"/\"other\"/" five | ft-cat -q --from-text >unlabelled &&
    test_expect_code 3 ft-eval unlabelled 2>messages && test_grep "nothing says what is relevant" messages &&
    test_expect_code 3 ft-eval five.ft --index unlabelled 2>messages && test_grep "no query has anything relevant" messages &&
    echo "{\"id\":\"s\",\"chunks\":[{\"text\":\"a\",\"embedding\":$(v 1 0)},{\"text\":\"b\",\"embedding\":$(v 0 1)}]}" | ft-cat -q --from-text >scored &&
    test_expect_code 3 ft-eval scored 2>messages && test_grep "document s: no chunk is an anchor" messages &&
    printf "%s\n" "{\"ft\":1,\"kind\":\"batches\",\"history\":[],\"seed\":0}" "{\"end\":0}" | ft-cat -q --from-text >batches &&
    test_expect_code 3 ft-eval batches 2>messages && test_grep "expected documents, got batches" messages &&
    test_expect_code 3 ft-eval </dev/null 2>messages && test_grep "no stream: did the previous command start?" messages
'

test_expect_success 'usage: 2' '
    test_expect_code 2 ft-eval five.ft five.ft &&
    test_expect_code 2 ft-eval --index - <five.ft 2>messages && test_grep "cannot both be standard input" messages &&
    test_expect_code 2 ft-eval -k 0 five.ft &&
    test_expect_code 2 ft-eval --distance manhattan five.ft &&
    test_expect_code 2 ft-eval --normalize five.ft 2>messages && test_grep "need -m MODEL" messages &&
    test_expect_code 2 ft-eval -m nowhere five.ft
'

test_expect_success 'no answer from streams cut at any byte: queries, index' '
    test_cut_every_byte five.ft "ft-eval -q -k 2" &&
    { doc a x 1 0; doc b x 2 1; } | ft-cat -q --from-text >small &&
    test_cut_every_byte small "cat >index.tmp; ft-eval -q five.ft --index index.tmp"
'

test_expect_success 'the failure of a tool before is told, and nothing is printed' '
    printf "text,label\n\"a,b\n" | ft-ingest 2>/dev/null | { ft-eval >out 2>messages; echo $? >rc; } &&
    test "$(cat rc)" -eq 3 && test_grep "ft-ingest failed: " messages && test ! -s out
'

test_expect_success 'a full disk is 4' '
    if test -w /dev/full; then test_expect_code 4 ft-eval -q five.ft >/dev/full; fi
'

model=$TOP/tests/golden/model/plain other=$TOP/tests/golden/model/cls
if test -d "$model"; then
    cat >labelled.csv <<-'CSV'
	text,label
	hello there,greeting
	good morning,greeting
	see you later,farewell
	goodbye then,farewell
	a lamp,thing
	the table,thing
	CSV
    ft-ingest -q labelled.csv >docs 2>/dev/null
    test_expect_success 'a model on the way gives what its embeddings give, stream or index' '
        ft-embed -q -m "$model" docs >embedded &&
        ft-eval -q -k 2 --json embedded >expect &&
        ft-eval -q -k 2 --json -m "$model" docs >actual && test_cmp expect actual &&
        ft-eval -q -k 2 --json -m "$model" embedded >actual && test_cmp expect actual &&
        ft-eval -q -k 2 --json -m "$model" docs --index embedded >actual && test_cmp expect actual
    '
    test_expect_success '--before MODEL: both models look at the same documents' '
        ft-eval -q -k 2 --json -m "$other" docs >old.json &&
        ft-eval -q -k 2 --json -m "$model" docs --before old.json >expect &&
        ft-eval -q -k 2 --json -m "$model" docs --before "$other" >actual && test_cmp expect actual &&
        ft-eval -q -k 2 --json embedded --before "$other" >actual && test_cmp expect actual &&
        ft-eval -q -k 2 --json -m "$model" docs --index embedded --before "$other" >actual && test_cmp expect actual
    '
    test_expect_success 'embeddings of another model than -m are made again; a prompt for each side' '
        ft-eval -q -k 2 --json -m "$other" embedded >actual && test_cmp old.json actual &&
        ft-eval -q -k 2 --json -m "$model" docs --prompt "it is: " >expect &&
        ft-eval -q -k 2 --json -m "$model" docs --prompt "anchor=it is: " --prompt "positive=it is: " >actual && test_cmp expect actual &&
        ft-eval -q -k 2 --json -m "$model" docs --prompt "anchor=where is the lamp " >actual &&
        ft-eval -q -k 2 --json -m "$model" docs --prompt "anchor=where is the lamp " --index docs >expect && test_cmp expect actual &&
        ! cmp -s old.json actual
    '
else
    test_skip 'a model on the way' 'no tests/golden/model'
fi

test_done
