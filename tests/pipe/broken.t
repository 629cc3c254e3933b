#!/bin/sh
test_description='broken pipes: cut streams, failures upstream, full disks, readers that leave, hostile batches, numbers that are none'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

# As small as streams get: every byte of them is a place to cut.
printf 'text,label\na,x\nb,x\nc,y\nd,y\n' >tiny.csv
ft-ingest -q --labeled tiny.csv >documents && ft-sample -q --classes --batch 4 --epochs 2 documents >batches 2>/dev/null &&
    new_run tiny && ft-embed -q -m tiny batches | tee embedded | ft-loss -q -m tiny | tee losses | ft-update -q -m tiny >good.steps &&
    test -s tiny/model.safetensors || { echo "Bail out! the small pipe does not work"; exit 1; }

# every_cut STREAM CHECK COMMAND: COMMAND on STREAM cut at every byte (at every seventh unless FT_CHECK_FULL) must notice; CHECK then finds
# nothing that looks finished.
every_cut () {
    cut_size=$(($(wc -c <"$1"))) cut_step=7
    test -z "$full" || cut_step=1
    random_below $cut_step && cut_at=$random
    while test $cut_at -lt $cut_size; do
        head -c $cut_at "$1" >cut
        eval "$3" >cut.out 2>cut.err
        test_rejects $? "when cut at byte $cut_at of $cut_size" && eval "$2" || { cat cut.err; return 1; }
        cut_at=$((cut_at + cut_step))
    done
}

test_expect_success 'ft-embed: documents cut anywhere' '
    every_cut documents "test_no_file out" "ft-embed -q -m model --threads 1 -o out cut"
'
test_expect_success 'ft-embed: batches cut anywhere' '
    every_cut batches "test_no_file out" "ft-embed -q -m model --threads 1 -o out cut"
'
test_expect_success 'ft-loss: embedded batches cut anywhere' '
    every_cut embedded "test_no_file out" "ft-loss -q --threads 1 -o out cut"
'
test_expect_success 'ft-update: batches with gradients cut anywhere; the whole stream then ends in the same model' '
    new_run cut-run &&
    every_cut losses "test_no_file cut-run/model.safetensors" "ft-update -q -m cut-run --threads 1 cut" &&
    new_run cut-twice && { head -c $(($(wc -c <losses) - 10)) losses | ft-update -q -m cut-twice >cut.out; test $? -eq 3; } &&
    test "$(applied cut-twice)" -eq 2 && ft-update -q -m cut-run losses >out && ft-update -q -m cut-twice losses >out &&
    same tiny cut-run cut-twice
'
test_expect_success 'ft-train: documents cut anywhere leave nothing' '
    every_cut documents "test_no_file tuned" "ft-train -q -m model --threads 1 -o tuned cut"
'
test_expect_success 'ft-train: batches cut anywhere leave no model; the whole stream then ends in the same one' '
    every_cut batches "test_no_file tuned/model.safetensors" "ft-train -q -m model --threads 1 -o tuned --resume cut" &&
    ft-train -q -m model -o tuned --resume batches && same tiny tuned
'

test_expect_success 'one bit flipped anywhere in a stream of gradients is never a model' '
    size=$(($(wc -c <losses))) step=23 && test -z "$full" || step=1
    random_below $step && at=$random
    while test $at -lt $size; do
        rm -rf flipped && new_run flipped && flip_bit losses $at $((at % 8)) >cut
        $limit ft-update -q -m flipped --threads 1 cut >out 2>err
        test_rejects $? "with a bit of byte $at flipped" && test_no_file flipped/model.safetensors || { cat err; return 1; }
        at=$((at + step))
    done
'

