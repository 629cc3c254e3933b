#!/bin/sh
test_description='losses with weights of their own: they learn, live in the run, go on where it stopped; what does not fit them is refused'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

documents labelled 200 1 >documents &&
    ft-sample -q --batch 30 --epochs 3 --seed 4 documents >batches 2>/dev/null &&
    ft-sample -q --batch 60 --epochs 20 documents >many 2>/dev/null || { echo "Bail out! no batches"; exit 1; }

# losses_of RUN: of each step.
losses_of () {
    sed -n 's/.*"loss": \([^,]*\),.*/\1/p' "$1/run/log.jsonl"
}

# mean of the first and of the last five, as whole percents of the first.
falls_to () {
    losses_of $1 | awk '{ x[NR] = $1 } END {
        for (i = 1; i <= 5; i++) { a += x[i]; b += x[NR + 1 - i] }
        print int(100 * b / a)
    }'
}

for loss in arcface:scale=8 sub-center-arcface:scale=8 cosface:scale=8,margin=.1 normalized-softmax:temperature=.1 proxy-nca:softmax_scale=8 proxy-anchor \
    soft-triple sphereface large-margin-softmax:margin=2; do
    test_expect_success "$loss: with the model held still, what it learns brings the loss down; held still too, nothing does" '
        $limit ft-train -q -m model -o learns --force --loss "$loss" --lr 0 --loss-lr .2 --clip 0 --schedule constant --warmup 0 many &&
        $limit ft-train -q -m model -o idle --force --loss "$loss" --lr 0 --loss-lr 0 --clip 0 --schedule constant --warmup 0 many &&
        echo "to $(falls_to learns)% and $(falls_to idle)%" && test "$(falls_to learns)" -lt 95 && test "$(falls_to idle)" -gt 97 &&
        same learns idle
    '
done

test_expect_success 'the model learns from them: texts of a label come together' '
    $limit ft-train -q -m model -o tuned --loss normalized-softmax:temperature=.1 --lr 2e-3 --loss-lr .05 batches && differ tuned model &&
    documents labelled 120 9 >test && ft-eval -q --json -m model test >before && ft-eval -q --json -m tuned test >after &&
    cat before after && map () { sed -n "s/.*\"map\": *\([0-9.]*\).*/\1/p" $1; } && test -n "$(map after)" &&
    awk "BEGIN { exit !($(map after) > $(map before) + .1) }"
'

learning="--loss arcface:scale=16 --loss 0.5*supcon:temperature=.1 --loss-lr .05 --loss-optimizer adagrad"
$limit ft-train -q -m model -o straight $learning --seed 4 batches
total=$(applied straight)

for k in 1 4 $((total - 1)); do
    test_expect_success "stopped after $k of $total batches: fused or piped, then either" '
        $limit ft-train -q -m model -o fused-$k --seed 4 $learning --steps $k batches &&
        test -s fused-$k/run/checkpoints/$k/loss && test -s fused-$k/run/checkpoints/$k/loss-optimizer && cp -r fused-$k piped-$k &&
        $limit ft-train -q -m model -o fused-$k --resume batches && same straight fused-$k && test_no_file fused-$k/run/live &&
        piped piped-$k batches && same straight piped-$k && ls piped-$k >files && ! grep -i loss files
    '
done

remembering="--loss supcon:memory_size=100 --loss normalized-softmax --loss-lr .01"
$limit ft-train -q -m model -o remembers $remembering --seed 4 batches
test_expect_success 'what is remembered goes on too: stopped, then piped, killed, then fused' '
    $limit ft-train -q -m model -o memory --seed 4 $remembering --steps 5 batches && cp -r memory memory-fused && piped memory batches &&
    same remembers memory && $limit ft-train -q -m model -o memory-fused --resume batches && same remembers memory-fused &&
    new_run memory-killed --seed 4 $remembering && piped_killable memory-killed batches --save-every 2 && pid=$(pid_of update) && sleep .2 &&
    { kill -9 $pid || true; } && { wait $job || true; } && { test ! -e memory-killed/run/checkpoints || piped memory-killed batches; } &&
    same remembers memory-killed
'

test_expect_success 'a rate, an optimizer, a loss given again on resuming must be the run'"'"'s' '
    $limit ft-train -q -m model -o again --seed 4 $learning --steps 3 batches &&
    test_expect_code 2 ft-train -q -m model -o again --resume --loss-lr .1 batches 2>err && test_grep "--loss-lr was set to something else" err &&
    test_expect_code 2 ft-train -q -m model -o again --resume --loss-optimizer sgd batches 2>err && test_grep "--loss-optimizer was set" err &&
    $limit ft-train -q -m model -o again --resume $learning batches && same straight again
'

test_expect_success 'what the losses learned is missing from a checkpoint: refused, not begun anew' '
    $limit ft-train -q -m model -o lacking --seed 4 $learning --steps 3 batches &&
    sed -i "s/, {\"name\": \"loss\".*}\]/]/" lacking/run/checkpoints/3/state.json &&
    test_expect_code 3 $limit ft-train -q -m model -o lacking --resume batches 2>err && cat err && test_grep "has no file loss" err
'

