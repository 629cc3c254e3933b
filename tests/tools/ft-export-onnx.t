#!/bin/sh
test_description='ft-export --to onnx: a file or a directory for other runtimes, complete or not there; what onnxruntime makes of it'
. "$(dirname "$0")/../lib.sh"

GOLDEN=$TOP/tests/golden

test_expect_success 'a directory: the graph, and what came with the model but its weights' '
    ft-export -m "$GOLDEN/model/dense" --to onnx -o dense/ &&
    (cd dense && find . -type f | sort) >got &&
    (cd "$GOLDEN/model/dense" && { find -L . -type f | grep -v "^./model.safetensors$"; echo ./model.onnx; } | sort) >want &&
    test_cmp want got && test_grep sentence_embedding dense/model.onnx &&
    ft-export -m "$GOLDEN/pictures/resnet" --to onnx -o resnet && test -f resnet/preprocessor_config.json && test_no_file resnet/model.safetensors &&
    ft-export -m "$GOLDEN/model/static/wordllama" --to onnx -o words && test -f words/tokenizer.json && test -f words/model.onnx
'

test_expect_success 'a file, by its ending: the same graph' '
    ft-export -m "$GOLDEN/model/dense" -o dense.onnx && cmp dense.onnx dense/model.onnx && test_no_file dense.onnx.data &&
    test_expect_code 2 ft-export -m "$GOLDEN/model/dense" --to npy -o x.onnx && test_no_file x.onnx
'

test_expect_success 'what exists is replaced with --force only, and never what is no model' '
    echo mine >mine.onnx && echo mine >other.onnx.data &&
    test_expect_code 2 ft-export -m "$GOLDEN/model/mean" -o mine.onnx 2>err && test_grep "mine.onnx is there already: --force" err &&
    test_expect_code 2 ft-export -m "$GOLDEN/model/mean" -o other.onnx 2>err && test_grep "other.onnx.data is there already" err &&
    test "$(cat mine.onnx other.onnx.data)" = "mine
mine" &&
    test_expect_code 2 ft-export -m "$GOLDEN/model/mean" --to onnx -o dense 2>err && test_grep "force" err &&
    ft-export -m "$GOLDEN/model/mean" --to onnx -o dense --force && test_no_file dense/2_Dense &&
    ft-export -m "$GOLDEN/model/mean" -o mine.onnx --force && cmp mine.onnx dense/model.onnx &&
    mkdir work dir.onnx && echo precious >work/file &&
    test_expect_code 2 ft-export -m "$GOLDEN/model/mean" --to onnx -o work --force && test "$(cat work/file)" = precious &&
    test_expect_code 2 ft-export -m "$GOLDEN/model/mean" -o dir.onnx --force 2>err && test_grep "a directory" err &&
    cp -R "$GOLDEN/model/mean" model && test_expect_code 2 ft-export -m model --to onnx -o model/ --force 2>err && test_grep "the model itself" err &&
    test -f model/model.safetensors
'

test_expect_success 'documents have no ONNX, a model no other precision there' '
    printf "text\na cat\n" >docs.csv && ft-ingest -q --unlabeled docs.csv | ft-embed -q -m model >embedded &&
    test_expect_code 2 ft-export --to onnx -o x embedded 2>err && test_grep "takes a model" err &&
    test_expect_code 2 ft-export -m model --to onnx --precision fp16 -o x 2>err && test_grep "fp32" err &&
    test_expect_code 2 ft-export -m model --to onnx 2>err && test_grep "add -o" err && test_no_file x
'

test_expect_success 'a full disk leaves neither a directory nor a file' '
    mkdir full && cd full &&
    for most in 0 1 8 50 100; do
        (trap "" XFSZ; ulimit -f $most; test_expect_code 4 ft-export -m "$GOLDEN/model/mean" --to onnx -o full 2>err2) &&
        (trap "" XFSZ; ulimit -f $most; test_expect_code 4 ft-export -m "$GOLDEN/model/mean" -o full.onnx 2>err2) || return 1
    done &&
    rm -f err2 && ls -A >list && cat list && test "$(cat list)" = list
'

test_expect_success 'a stream of steps names the run; a finished run is a model' '
    printf "text,label\na,1\na b,1\nb,2\nb c,2\n" >labels.csv && ft-ingest -q --labeled labels.csv | ft-sample -q --epochs 1 >batches &&
    ft-train -q -m model -o tuned --steps 0 <batches &&
    ft-embed -q -m tuned batches | ft-loss -q -m tuned | ft-update -q -m tuned >steps &&
    ft-export --to onnx -o tuned-onnx steps && ft-export -m tuned -o tuned.onnx && cmp tuned.onnx tuned-onnx/model.onnx && ! cmp tuned.onnx dense/model.onnx &&
    test_no_file tuned-onnx/run
'

test_expect_success 'two towers: a directory each, and no one file' '
    ft-tailor -q -m model -m "$GOLDEN/pictures/resnet" --dim 16 -o both && ft-export -m both --to onnx -o both-onnx &&
    for tower in text image; do
        test -s both-onnx/$tower/model.onnx && test -f both-onnx/$tower/config.json && test_no_file both-onnx/$tower/model.safetensors || return 1
    done &&
    test -f both-onnx/text/tokenizer.json && test -f both-onnx/image/preprocessor_config.json && ft-export -m both --to onnx -o both-onnx --force &&
    test_expect_code 2 ft-export -m both -o both.onnx 2>err && test_grep "two towers" err && test_no_file both.onnx
'

# ---- onnxruntime, where it is ----

python=${FT_PYTHON:-python3}
compare="$python $GOLDEN/onnx/compare.py"
mlp=mlp:in=8,hidden=16+12,out=6,activation=gelu,norm=batch,l2=1

if $python -c 'import numpy, onnx, onnxruntime, tokenizers' 2>/dev/null; then
    test_expect_success 'texts, vectors: the embeddings of ft-embed, padded or not' '
        ft-tailor -q --new $mlp -o mlp && ft-tailor -q -m model --pool gem:p=3 -o gem && ft-tailor -q -m model --pool last -o last &&
        $compare model gem last mlp "$GOLDEN"/model/cls "$GOLDEN"/model/max "$GOLDEN"/model/sqrt "$GOLDEN"/model/families/*/ "$GOLDEN"/model/static/*/ "$GOLDEN"/tailor/head
    '
    test_expect_success 'weights in another file' '
        "${FT_BUILD:-$TOP/build}"/tests/model/test-onnx model beside.onnx 0 && test -s beside.onnx.data && $compare model@beside.onnx
    '
    if $python -c 'import PIL, transformers' 2>/dev/null; then
        test_expect_success 'pictures, read by transformers' '$compare "$GOLDEN/pictures/resnet" "$GOLDEN/tailor/cats" both'
    else
        test_skip 'pictures, read by transformers' 'no Pillow, or no transformers'
    fi
else
    test_skip 'the embeddings of ft-embed' "$python lacks numpy, onnx, onnxruntime or tokenizers"
fi

test_done