printf 'text,label\na b,x\nc,x\n"never closed,y\n' >bad.csv
test_expect_success 'a failure of the first tool reaches the last, through four that say nothing' '
    new_run upstream &&
    stage ingest ft-ingest -q --labeled bad.csv | stage sample ft-sample -q | stage embed $limit ft-embed -q -m upstream |
        stage loss $limit ft-loss -q -m upstream | stage update $limit ft-update -q -m upstream >steps
    for name in ingest sample embed loss update; do stage_code $name 3 || return 1; done &&
    test_grep "^ft-ingest: bad.csv:4: " ingest.err && test ! -s sample.err && test ! -s embed.err && test ! -s loss.err &&
    test_grep "^ft-update: ft-ingest failed: bad.csv:4: " update.err && test_no_file upstream/model.safetensors
'
test_expect_success 'and ft-train, and an embedding pipe' '
    stage ingest ft-ingest -q --labeled bad.csv | stage sample ft-sample -q | stage train $limit ft-train -q -m model -o never
    stage_code train 3 && test_grep "^ft-train: ft-ingest failed: bad.csv:4: " train.err && test ! -s sample.err && test_no_file never &&
    stage ingest ft-ingest -q --labeled bad.csv | stage train $limit ft-train -q -m model -o never
    stage_code train 3 && test_grep "^ft-train: ft-ingest failed: bad.csv:4: " train.err && test_no_file never &&
    stage ingest ft-ingest -q --labeled bad.csv | stage embed ft-embed -q -m model >out
    stage_code embed 3 && test_grep "^ft-embed: ft-ingest failed: bad.csv:4: " embed.err &&
    stage ingest ft-ingest -q --labeled bad.csv | stage embed ft-embed -q -m model -o out.file | stage cat cat
    stage_code embed 3 && test_grep "^ft-embed: ft-ingest failed: bad.csv:4: " embed.err && test_no_file out.file
'
test_expect_success 'after the bad line is mended the same command works' '
    { ft-ingest -q --labeled bad.csv | ft-train -q -m model -o mended; test $? -eq 3; } &&
    ft-ingest -q --labeled tiny.csv | ft-train -q -m model -o mended && test -s mended/model.safetensors
'
test_expect_success 'a bad line does not cost the model of yesterday' '
    cp -r mended yesterday && { ft-ingest -q --labeled bad.csv | ft-train -q -m model -o mended --force; test $? -eq 3; } && diff -r mended yesterday &&
    ft-ingest -q --labeled tiny.csv | ft-train -q -m model -o mended --force --seed 9 && differ mended yesterday
'
test_expect_success 'no stream at all, text, another kind of stream: said, with the way out' '
    test_expect_code 3 ft-train -q -m model -o kinds </dev/null 2>err && test_grep "no stream: did the previous command start" err &&
    test_expect_code 3 ft-train -q -m model -o kinds tiny.csv 2>err && test_grep "this is text, not a stream" err &&
    test_expect_code 3 ft-train -q -m model -o kinds good.steps 2>err && test_grep "expected batches, got steps" err &&
    test_expect_code 3 ft-loss -q documents 2>err >out && test_grep "expected batches, got documents: add ft-sample before" err &&
    test_expect_code 3 ft-loss -q batches 2>err >out && cat err && test_grep "batch 1: no embedding" err && new_run kinds-run &&
    test_expect_code 3 ft-update -q -m kinds-run batches 2>err >out && test_grep "batch 1: add ft-loss before" err &&
    test_expect_code 3 ft-embed -q -m model good.steps 2>err >out && test_grep "expected documents or batches, got steps" err &&
    test_expect_code 2 ft-train -q -m model -o kinds --epochs 2 batches 2>err && test_grep "options of sampling belong to ft-sample" err &&
    test_no_file kinds
'

test_expect_success 'a full disk is status 4 everywhere' '
    if test -w /dev/full; then
        new_run full &&
        test_expect_code 4 $limit ft-embed -q -m model documents 2>err >/dev/full && test_grep "No space left" err &&
        test_expect_code 4 $limit ft-loss -q embedded 2>err >/dev/full && test_grep "No space left" err &&
        test_expect_code 4 $limit ft-update -q -m full losses 2>err >/dev/full && test_grep "No space left" err &&
        test_no_file full/model.safetensors && ft-update -q -m full losses >out && same tiny full
    fi
