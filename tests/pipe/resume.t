#!/bin/sh
test_description='a run that was stopped, killed or interrupted ends in the same model; what would not is refused'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

documents labelled 200 1 >documents && documents labelled 200 2 >others &&
    ft-sample -q --batch 30 --epochs 3 --seed 4 documents >batches 2>/dev/null &&
    $limit ft-train -q -m model -o straight batches || { echo "Bail out! no straight run"; exit 1; }
total=$(applied straight)
from_documents="-m model --batch 30 --epochs 3 --seed 4"

# The first K batches, then nothing: what a pipe looks like whose first stage died. Batches are made with their documents, so bytes are as good.
cut_at () {
    size=$(($(wc -c <batches)))
    head -c $((size * $1 / total)) batches
}

for k in 1 4 $((total - 1)); do
    test_expect_success "stopped after $k of $total batches: fused, then fused" '
        $limit ft-train -q -m model -o fused-$k --steps $k batches && test "$(applied fused-$k)" -eq $k &&
        test -s fused-$k/model.safetensors && differ fused-$k straight && cp -r fused-$k piped-$k && cp -r fused-$k mixed-$k &&
        $limit ft-train -q -m model -o fused-$k --resume batches && same straight fused-$k &&
        test_no_file fused-$k/run/checkpoints && test_no_file fused-$k/run/live
    '
    test_expect_success "stopped after $k: fused, then piped" '
        piped piped-$k batches && same straight piped-$k
    '
    test_expect_success "stopped after $k: given batches, then documents" '
        $limit ft-train -q $from_documents -o documents-$k --steps $k documents && test "$(applied documents-$k)" -eq $k &&
        $limit ft-train -q -o documents-$k --resume documents && same straight documents-$k
    '
done

test_expect_success 'each batch in an attempt of its own' '
    for k in 1 2 3 4 5 6; do
        $limit ft-train -q -m model -o one-by-one --resume --steps $k batches || return 1
    done &&
    test "$(applied one-by-one)" -eq 6 && $limit ft-train -q -o one-by-one --resume batches && same straight one-by-one
'

for k in 2 9; do
    test_expect_success "piped and cut off around batch $k, then piped, and then fused" '
        new_run cut-$k --seed 4 && cut_at $k >part && ! piped cut-$k part && stage_code embed 3 && stage_code loss 3 && stage_code update 3 &&
        test_grep "ft-embed failed: part: the stream ends without its end record" update.err && test ! -s loss.err &&
        test "$(applied cut-$k)" -gt 0 && test_no_file cut-$k/model.safetensors && cp -r cut-$k cut-$k-fused &&
        piped cut-$k batches && same straight cut-$k &&
        $limit ft-train -q -o cut-$k-fused --resume batches && same straight cut-$k-fused
    '
done

test_expect_success 'the log of a resumed run has every step once' '
    for run in straight cut-2 one-by-one; do
        sed "s/, \"seconds.*//" $run/run/log.jsonl >$run.log || return 1
    done &&
    test_cmp straight.log cut-2.log && test_cmp straight.log one-by-one.log
'

# Kills. Many checkpoints make for many states to be killed in.
if test -n "$full"; then kills=10 epochs=20; else kills=3 epochs=6; fi
ft-sample -q --batch 30 --epochs $epochs documents >many 2>/dev/null
$limit ft-train -q -m model -o many-straight many

# kill_often RUN VICTIM COMMAND: start COMMAND (which leaves the pid file of VICTIM, and job) until VICTIM has been killed $kills times; a run that
# is done before is compared and begun again.
kill_often () {
    hits=0
    until test $hits -ge $kills; do
        if test -e $1/run/run.json && test ! -e $1/run/checkpoints; then
            same many-straight $1 || return 1
            rm -r $1
        fi
        eval "$3" && pid=$(pid_of $2) && random_below 400 && sleep $(printf .%03d $random) || return 1
        if kill -9 $pid; then hits=$((hits + 1)); fi
        wait $job
        echo "after $random ms: $(applied $1) applied"
    done
}

for victim in embed loss update; do
    test_expect_success "kill -9 of ft-$victim at $kills random moments, resumed each time" '
        kill_often killed-$victim $victim "
            test -d killed-$victim || new_run killed-$victim
            piped_killable killed-$victim many --save-every 3" &&
        nobody_hung embed loss update && if test -e killed-$victim/run/checkpoints; then piped killed-$victim many; fi &&
        same many-straight killed-$victim
    '
