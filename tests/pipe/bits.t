#!/bin/sh
test_description='the same model, bit for bit: piped and fused, any threads, any memory, documents and batches'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

test_expect_success 'dropout is on, so that equal bits also mean equal masks' '
    test "$(grep -c "dropout_prob\": 0.1," model/config.json)" -eq 2 &&
    sed "s/\(dropout_prob\"\): 0.1/\1: 0/" model/config.json >without.json &&
    cp -r model still && cp without.json still/config.json &&
    documents labelled 60 1 >few && $limit ft-sample -q --batch 24 --epochs 2 few >few.batches &&
    $limit ft-train -q -m model -o with few.batches && $limit ft-train -q -m still -o without few.batches &&
    differ with without
'

# Batches of some 700 tokens, so that one is several shards; --chunk 5 makes it several chunks too.
for kind in labelled pairs triplets scored; do
    test_expect_success "$kind: piped equals fused, given batches and given documents" '
        documents $kind 150 2 >$kind &&
        $limit ft-sample -q --batch 50 --epochs 2 --seed 5 $kind >$kind.batches &&
        $limit ft-train -q -m model -o $kind-fused $kind.batches &&
        new_run $kind-piped --seed 5 && piped $kind-piped $kind.batches &&
        $limit ft-train -q -m model -o $kind-documents --batch 50 --epochs 2 --seed 5 $kind &&
        same $kind-fused $kind-piped $kind-documents &&
        differ $kind-fused model
    '
done

test_expect_success 'the logs are the same too, apart from the seconds' '
    for run in fused piped documents; do
        sed "s/, \"seconds.*//" pairs-$run/run/log.jsonl >$run.log || return 1
    done &&
    test "$(wc -l <fused.log)" -eq 6 && test_cmp fused.log piped.log && test_cmp fused.log documents.log
'

test_expect_success 'a sampler inside the pipe, in front of ft-train, and inside ft-train' '
    new_run through && <labelled ft-sample -q --batch 50 --epochs 2 --seed 5 | ft-embed -q -m through | ft-loss -q -m through |
        ft-update -q -m through >steps &&
    differ through labelled-fused &&
    <labelled ft-sample -q --batch 50 --epochs 2 --seed 5 | ft-train -q -m model -o inherited &&
    same inherited labelled-fused
'

test_expect_success 'other losses, a miner that draws, frozen nodes, weight decay, clipping, a prompt: piped equals fused' '
    odd () {
        $limit ft-train -q -m model --loss "triplet:margin=.3" --loss "0.5*supcon:temperature=.1" --miner distance-weighted --clip .1 \
            --optimizer adamw:decay=.01 --schedule constant --lr 1e-3 --warmup 2 --freeze "encoder.layer.0.*" --prompt "my " \
            --max-length 12 "$@"
    } &&
    odd -o odd-fused labelled.batches &&
    odd -o odd-piped --seed 5 --steps 0 && piped odd-piped labelled.batches &&
    same odd-fused odd-piped && differ odd-fused labelled-fused
'

test_expect_success 'losses with weights of their own, and an optimizer for them: piped equals fused, any threads' '
    learning () {
        $limit ft-train -q -m model --loss "arcface:scale=16" --loss "0.5*supcon:temperature=.1" --loss "0.1*sub-center-arcface" \
            --loss-optimizer adamw:decay=.1 --loss-lr .05 --clip 2 "$@"
    } &&
    learning -o learning-fused labelled.batches && learning -o learning-one --threads 1 labelled.batches &&
    learning -o learning-documents --batch 50 --epochs 2 --seed 5 labelled &&
    learning -o learning-piped --seed 5 --steps 0 && piped learning-piped labelled.batches &&
    same learning-fused learning-one learning-documents learning-piped && differ learning-fused labelled-fused &&
    $limit ft-train -q -m model --loss "arcface:scale=16" --loss "0.5*supcon:temperature=.1" --loss "0.1*sub-center-arcface" --clip 2 \
        -o learning-slowly labelled.batches && differ learning-slowly learning-fused
'