'

test_expect_success 'a reader that leaves ends all quietly' '
    documents labelled 200 1 >many && ft-sample -q --batch 20 --epochs 50 many >many.batches 2>/dev/null && new_run leaves &&
    stage embed $limit ft-embed -q -m leaves many.batches | stage loss $limit ft-loss -q -m leaves |
        stage update $limit ft-update -q -m leaves --save-every 2 | head -c 1 >one
    stage_code embed 141 && stage_code loss 141 && stage_code update 141 && test ! -s embed.err && test ! -s loss.err && test ! -s update.err &&
    documents labelled 6000 1 >lots && stage embed $limit ft-embed -q -m model lots | head -n 1 >one
    stage_code embed 141 && test ! -s embed.err
'

# A parameter that is no number, and steps that end there.
test_expect_success 'a loss that is not a number stops at once and names the batch, piped and fused' '
    cp -r model nan && weights=$(wc -c <model/model.safetensors) &&
    { head -c $((weights - 8000)) model/model.safetensors; head -c 8000 /dev/zero | tr "\\0" "\\377"; } >nan/model.safetensors &&
    test_expect_code 3 $limit ft-train -q -m nan -o nans batches 2>err && cat err && test_grep "batch 1: the loss is not a number" err &&
    test_no_file nans &&
    $limit ft-train -q -m nan -o nan-run --steps 0 &&
    stage embed $limit ft-embed -q -m nan-run batches | stage loss $limit ft-loss -q -m nan-run | stage update $limit ft-update -q -m nan-run >steps
    nobody_hung embed loss update && stage_code loss 3 && stage_code update 3 && test_grep "batch 1: the loss is not a number" loss.err &&
    test_grep "ft-loss failed: batch 1: the loss is not a number" update.err && test_no_file nan-run/model.safetensors
'
test_expect_success 'a learning rate that blows the model up is stopped where it does' '
    test_expect_code 3 $limit ft-train -q -m model -o blown --lr 1e38 --clip 0 --warmup 0 --save-every 1 many.batches 2>err && cat err &&
    test_grep "batch [0-9]*: the \(loss is not a number\|loss is infinite\|gradient is not finite\)" err && test_no_file blown/model.safetensors
'