done

test_expect_success "kill -9 of ft-train at $kills random moments, resumed each time" '
    kill_often killed train "background train ft-train -q -m model -o killed --resume --save-every 3 many" && nobody_hung train &&
    $limit ft-train -q -m model -o killed --resume many && same many-straight killed
'

test_expect_success 'whichever stage is killed, sampler and reader included: all the others end, and ft-update not well' '
    for victim in ingest sample embed loss update; do
        new_run ends-$victim && rm -f *.pid *.rc && echo "killing $victim" || return 1
        { { cat documents.tmp; test $victim != ingest || sleep 1; } | killable ingest ft-ingest -q --labeled - |
            killable sample ft-sample -q --batch 30 --epochs 2000 | killable embed ft-embed -q -m ends-$victim |
            killable loss ft-loss -q -m ends-$victim | killable update ft-update -q -m ends-$victim >steps; } &
        job=$!
        random_below 400; pid=$(pid_of $victim) && sleep $(printf .%03d $random) && kill -9 $pid; wait $job
        nobody_hung ingest sample embed loss update || return 1
        grep . *.rc; test "$(cat update.rc)" -ne 0 && test_no_file ends-$victim/model.safetensors || return 1
    done
'

test_expect_success 'no stage waits for one that could not start' '
    new_run waits &&
    for broken in embed loss update; do
        for name in embed loss update; do
            test $name = $broken && eval "$name=--nonsense" || eval "$name=-q"
        done
        stage embed $limit ft-embed -m waits $embed batches | stage loss $limit ft-loss -m waits $loss |
            stage update $limit ft-update -m waits $update >steps
        nobody_hung embed loss update && stage_code $broken 2 || return 1
    done &&
    stage sample $limit sh -c "ft-sample -q --batch 30 documents; sleep 1; exit 0" | stage embed $limit ft-embed -q -m waits |
        stage loss $limit ft-loss -q -m waits | stage update $limit ft-update -q -m nowhere >steps
    nobody_hung sample embed loss update && stage_code update 2 && test_grep "nowhere is no run" update.err
'

# A stream that comes to a halt in the middle, so that a signal finds the tool at work.
halting () {
    rm -f tap && mkfifo tap || return 1   # before anything goes on: behind an & it might come too late
    { cut_at 5 && exec sleep 20; } >tap &
    halting=$!
}

# The tool has applied a few batches.
at_work () {
    until test -s $1/run/log.jsonl && test "$(applied $1)" -ge 3; do sleep .02; done
}

for signal in INT TERM; do
    case $signal in INT) status=130 ;; *) status=143 ;; esac
    test_expect_success "SIG$signal of ft-train: saved, said how to go on, died of it, resumed to the same bits" '
        halting && background train ft-train -m model -o caught-$signal --seed 4 tap && at_work caught-$signal &&
        kill -$signal $(pid_of train) && wait $job; kill $halting; stage_code train $status &&
        test_grep "stopped by signal" train.err && test_grep "saved after batch .*--resume" train.err &&
        test_no_file caught-$signal/model.safetensors &&
        $limit ft-train -q -o caught-$signal --resume batches && same straight caught-$signal
    '
    test_expect_success "SIG$signal of the piped ft-update: likewise" '
        halting && new_run caught-piped-$signal --seed 4 && piped_killable caught-piped-$signal tap && at_work caught-piped-$signal &&
        kill -$signal $(pid_of update) && wait $job; kill $halting; nobody_hung embed loss update && stage_code update $status &&
        test_grep "stopped by signal" update.err && test_no_file caught-piped-$signal/model.safetensors &&
        piped caught-piped-$signal batches && same straight caught-piped-$signal
    '
done

test_expect_success 'SIGTERM of the whole pipe at once, as a terminal or a supervisor does it' '
    halting && new_run group --seed 4 && piped_killable group tap && at_work group &&
    kill -TERM $(pid_of embed) $(pid_of loss) $(pid_of update) && wait $job; kill $halting; nobody_hung embed loss update &&
    stage_code update 143 && test_no_file group/model.safetensors && piped group batches && same straight group
'

test_expect_success 'a signal before the first batch leaves nothing behind' '
    rm -f tap && mkfifo tap || return 1
    { head -c 3000 documents && exec sleep 20; } >tap & halting=$!
    background train ft-train -q -m model -o early tap && pid=$(pid_of train) && sleep 1 &&
    kill -TERM $pid && wait $job; kill $halting; stage_code train 143 && test_no_file early