test_expect_success 'temperatures that are learnt, of pairs: piped equals fused, any threads; a step takes them to their bounds and no further' '
    towards () {
        $limit ft-train -q -m model --loss "clip" --loss "0.5*siglip:temperature=.2,bias=-2" "$@"
    } &&
    towards -o towards-fused --loss-lr .01 pairs.batches && towards -o towards-one --loss-lr .01 --threads 1 pairs.batches &&
    towards -o towards-piped --loss-lr .01 --seed 5 --steps 0 && piped towards-piped pairs.batches &&
    same towards-fused towards-one towards-piped && differ towards-fused pairs-fused &&
    $limit ft-train -q -m model --loss "clip:temperature=.07,learn=0" --loss "0.5*siglip:temperature=.2,bias=-2,learn=0" -o towards-fixed pairs.batches &&
    differ towards-fused towards-fixed &&
    numbers () {
        od -An -v -tf4 -w64 $1/run/checkpoints/2/loss | awk "NR <= 3 { printf \"%.4f \", \$1 }"
    } &&
    towards -o towards-two --loss-lr .01 --steps 2 pairs.batches && numbers towards-two && case "$(numbers towards-two)" in
        2.6[4-8]*" "1.[56]*" "-[12].*) ;;
        *) false ;;
    esac &&
    towards -o towards-far --loss-optimizer sgd --clip 0 --loss-lr 1e9 --warmup 0 --steps 2 pairs.batches && numbers towards-far &&
    case "$(numbers towards-far)" in
        0.0000" "0.0000*|0.0000" "4.6052*|4.6052" "0.0000*|4.6052" "4.6052*) ;;
        *) false ;;
    esac &&
    towards -o towards-decayed --loss-lr .01 --loss-optimizer adamw:decay=100 --steps 2 pairs.batches && test "$(numbers towards-decayed)" = "$(numbers towards-two)"
'

test_expect_success 'a memory of batches before, and sizes of embedding: piped equals fused, any threads' '
    remembering () {
        $limit ft-train -q -m model --loss "supcon:memory_size=120" --loss "contrastive:memory_size=70,matryoshka_dims=20+8" "$@"
    } &&
    remembering -o memory-fused labelled.batches && remembering -o memory-one --threads 1 labelled.batches &&
    remembering -o memory-piped --seed 5 --steps 0 && piped memory-piped labelled.batches &&
    same memory-fused memory-one memory-piped && differ memory-fused labelled-fused &&
    $limit ft-train -q -m model --loss "supcon:memory_size=50" --loss "contrastive:memory_size=70,matryoshka_dims=20+8" -o memory-less labelled.batches &&
    differ memory-less memory-fused && ft-embed -q -m model labelled.batches >embedded &&
    test_expect_code 2 ft-loss -q --loss supcon:memory_size=100 embedded 2>err >out && test_grep "the memory lives in a run" err
'

test_expect_success 'a loss with weights of its own has none without a run, nor without classes' '
    ft-embed -q -m model labelled.batches >embedded &&
    test_expect_code 2 ft-loss -q --loss arcface embedded 2>err >out && cat err && test_grep "which live in a run" err &&
    ft-embed -q -m model pairs.batches >embedded-pairs && ft-loss -q --loss clip:learn=0 embedded-pairs >out &&
    test_expect_code 2 ft-loss -q --loss clip embedded-pairs 2>err >out && cat err && test_grep "clip has weights of its own, which live in a run" err &&
    ft-cat -q --full labelled.batches | sed "1s/\"classes\":6/\"classes\":0/" | ft-cat -q --from-text >no-classes &&
    ! cmp -s no-classes labelled.batches &&
    test_expect_code 3 $limit ft-train -q -m model --loss arcface -o none no-classes 2>err && cat err && test_grep "0 classes" err &&
    ft-cat -q --full labelled.batches | sed "1s/\"classes\":6/\"classes\":5/" | ft-cat -q --from-text >few-classes &&
    test_expect_code 3 $limit ft-train -q -m model --loss arcface -o none few-classes 2>err && cat err && test_grep "label 5, and .* 5 classes" err &&
    test_no_file none
'

for chunk in 1 5 1000; do
    test_expect_success "--chunk $chunk: piped equals fused" '
        $limit ft-train -q -m model -o chunk-$chunk --chunk $chunk labelled.batches &&
        new_run chunk-$chunk-piped --seed 5 --chunk $chunk && piped chunk-$chunk-piped labelled.batches &&
        same chunk-$chunk chunk-$chunk-piped
    '
done

test_expect_success 'another --chunk agrees, but not to the bit' '
    differ chunk-1 chunk-5 &&
    for run in chunk-1 chunk-5 chunk-1000; do
        sed -n "s/.*\"loss\": \([^,]*\),.*/\1/p" $run/run/log.jsonl >$run.losses || return 1
    done &&
    test -s chunk-1.losses &&
    paste chunk-1.losses chunk-5.losses chunk-1000.losses |
        awk "{ a = \$1 - \$2; b = \$1 - \$3; if (a * a > 1e-12 || b * b > 1e-12) { print; bad = 1 } } END { exit bad }"
'

