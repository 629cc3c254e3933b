#!/bin/sh
test_description='every optimizer and schedule, rates of layers, several batches a step: piped, stopped, killed, any threads, the same bits'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

documents labelled 60 1 >documents && ft-sample -q --batch 20 --epochs 3 --seed 4 documents >batches 2>/dev/null &&
    $limit ft-train -q -m model -o default batches || { echo "Bail out! no run"; exit 1; }
total=$(applied default)

# known OPTION: the names it knows, from its own complaint.
known () {
    ft-train -q -m model -o never "$1" no-such-thing batches 2>&1 | sed -n 's/.*: known are //p'
}

# every_way NAME OPTION...: straight, piped, with other threads, stopped after one batch and after half of them and gone on with, in this and
# in that way; all end the same.
every_way () {
    way=$1
    shift
    $limit ft-train -q -m model -o $way "$@" batches && new_run $way-piped --seed 4 "$@" && piped $way-piped batches &&
        $limit ft-train -q -m model -o $way-threads "$@" --threads 3 batches &&
        $limit ft-train -q -m model -o $way-one "$@" --steps 1 batches && $limit ft-train -q -o $way-one --resume batches &&
        $limit ft-train -q -m model -o $way-half "$@" --steps $((total / 2)) batches && piped $way-half batches &&
        same $way $way-piped $way-threads $way-one $way-half
}

# killed RUN OPTION...: killed at random moments until it is done.
killed () {
    killed_run=$1
    shift
    for kill_try in 1 2 3; do
        background train ft-train -q -m model -o $killed_run "$@" --resume --save-every 2 batches && kill_pid=$(pid_of train) &&
            random_below 150 && sleep $(printf .%03d $random) || return 1
        kill -9 $kill_pid; wait $job
        test "$(cat train.rc)" -ne 124 || return 1
    done
    $limit ft-train -q -m model -o $killed_run "$@" --resume batches
}

optimizers=$(known --optimizer) schedules=$(known --schedule)
test_expect_success 'there are some' '
    test $(echo $optimizers | wc -w) -ge 13 && test $(echo $schedules | wc -w) -ge 7
'

for optimizer in $optimizers sgd:momentum=.9,nesterov=1,decay=.01 adam:decay=.01,amsgrad=1 rmsprop:momentum=.5,centered=1 adagrad:initial=.1 \
    adafactor:decay=.01 lamb:decay=.01; do
    run=$(echo $optimizer | tr -c "a-z0-9\n" -)
    test_expect_success "--optimizer $optimizer" '
        every_way $run --optimizer $optimizer --lr 1e-3 && differ $run model &&
        case $optimizer in adamw|adam) ;; *) differ $run adamw ;; esac
    '
    test -z "$full" || test_expect_success "--optimizer $optimizer, killed" '
        killed $run-killed --optimizer $optimizer --lr 1e-3 && same $run $run-killed
    '
done

for schedule in $schedules linear:by=epoch cosine:by=epoch,cycles=1; do
    run=$(echo $schedule | tr -c "a-z0-9\n" -)
    test_expect_success "--schedule $schedule" '
        every_way $run --schedule $schedule && differ $run model &&
        case $schedule in linear) same $run default ;; *) differ $run linear ;; esac
    '
    test -z "$full" || test_expect_success "--schedule $schedule, killed" '
        killed $run-killed --schedule $schedule && same $run $run-killed
    '
done

test_expect_success 'rates of layers, rates and decays by patterns' '
    every_way rates --layer-decay .7 --lr-for "*.bias=*2" --decay-for "*LayerNorm*=.1" --optimizer adamw:decay=.01 && differ rates default
'

test_expect_success 'a loss that learns, with an optimizer and a rate of its own, by steps of one batch and of four' '
    every_way learns --loss arcface --loss-optimizer sgd:momentum=.9 --loss-lr .5 --schedule cosine && differ learns default &&
    every_way learns-four --loss arcface --loss-optimizer nadam --loss-lr .1 --accumulate 4 && differ learns-four learns
'

for optimizer in adamw sgd lamb; do
    test_expect_success "--accumulate 4, $optimizer: also stopped between two steps" '
        run=gather-$optimizer && set -- --accumulate 4 --optimizer $optimizer --lr 1e-3 &&
        every_way $run "$@" && differ $run default && test "$(applied $run)" -eq $total &&
        size=$(($(wc -c <batches))) && for k in 2 6; do
            head -c $((size * k / total)) batches >part
            test_expect_code 3 $limit ft-train -q -m model -o $run-$k "$@" part 2>/dev/null
            test ! -e $run-$k/run/checkpoints || test "$(ls $run-$k/run/checkpoints)" = 4 || return 1
            $limit ft-train -q -m model -o $run-$k "$@" --resume batches && same $run $run-$k || return 1
        done &&
        sed "s/, \"seconds.*//" $run/run/log.jsonl >straight.log && sed "s/, \"seconds.*//" $run-6/run/log.jsonl >resumed.log &&
        test_cmp straight.log resumed.log && test $(grep -c "\"gradient_norm\": null" straight.log) -eq $((total - (total + 3) / 4))
    '
done
test_expect_success '--accumulate 4, killed' '
    killed gather-killed --accumulate 4 --optimizer adamw --lr 1e-3 && same gather-adamw gather-killed
'
test_expect_success '--accumulate 4 --save-every 3: checkpoints of steps only' '
    $limit ft-train -q -m model -o due --accumulate 4 --save-every 3 --steps 7 --keep 9 batches && ls due/run/checkpoints >list &&
    printf "4\n8\n" | test_cmp list - && $limit ft-train -q -o due --resume --keep 9 batches
'

test_expect_success 'what does not fit is said before anything is read' '
    refuse () {
        message=$1
        shift
        test_expect_code 2 $limit ft-train -q -m model -o refused "$@" batches 2>err && cat err && test_grep "$message" err && test_no_file refused
    } &&
    refuse "has a rise of its own" --schedule one-cycle --warmup 3 && refuse "layer-decay 0" --layer-decay 0 &&
    refuse "layer-decay 1.5" --layer-decay 1.5 && refuse "accumulate 0" --accumulate 0 &&
    refuse "lr-for: .x.y. matches no node" --lr-for "x.y=1" && refuse "expected PATTERN=X" --lr-for 1e-3 &&
    refuse "this optimizer has no weight decay" --optimizer rprop --decay-for "*=1" && refuse "unknown schedule" --schedule sine &&
    refuse "sgd has no key .beta1." --optimizer sgd:beta1=.5
'

test_expect_success 'a stream of which nobody says how long it is' '
    ft-cat -q --full batches | sed "1s/\"steps\":[0-9]*,//; 1s/\"epochs\":[0-9]*,//" >text && ft-cat -q --from-text text >unknown &&
    test_expect_code 2 $limit ft-train -q -m model -o unknown-run --schedule cosine --warmup 2 unknown 2>err && cat err &&
    test_grep "runs over all steps" err &&
    test_expect_code 2 $limit ft-train -q -m model -o unknown-run unknown 2>err && test_grep "is a share of the steps" err &&
    $limit ft-train -q -m model -o unknown-run --warmup 2 --accumulate 4 unknown && $limit ft-train -q -m model -o known-run --warmup 2 \
        --schedule constant --accumulate 4 batches && same unknown-run known-run
'

test_done