test_expect_success 'another number of classes on resuming' '
    $limit ft-train -q -m model -o classes --seed 4 $learning --steps 3 batches &&
    ft-cat -q --full batches | sed "1s/\"classes\":6/\"classes\":7/" | ft-cat -q --from-text >seven && ! cmp -s seven batches &&
    test_expect_code 3 $limit ft-train -q -m model -o classes --resume seven 2>err && cat err && test_grep "checkpoints/3/loss: .* expected" err
'

if test -n "$full"; then kills=10; else kills=2; fi
for victim in loss update; do
    test_expect_success "kill -9 of ft-$victim at $kills random moments, resumed each time" '
        hits=0 && new_run killed-$victim --seed 4 $learning &&
        until test $hits -ge $kills || test ! -e killed-$victim/run/checkpoints; do
            piped_killable killed-$victim batches --save-every 2 && pid=$(pid_of $victim) && random_below 300 &&
            sleep $(printf .%03d $random) || return 1
            if kill -9 $pid; then hits=$((hits + 1)); fi
            wait $job
        done
        nobody_hung embed loss update && if test -e killed-$victim/run/checkpoints; then piped killed-$victim batches; fi &&
        same straight killed-$victim
    '
done

# Batches by hand.
printf 'text,label\na,x\nb,x\nc,y\nd,y\n' >tiny.csv
ft-ingest -q --labeled tiny.csv | ft-sample -q --classes --batch 4 --epochs 2 >tiny.batches 2>/dev/null
new_run tiny --loss arcface && ft-embed -q -m tiny tiny.batches | tee tiny.embedded | ft-loss -q -m tiny | tee tiny.losses |
    ft-update -q -m tiny >tiny.steps
ft-cat -q --full tiny.losses >losses.text
# hostile SED MESSAGE
hostile () {
    sed "$1" losses.text >hostile.text && ! cmp -s hostile.text losses.text && ft-cat -q --from-text hostile.text >hostile &&
        test_expect_code 3 $limit ft-update -q -m hostile-run hostile 2>err >out && cat err && test_grep "$2" err && test_no_file hostile-run/model.safetensors
}
test_expect_success 'the stream carries the gradient of what is learnt, by name and in its shape' '
    test -s tiny/model.safetensors && grep -c "\"parameters\":{\"arcface.weight\":{\"\$tensor\":\"<f4\",\"shape\":\[2,20\]" losses.text
'
test_expect_success 'gradients of what losses learn that do not fit are refused' '
    new_run hostile-run --loss arcface && nan=$(head -c 160 /dev/zero | tr "\\0" "\\377" | base64 -w0) &&
    hostile "s/\"parameters\":{[^}]*}}/\"parameters\":5/" "has no gradients of what its losses learn" &&
    hostile "s/\"parameters\"/\"perimeters\"/" "has no gradients of what its losses learn" &&
    hostile "s/\"arcface.weight\"/\"arcface.height\"/" "parameters: no arcface.weight" &&
    hostile "s/\(arcface.weight\":{\"\$tensor\":\"<f4\",\"shape\":\[\)2,20/\120,2/" "arcface.weight of 20 by 2, expected 2 by 20" &&
    hostile "s|\(arcface.weight\":{[^}]*\"data\":\"\)[^\"]*|\1$nan|" "batch 1: the gradient is not finite" &&
    ft-update -q -m hostile-run tiny.losses >out && same tiny hostile-run
'
test_expect_success 'a batch whose embeddings are missing, misshapen or no numbers, for losses that remember' '
    new_run remembering --loss supcon:memory_size=8 && ft-embed -q -m remembering tiny.batches | ft-loss -q -m remembering |
        tee memory.losses | ft-update -q -m remembering >out && ft-cat -q --full memory.losses >losses.text && new_run memory-run --loss supcon:memory_size=8 &&
    nan=$(head -c 320 /dev/zero | tr "\0" "\377" | base64 -w0) && cp -r memory-run hostile-memory &&
    for edit in "s/\"embedding\"/\"embudding\"/;no embedding" "s/\(embedding\":{\"\$tensor\":\"<f4\",\"shape\":\[\)4,20/\120,4/;embeddings of 20 by 4" \
        "s|\(embedding\":{[^}]*\"data\":\"\)[^\"]*|\1$nan|;embedding 0 is not finite"; do
        sed "${edit%;*}" losses.text >hostile.text && ! cmp -s hostile.text losses.text && ft-cat -q --from-text hostile.text >hostile &&
            test_expect_code 3 $limit ft-update -q -m hostile-memory hostile 2>err >out && cat err && test_grep "${edit##*;}" err || return 1
    done &&
    ft-update -q -m hostile-memory memory.losses >out && same remembering hostile-memory
'
test_expect_success 'ft-loss on a stream of other dimensions or classes than ft-update'"'"'s ends, as does ft-update' '
    new_run others --loss arcface && ft-cat -q --full tiny.embedded | sed "1s/\"classes\":2/\"classes\":3/" | ft-cat -q --from-text >three &&
    { stage slow sh -c "cat tiny.losses; sleep 1" | stage update $limit ft-update -q -m others >steps & } &&
    stage loss $limit ft-loss -q -m others three | cat >out; wait
    cat loss.err; stage_code loss 3 && test_grep "6[04] weights\|have 48 weights, expected 64" loss.err
'

test_done