# Batches by hand. Each line of `edits` is what is changed in the text of the first batch, and what must be said of it.
ft-cat -q --full losses >losses.text
tensor () { printf '{"$tensor":"%s","shape":[%s],"data":"%s"}' "$1" "$2" "$(printf "$3" | base64 -w0)"; }
# hostile FIELD TENSOR MESSAGE
hostile () {
    sed "s|\"$1\":{\"\$tensor\"[^}]*}|\"$1\":$2|" losses.text >hostile.text &&
    ! cmp -s hostile.text losses.text && ft-cat -q --from-text hostile.text >hostile &&
    test_expect_code 3 $limit ft-update -q -m hostile-run hostile 2>err >out && cat err && test_grep "$3" err && test_no_file hostile-run/model.safetensors
}
test_expect_success 'tokens, offsets and gradients that do not fit are refused before they are used' '
    new_run hostile-run && i4="<i4" &&
    offsets="\0\0\0\0\003\0\0\0\006\0\0\0\011\0\0\0\014\0\0\0" &&
    hostile tokens "$(tensor $i4 12 "\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\377\377\377\177")" "token 2147483647 is not in the vocabulary" &&
    hostile tokens "$(tensor $i4 12 "\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\377\377\377\377")" "token -1 is not in the vocabulary" &&
    hostile tokens "$(tensor $i4 1 "\1\0\0\0")" "offsets and tokens disagree" &&
    hostile tokens "$(tensor $i4 "1,1" "\1\0\0\0")" "tokens: a tensor of 2 dimensions, expected 1" &&
    hostile tokens 5 "tokens: no tensor" &&
    hostile offsets "$(tensor $i4 5 "\0\0\0\0\006\0\0\0\003\0\0\0\011\0\0\0\014\0\0\0")" "offsets of text 1" &&
    hostile offsets "$(tensor $i4 5 "\0\0\0\0\0\0\0\0\006\0\0\0\011\0\0\0\014\0\0\0")" "offsets of text 0" &&
    hostile offsets "$(tensor $i4 5 "\0\0\0\0\377\377\377\177\006\0\0\0\011\0\0\0\014\0\0\0")" "offsets of text 0" &&
    hostile offsets "$(tensor $i4 5 "\0\0\0\0\006\0\0\200\006\0\0\0\011\0\0\0\014\0\0\0")" "offsets of text 0" &&
    hostile offsets "$(tensor $i4 5 "\001\0\0\0\003\0\0\0\006\0\0\0\011\0\0\0\014\0\0\0")" "offsets and tokens disagree" &&
    hostile offsets "$(tensor $i4 2 "\0\0\0\0\014\0\0\0")" "offsets and tokens disagree" &&
    hostile offsets "$(tensor $i4 0 "")" "offsets and tokens disagree" &&
    hostile gradient "$(tensor "<f4" "1,1" "\0\0\0\0")" "a gradient of 1 by 1, expected 4 by 20" &&
    hostile gradient "$(tensor "<f4" "0,20" "")" "a gradient of 0 by 20, expected 4 by 20" &&
    hostile gradient "$(tensor "<f4" "1" "\0\0\0\0")" "gradient: a tensor of 1 dimensions, expected 2"
'
test_expect_success 'a gradient that is not a number changes nothing' '
    nan=$(head -c 320 /dev/zero | tr "\\0" "\\377" | base64 -w0) &&
    hostile gradient "{\"\$tensor\":\"<f4\",\"shape\":[4,20],\"data\":\"$nan\"}" "batch 1: the gradient is not finite" &&
    ft-update -q -m hostile-run losses >out && same tiny hostile-run
'
test_expect_success 'batches out of order, twice, and without a loss' '
    new_run order && sed "s/^{\"batch\":1,/{\"batch\":3,/" losses.text >text && ft-cat -q --from-text text >stream &&
    test_expect_code 3 $limit ft-update -q -m order stream 2>err >out && test_grep "batch 3 came where batch 1 was expected" err &&
    sed "s/^{\"batch\":2,/{\"batch\":1,/" losses.text >text && ft-cat -q --from-text text >stream &&
    test_expect_code 3 $limit ft-update -q -m order stream 2>err >out && test_grep "batch 1 came where batch 2 was expected" err &&
    sed "s/\"loss\":/\"lose\":/" losses.text >text && ft-cat -q --from-text text >stream &&
    new_run order-2 && test_expect_code 3 $limit ft-update -q -m order-2 stream 2>err >out && test_grep "batch 1 has no loss" err
'
test_expect_success 'a loss that is asked of embeddings of another number of items' '
    ft-cat -q --full embedded >embedded.text &&
    sed "s|\"embedding\":{\"\$tensor\"[^}]*}|\"embedding\":$(tensor "<f4" "1,2" "\0\0\0\0\0\0\0\0")|" embedded.text >text && ft-cat -q --from-text text >stream &&
    test_expect_code 3 $limit ft-loss -q stream 2>err >out && test_grep "batch 1: 1 embeddings for 4 items" err
'

test_expect_success 'ft-train alone, without minilm: the error names the ft-pull that fetches it' '
    rm -rf "$FT_HOME" && mkdir alone && cd alone && test_expect_code 2 ft-train <../documents 2>err && test_grep "ft-pull minilm" err &&
    test "$(ls)" = err
'

test_done
