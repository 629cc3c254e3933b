#!/bin/sh
test_description='ft-export: models as directories, embeddings as files'
. "$(dirname "$0")/../lib.sh"

GOLDEN=$TOP/tests/golden/model

cat >docs.csv <<\EOF
text
the cat sat on the mat
"a dog, a ""cat"" & a bird"
zebra
EOF

test_expect_success 'set up' '
    ft-ingest --unlabeled docs.csv >documents &&
    ft-embed -m "$GOLDEN/dense" documents >embedded
'

test_expect_success 'npy: the header as numpy writes it, then the numbers' '
    ft-export --to npy -o docs.npy embedded &&
    test "$(wc -c <docs.npy)" -eq $((128 + 3 * 12 * 4)) &&
    printf "\223NUMPY\001\000v\000{%sdescr%s: %s<f4%s, %sfortran_order%s: False, %sshape%s: (3, 12), }" "'\''" "'\''" "'\''" "'\''" "'\''" \
        "'\''" "'\''" "'\''" >want &&
    while test "$(wc -c <want)" -lt 127; do printf " " >>want; done &&
    echo >>want &&
    head -c 128 docs.npy >got &&
    cmp want got
'

test_expect_success 'the ending of PATH is format enough; standard output has the same bytes' '
    ft-export -o again.npy <embedded && cmp docs.npy again.npy &&
    ft-export --to npy embedded >piped.npy && cmp docs.npy piped.npy &&
    ft-export --to npy embedded | cat >piped.npy && cmp docs.npy piped.npy
'

# same_numbers A B: line by line, as near as od prints them.
same_numbers () {
    test "$(wc -l <"$1")" -eq 36 && paste "$1" "$2" | awk '{ d = $1 - $2; if (NF != 2 || d > 1e-7 || d < -1e-7) { print; bad = 1 } } END { exit bad }'
}

# The float32 numbers of the npy, as od prints them, against those of the other two formats.
test_expect_success 'csv and jsonl hold the same numbers, and ids' '
    ft-export -o docs.csvx --to csv embedded && ft-export -o docs.jsonl embedded &&
    tail -c +129 docs.npy | od -An -v -tf4 -w4 >want &&
    tail -n +2 docs.csvx | cut -d, -f2- | tr , "\n" >got &&
    same_numbers want got &&
    sed "s/.*\[//; s/\].*//" docs.jsonl | tr , "\n" >got &&
    same_numbers want got &&
    test "$(head -1 docs.csvx)" = "id,0,1,2,3,4,5,6,7,8,9,10,11" &&
    test "$(sed 1d docs.csvx | cut -d, -f1 | tr "\n" " ")" = "docs.csv:2 docs.csv:3 docs.csv:4 " &&
    test_grep "^{\"id\": \"docs.csv:2\", \"embedding\": \[" docs.jsonl
'

test_expect_success 'odd ids are quoted' '
    printf "id,text\n\"a,b\",the cat\n\"q\"\"\",a dog\n" >ids.csv &&
    ft-ingest --unlabeled --columns id=id,text=text ids.csv | ft-embed -m "$GOLDEN/mean" >ids &&
    ft-export --to csv ids >out && test_grep "^\"a,b\"," out && test_grep "^\"q\"\"\"," out &&
    ft-export --to jsonl ids >out && test_grep "\"id\": \"q.\"\"" out
'

test_expect_success 'pairs: a row for each text' '
    printf "anchor,positive\nthe cat,a cat\na dog,the dog\n" >pairs.csv &&
    ft-ingest --pairs pairs.csv | ft-embed -m "$GOLDEN/mean" | ft-export --to csv >out &&
    test "$(wc -l <out)" -eq 5
'

test_expect_success 'no documents at all' '
    ft-ingest --unlabeled --where text=nothing docs.csv | ft-embed -m "$GOLDEN/dense" | ft-export --to npy >empty.npy &&
    test "$(wc -c <empty.npy)" -eq 128 && test_grep "(0, 12)" empty.npy
'

test_expect_success 'what exists is replaced with --force only' '
    echo mine >there.npy &&
    test_expect_code 2 ft-export -o there.npy embedded 2>err && test_grep "force" err &&
    test "$(cat there.npy)" = mine &&
    ft-export --force -o there.npy embedded && cmp there.npy docs.npy
'

test_expect_success 'a stream cut anywhere leaves no file' '
    test_before="rm -f cut.npy" &&
    head -2 docs.csv >small.csv &&
    ft-ingest --unlabeled small.csv | ft-embed -m "$GOLDEN/mean" >small &&
    test_cut_every_byte small "ft-export -q -o cut.npy || { test ! -e cut.npy || exit 0; exit 3; }"
'

# Files that numpy wrote of what sentence-transformers made: header and numbers alike.
GOLDEN_EXPORT=$TOP/tests/golden/export