test_expect_success 'little memory, so that all is computed twice, equals much' '
    memory=$(least $limit ft-train -m model --chunk 5 labelled.batches) && test_no_file least-refused &&
    $limit ft-train -q -m model -o little --chunk 5 --memory "$memory" labelled.batches &&
    $limit ft-train -q -m model -o much --chunk 5 --memory 4G labelled.batches &&
    same chunk-5 little much
'

test_expect_success '--threads 1, 2, 3 and 7: fused and in every stage' '
    for n in 1 2 3 7; do
        $limit ft-train -q -m model -o threads-$n --chunk 20 --threads $n labelled.batches &&
        new_run threads-$n-piped --seed 5 --chunk 20 &&
        ft-embed -q -m threads-$n-piped --threads $n labelled.batches | ft-loss -q -m threads-$n-piped --threads $((8 - n)) |
            ft-update -q -m threads-$n-piped --threads $((n + 1)) >steps || return 1
    done &&
    same threads-1 threads-2 threads-3 threads-7 threads-1-piped threads-2-piped threads-3-piped threads-7-piped
'

test_expect_success '--precision bf16: piped equals fused, any threads, any memory; and it is not fp32' '
    for n in 1 3; do
        $limit ft-train -q -m model -o bf16-$n --precision bf16 --chunk 20 --threads $n labelled.batches &&
        new_run bf16-$n-piped --precision bf16 --seed 5 --chunk 20 &&
        ft-embed -q -m bf16-$n-piped --threads $n labelled.batches | ft-loss -q -m bf16-$n-piped |
            ft-update -q -m bf16-$n-piped --threads $((4 - n)) >steps || return 1
    done &&
    memory=$(least $limit ft-train -m model --precision bf16 --chunk 20 labelled.batches) &&
    $limit ft-train -q -m model -o bf16-little --precision bf16 --chunk 20 --memory "$memory" labelled.batches &&
    same bf16-1 bf16-3 bf16-1-piped bf16-3-piped bf16-little && differ bf16-1 threads-1
'

test_expect_success 'the precision is the run'"'"'s, not a stage'"'"'s' '
    new_run untouched --precision bf16 &&
    test_expect_code 2 ft-embed -q -m untouched --precision bf16 labelled.batches >out 2>err && test_grep "the run" err
'

test_expect_success 'sampling and training from documents: any threads' '
    for n in 1 3; do
        $limit ft-train -q -m model -o documents-$n --batch 50 --epochs 2 --seed 5 --threads $n labelled || return 1
    done &&
    same documents-1 documents-3 labelled-fused
'

test_expect_success 'the same seed twice is the same, another one is not, in sampling and in dropout' '
    $limit ft-train -q -m model -o seed-7 --batch 50 --epochs 2 --seed 7 labelled &&
    $limit ft-train -q -m model -o seed-7-again --batch 50 --epochs 2 --seed 7 labelled &&
    $limit ft-train -q -m model -o seed-8 --batch 50 --epochs 2 --seed 8 labelled &&
    same seed-7 seed-7-again && differ seed-7 seed-8 &&
    $limit ft-train -q -m model -o mask-1 --seed 1 labelled.batches &&
    $limit ft-train -q -m model -o mask-2 --seed 2 labelled.batches &&
    differ mask-1 mask-2
'

test_expect_success 'a batch of several chunks by its tokens alone' '
    documents labelled 400 3 >large && ft-sample -q --batch 400 --epochs 2 large >large.batches &&
    $limit ft-train -q -m model -o large-fused large.batches &&
    new_run large-piped && piped large-piped large.batches --threads 2 &&
    memory=$(least $limit ft-train -m model --threads 1 large.batches) &&
    $limit ft-train -q -m model -o large-little --memory "$memory" --threads 1 large.batches &&
    same large-fused large-piped large-little
'

test_expect_success 'a text twice in a batch gets two masks, and each batch others' '
    printf "text,label\nthe cat sat,a\nthe cat sat,a\nthe cat sat,b\nthe cat sat,b\n" >twice.csv &&
    ft-ingest -q --labeled twice.csv | ft-sample -q --per-class 2 --batch 4 --epochs 2 >twice.batches && new_run masks --lr 0 &&
    ft-embed -q -m masks twice.batches | tee embedded | ft-loss -q -m masks | ft-update -q -m masks >steps &&
    ft-cat -q --full embedded | sed -n "s/.*\"embedding\":{[^}]*\"data\":\"\([^\"]*\)\"}.*/\1/p" >embeddings &&
    test "$(wc -l <embeddings)" -eq 2 &&
    while read -r data; do echo "$data" | base64 -d | od -An -v -tx1 -w80; done <embeddings >rows &&
    test "$(wc -l <rows)" -eq 8 && test "$(sort -u rows | wc -l)" -eq 8
'

test_done
