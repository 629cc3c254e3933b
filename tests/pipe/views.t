#!/bin/sh
test_description='views: texts without labels, each of which meets itself under another dropout'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

corpus labelled 300 3 | sed '1d; s/,.*//' >lines.txt
ft-ingest -q lines.txt >lines || exit 1

test_expect_success 'piped equals fused, from batches and from documents, as classes and as pairs' '
    for kind in classes pairs; do
        $limit ft-sample -q --$kind --views 2 --batch 60 --epochs 2 --seed 5 lines >$kind.batches &&
        $limit ft-train -q -m model -o $kind-fused $kind.batches &&
        $limit ft-train -q -m model -o $kind-documents --$kind --views 2 --batch 60 --epochs 2 --seed 5 lines &&
        new_run $kind-piped --seed 5 && piped $kind-piped $kind.batches &&
        same $kind-fused $kind-documents $kind-piped || return 1
    done &&
    differ classes-fused pairs-fused
'

# mean FROM TO: of the loss over these steps of the log.
mean () {
    sed -n "$2,$3p" "$1/run/log.jsonl" | sed "s/.*\"loss\": \([^,]*\),.*/\1/" | awk "{ sum += \$1 } END { print int(1000 * sum / NR) }"
}

test_expect_success 'a list of lines trains: texts know themselves again, and others do not look like them' '
    for how in "--batch 64" "--pairs --batch 32"; do
        rm -rf learned not-learned &&
        $limit ft-train -q -m model -o learned --views 2 $how --epochs 8 --lr 1e-3 lines &&
        $limit ft-train -q -m model -o not-learned --views 2 $how --epochs 8 --lr 0 lines &&
        first=$(mean learned 1 5) last=$(mean learned 70 75) still=$(mean not-learned 70 75) &&
        echo "$how: $first, $last, without learning $still" &&
        test "$last" -lt $((first * 9 / 10)) && test "$last" -lt $((still * 9 / 10)) || return 1
    done
'

test_expect_success 'without dropout there is nothing to tell the views apart' '
    cp -r model still && sed -i "s/\(dropout_prob\"\): 0.1/\1: 0/" still/config.json &&
    $limit ft-train -q -m model -o one --views 2 --batch 60 --steps 1 lines && $limit ft-train -q -m still -o two --views 2 --batch 60 --steps 1 lines &&
    test "$(mean one 1 1)" -ne "$(mean two 1 1)"
'

test_expect_success 'views are the run'"'"'s, and options of sampling' '
    test_expect_code 2 ft-train -q -o one --resume --views 3 lines >out 2>err && test_grep "views was set to something else" err &&
    test_expect_code 2 ft-train -q -m model -o three --views 2 classes.batches >out 2>err && test_grep "belong to ft-sample" err &&
    documents pairs 10 1 >pairs && test_expect_code 3 ft-sample -q --views 2 pairs >out 2>err && test_grep "texts alone" err
'

test_done