'

test_expect_success 'another stream is refused on resuming: other data, another seed, another number of epochs' '
    ft-sample -q --batch 30 --epochs 3 --seed 4 others >other-data && ft-sample -q --batch 30 --epochs 3 --seed 5 documents >other-seed &&
    ft-sample -q --batch 30 --epochs 4 --seed 4 documents >other-epochs &&
    for other in data seed epochs; do
        $limit ft-train -q -m model -o stopped-$other --steps 5 batches && cp -r stopped-$other before &&
        test_expect_code 3 $limit ft-train -q -m model -o stopped-$other --resume other-$other 2>err && cat err &&
        test_grep "the first 5 batches are not those that the run was trained on\|batches, but the run was trained on one of" err &&
        ! piped stopped-$other other-$other && stage_code update 3 &&
        test_grep "the first 5 batches are not those that the run was trained on\|batches, but the run was trained on one of" update.err &&
        $limit ft-train -q -o stopped-$other --resume batches && same straight stopped-$other && rm -r before || return 1
    done &&
    $limit ft-train -q $from_documents -o stopped --steps 5 documents &&
    test_expect_code 3 $limit ft-train -q -o stopped --resume others 2>err &&
    test_grep "the first 5 batches are not those that the run was trained on" err
'

test_expect_success 'options that contradict the run are refused on resuming, the same ones are not' '
    $limit ft-train -q $from_documents --loss supcon -o options --steps 2 documents &&
    for option in "--lr 1e-3" "--seed 5" "--loss triplet" "--miner batch-hard" "--batch 20" "--epochs 4" "--chunk 3" "--optimizer adamw:decay=1" \
        "--schedule constant" "--warmup 0" "--clip 2" "--max-length 9" "--prompt x" "--freeze encoder.layer.0.*" "--per-class 3" \
        "--drop-last" "--triplets"; do
        test_expect_code 2 $limit ft-train -q -o options --resume $option documents 2>err || { echo "$option"; return 1; }
        test_grep "${option%% *} was .*set .*when options was made" err || return 1
    done &&
    $limit ft-train -q $from_documents --loss supcon -o options --resume documents
'

test_expect_success 'a directory that is there: refused, resumed, forced' '
    test_expect_code 2 $limit ft-train -q -m model -o straight batches 2>err && test_grep "straight exists: --resume .*--force" err &&
    test_expect_code 2 $limit ft-train -q -m model -o straight --resume --force batches &&
    cp straight/model.safetensors . && $limit ft-train -m model -o straight --resume batches 2>err &&
    test_grep "straight is finished" err && cmp model.safetensors straight/model.safetensors &&
    touch straight/notes && $limit ft-train -q -m model -o straight --force --seed 5 batches && test -e straight/notes &&
    ! cmp model.safetensors straight/model.safetensors &&
    $limit ft-train -q -m model -o straight --force batches && cmp model.safetensors straight/model.safetensors &&
    test_expect_code 2 $limit ft-train -q -m model -o model batches && test_expect_code 2 $limit ft-train -q -m model -o model --force batches &&
    test_expect_code 2 $limit ft-train -q -m model -o "" batches &&
    $limit ft-train -q -m model -o fresh --resume --steps 1 batches && test -s fresh/model.safetensors
'

test_expect_success 'the pipe on a finished run: nothing is done, and ft-update says so' '
    cp straight/model.safetensors . &&
    stage embed $limit ft-embed -q -m straight batches | stage loss $limit ft-loss -q -m straight |
        stage update $limit ft-update -m straight >steps; cat update.err &&
    nobody_hung embed loss update && stage_code update 0 && test_grep "straight is finished" update.err &&
    cmp model.safetensors straight/model.safetensors && ft-cat -q steps | test_grep "\"run\":\"straight\"" /dev/stdin
'

test_expect_success 'a model of the old layout: finished is finished there too' '
    cp -rL "$TOP/tests/golden/model/nested" old && $limit ft-train -q -m old -o old-tuned batches && cp -r old-tuned old-copy &&
    $limit ft-train -o old-tuned --resume batches 2>err && test_grep "is finished" err && diff -r old-copy old-tuned &&
    test_expect_code 2 $limit ft-train -q -m model -o old batches