test_expect_success 'few bits: the files that numpy and sentence-transformers make' '
    ft-ingest "$GOLDEN_EXPORT/embeddings.jsonl" >vectors &&
    for precision in int8 uint8 binary ubinary; do
        ft-export --precision $precision -o $precision.npy vectors && cmp $precision.npy "$GOLDEN_EXPORT/$precision.npy" || return 1
    done &&
    for precision in int8 uint8; do
        ft-export --precision $precision --calibration "$GOLDEN_EXPORT/calibration.npy" --to npy vectors >calibrated &&
        cmp calibrated "$GOLDEN_EXPORT/$precision-calibrated.npy" || return 1
    done
'

test_expect_success 'few bits as csv and jsonl: the numbers of the npy, and ids' '
    ft-export --precision int8 --to csv vectors >out.csv && ft-export --precision int8 --to jsonl vectors >out.jsonl &&
    tail -c +129 int8.npy | od -An -v -td1 -w1 | tr -d " " >want &&
    tail -n +2 out.csv | cut -d, -f2- | tr , "\n" >got && test "$(wc -l <want)" -eq 1560 && cmp want got &&
    sed "s/.*\[//; s/\].*//; s/ //g" out.jsonl | tr , "\n" >got && cmp want got &&
    test "$(sed -n 3p out.csv | cut -d, -f1)" = d1 &&
    ft-export --precision ubinary --to csv vectors >out.csv && test "$(head -1 out.csv)" = "id,0,1"
'

test_expect_success 'ranges of the exported rows are ranges of a file that holds them' '
    ft-export --precision fp32 -o all.npy vectors &&
    ft-export --precision int8 --calibration all.npy --to npy vectors >again && cmp again int8.npy
'

test_expect_success 'few bits: one row has no ranges, ranges of other dimensions, precisions of the other kind' '
    head -1 "$GOLDEN_EXPORT/embeddings.jsonl" | ft-ingest >one &&
    test_expect_code 2 ft-export --precision int8 -o one.npy one 2>err && test_grep "calibration FILE" err && test_no_file one.npy &&
    ft-export --precision int8 --calibration all.npy -o one.npy one && ft-export --precision binary -o one-binary.npy one &&
    test_expect_code 2 ft-export --precision int8 --calibration docs.npy -o x.npy vectors 2>err && test_grep "12 dimensions, expected 13" err &&
    test_expect_code 2 ft-export --precision binary --calibration all.npy -o x.npy vectors &&
    test_expect_code 2 ft-export --precision fp16 -o x.npy vectors 2>err && test_grep "is of models" err &&
    test_expect_code 2 ft-export --precision int8 -m "$GOLDEN/dense" -o x 2>err && test_grep "is of embeddings" err &&
    test_expect_code 4 ft-export --precision int8 --calibration none.npy -o x.npy vectors && test_no_file x.npy &&
    ft-ingest --where text=nothing "$GOLDEN_EXPORT/embeddings.jsonl" | ft-export --precision int8 --to npy >empty.npy &&
    test_grep "|i1" empty.npy
'

test_expect_success 'a stream cut anywhere leaves no quantized file' '
    test_before="rm -f cut.npy" &&
    head -3 docs.csv | ft-ingest --unlabeled | ft-embed -m "$GOLDEN/mean" >two &&
    test_cut_every_byte two "ft-export -q --precision uint8 -o cut.npy || { test ! -e cut.npy || exit 0; exit 3; }"
'

test_expect_success 'an upstream failure is passed on' '
    head -c 100 documents >bad &&
    (stage embed ft-embed -m "$GOLDEN/mean" bad | stage export ft-export -o bad.npy) &&
    stage_code embed 3 && stage_code export 3 && test_no_file bad.npy
'

for format in npy csv jsonl; do
    if test -c /dev/full; then
        test_expect_success "a full disk is a failure: $format" '
            test_expect_code 4 ft-export --to $format embedded >/dev/full
        '
    else
        test_skip "a full disk is a failure: $format" "no /dev/full"
    fi
done

test_expect_success 'documents without embeddings, batches, no format' '
    test_expect_code 3 ft-export --to npy documents 2>err && test_grep "add ft-embed" err &&
    test_expect_code 2 ft-export embedded 2>err && test_grep "which format" err &&
    test_expect_code 2 ft-export --to sentence-transformers -o x embedded 2>err && test_grep "takes a model" err &&
    printf "text,label\na,1\na b,1\nb,2\nb c,2\n" >labels.csv &&
    ft-ingest --labeled labels.csv | ft-sample >batches &&
    test_expect_code 3 ft-export --to npy batches 2>err && test_grep "batches" err
'

test_expect_success 'a model as a directory that is the same model' '
    ft-export -m "$GOLDEN/dense" --to sentence-transformers -o model &&
    ft-embed -m model documents >again &&
    ft-export --to npy again >again.npy && cmp docs.npy again.npy &&
    test -f model/modules.json && test -f model/tokenizer.json && test ! -L model/tokenizer.json
'

# What a model of half the bytes gives is what its weights, rounded, give: the golden models f16 and bf16 are dense, rounded.
for precision in fp16 bf16; do
    test_expect_success "a model in $precision: half the bytes, said in config.json, read back" '
        rm -rf narrow && ft-export -m "$GOLDEN/dense" --precision $precision -o narrow &&
        test_grep "\"dtype\": \"b\{0,1\}float16\"" narrow/config.json &&
        whole=$(wc -c <model/model.safetensors) && half=$(wc -c <narrow/model.safetensors) &&
        test $half -lt $((whole * 6 / 10)) && ! grep -q "F32" narrow/model.safetensors && ! grep -q "F32" narrow/2_Dense/model.safetensors &&
        ft-embed -m narrow documents | ft-export --to csv >got && tail -n +2 got | cut -d, -f2- | tr , "\n" >numbers &&
        ft-embed -m "$GOLDEN/dense" documents | ft-export --to csv >got && tail -n +2 got | cut -d, -f2- | tr , "\n" >want &&
        ! cmp -s numbers want &&
        paste numbers want | awk "{ d = \$1 - \$2; if (d > .02 || d < -.02) bad = 1 } END { exit bad || NR != 36 }"
    '
done

test_expect_success 'and the same bytes when that is exported again' '
    ft-export -m narrow --precision bf16 -o twice && cmp narrow/model.safetensors twice/model.safetensors &&
    ft-export -m narrow -o wide && test_grep "\"dtype\": \"float32\"" wide/config.json &&
    ft-export -m wide --precision bf16 -o thrice && cmp narrow/model.safetensors thrice/model.safetensors
'

# The file itself is held against llama.cpp's converter by tests/model/test-gguf.c.
test_expect_success 'gguf: one file, by --to or by the ending of PATH, the same bytes' '
    ft-export -m "$GOLDEN/mean" --to gguf -o model.llama && ft-export -m "$GOLDEN/mean" -o mean.gguf && cmp model.llama mean.gguf &&
    test "$(head -c 4 mean.gguf)" = GGUF &&
    ft-export -m "$GOLDEN/mean" --precision fp16 -o half.gguf && test "$(wc -c <half.gguf)" -lt "$(wc -c <mean.gguf)" &&
    test_expect_code 2 ft-export -m "$GOLDEN/mean" -o mean.gguf 2>err && test_grep "force" err && cmp model.llama mean.gguf &&
    ft-export -m "$GOLDEN/cls" -o mean.gguf --force && ! cmp -s model.llama mean.gguf &&
    test_expect_code 2 ft-export -m "$GOLDEN/dense" -o dense.gguf 2>err && test_grep "behind its pooling" err && test_no_file dense.gguf &&
    test_expect_code 2 ft-export --to gguf -o x embedded 2>err && test_grep "takes a model" err &&
    mkdir folder && test_expect_code 2 ft-export -m "$GOLDEN/mean" --to gguf -o folder --force &&
    ls -a >list && ! grep -e tmp- list
'

test_expect_success 'gguf: a model without its last block is one of fewer' '
    ft-tailor -m "$GOLDEN/mean" --layers 1 -o fewer && ft-export -m fewer -o fewer.gguf && ! grep -aq "blk.1.attn_q.weight" fewer.gguf &&
    grep -aq "blk.0.attn_q.weight" fewer.gguf &&
    ft-tailor -m "$GOLDEN/mean" --embedding encoder.layer.1.intermediate.act --pool mean -o inside &&
    test_expect_code 2 ft-export -m inside -o inside.gguf 2>err && test_no_file inside.gguf
'

test_expect_success 'and nothing is replaced that is no model' '
    test_expect_code 2 ft-export -m "$GOLDEN/dense" -o model 2>err && test_grep "force" err &&
    ft-export -m "$GOLDEN/mean" -o model/ --force && test_no_file model/2_Dense &&
    mkdir -p work && echo precious >work/file &&
    test_expect_code 2 ft-export -m "$GOLDEN/dense" -o work --force && test "$(cat work/file)" = precious &&
    mkdir -p run/run && echo {} >run/run/run.json && echo {} >run/config.json &&
    test_expect_code 2 ft-export -m "$GOLDEN/dense" -o run --force 2>err && test_grep "is a run" err &&
    mkdir empty && ft-export -m "$GOLDEN/dense" -o empty &&
    ls -a >list && ! grep -e tmp- -e old- list
'

test_expect_success 'a model needs -o, takes no stream, and no table format' '
    test_expect_code 2 ft-export -m "$GOLDEN/dense" 2>err && test_grep "add -o" err &&
    test_expect_code 2 ft-export -m "$GOLDEN/dense" -o x embedded &&
    test_expect_code 2 ft-export -m "$GOLDEN/dense" --to npy -o x &&
    test_expect_code 2 ft-export -m no-such-model -o x
'

test_expect_success 'a stream of steps names the run' '
    ft-ingest --labeled labels.csv | ft-sample --epochs 1 >one-epoch &&
    ft-train -q -m "$GOLDEN/mean" -o tuned --steps 0 <one-epoch &&
    ft-embed -m tuned one-epoch | ft-loss -m tuned | ft-update -m tuned >steps &&
    ft-export -o exported steps &&
    cmp tuned/model.safetensors exported/model.safetensors &&
    test_no_file exported/run &&
    ft-export -o tuned steps 2>err && test_grep "already" err &&
    head -c 60 steps >cut && test_expect_code 3 ft-export -o cut-export cut && test_no_file cut-export
'

test_done