'

test_expect_success 'two writers: the second is refused and names the first' '
    halting && background train ft-train -q -m model -o writers --seed 4 tap && pid=$(pid_of train) && at_work writers &&
    test_expect_code 2 $limit ft-update -q -m writers <batches >steps 2>err && test_grep "writers is being trained by process $pid" err &&
    test_expect_code 2 $limit ft-train -q -o writers --resume batches 2>err && test_grep "writers is being trained by process $pid" err &&
    test_expect_code 2 $limit ft-train -q -m model -o writers --force batches 2>err && test_grep "writers is being trained by process $pid" err &&
    kill $halting && wait $job; stage_code train 3 &&
    $limit ft-train -q -o writers --resume batches && same straight writers
'

test_expect_success 'a checkpoint that is damaged: the one before it serves' '
    $limit ft-train -q -m model -o damaged --steps 6 --save-every 2 batches && ls damaged/run/checkpoints >list && test "$(wc -l <list)" -eq 2 &&
    cp -r damaged worse && flip_bit damaged/run/checkpoints/6/block 5000 3 >block && cp block damaged/run/checkpoints/6/block &&
    $limit ft-train -q -o damaged --resume batches && same straight damaged &&
    echo "{" >worse/run/checkpoints/6/state.json && cp block worse/run/checkpoints/4/block &&
    test_expect_code 3 $limit ft-train -q -o worse --resume batches 2>err && test_grep "checkpoints/6/state.json" err
'

test_expect_success 'a base model that has changed since is refused' '
    cp -r model base && $limit ft-train -q -m base -o based --steps 2 batches && flip_bit base/model.safetensors 40000 2 >weights &&
    cp weights base/model.safetensors && test_expect_code 3 $limit ft-train -q -o based --resume batches 2>err &&
    test_grep "has changed since the run began" err
'

# Files larger than the limit cannot be written: a full disk, without one.
full_disk () {
    (trap "" XFSZ && ulimit -f $1 && shift && "$@")
}

test_expect_success 'no room for a checkpoint: status 4, nothing under a final name, and with room all is well' '
    $limit ft-train -q -m model -o narrow --steps 4 batches && checkpoint=$(($(wc -c <narrow/run/checkpoints/4/block))) &&
    test_expect_code 4 full_disk $((checkpoint / 2048)) $limit ft-train -q -o narrow --resume --save-every 2 batches 2>err && cat err &&
    test_grep "narrow/run/checkpoints/building/block: File too large" err && test_no_file narrow/run/checkpoints/6 &&
    $limit ft-train -q -o narrow --resume batches && same straight narrow &&
    test_expect_code 4 full_disk $((checkpoint / 2048)) $limit ft-train -q -m model -o narrower --save-every 2 batches &&
    test_no_file narrower
'

test_expect_success 'no room for the model: status 4, no model.safetensors, and with room all is well' '
    weights=$(($(wc -c <straight/model.safetensors))) && $limit ft-train -q -m model -o tight --steps $((total - 1)) batches && rm tight/model.safetensors &&
    test_expect_code 4 full_disk $((weights / 2048)) $limit ft-train -q -o tight --resume batches 2>err && cat err &&
    test_no_file tight/model.safetensors && ls tight && $limit ft-train -q -o tight --resume batches && same straight tight
'

test_expect_success 'little memory for many texts: a batch of 1,024 in that of 64' '
    if test -n "$FT_SANITIZE" || ! command -v /usr/bin/time >/dev/null; then return 0; fi
    documents labelled 1024 6 >crowd &&
    for n in 64 1024; do
        ft-sample -q --random --batch $n --epochs 1 crowd >crowd-$n && new_run crowd-$n-run --loss supcon &&
        ft-embed -q -m crowd-$n-run crowd-$n | ft-loss -q -m crowd-$n-run |
            /usr/bin/time -f %M -o update-$n ft-update -q -m crowd-$n-run --threads 1 >steps &&
        least=$(least $limit ft-train -m model --loss supcon --threads 1 crowd-$n) &&
        for memory in "$least" 4G; do
            /usr/bin/time -f %M -o train-$n-$memory ft-train -q -m model -o crowd-$n-$memory --loss supcon --memory $memory --threads 1 crowd-$n || return 1
        done || return 1
    done &&
    grep . update-* train-* && test $(($(cat update-1024) - $(cat update-64))) -lt 6000
'

test_done
