#!/bin/sh
test_description='adapters in two towers: the same bits fused and piped, for any threads, memory and stops; the adapter over its base is the model'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

make=${FT_BUILD:-$TOP/build}/tests/model/test-lora-towers
clip=$PWD/clip vit=$PWD/vit
(cd "$TOP" && "$make" clip "$clip" && "$make" vit "$vit") && cp -r "$TOP/tests/golden/pictures/stripes" stripes &&
    $limit ft-tailor -q -m model -m vit --dim 6 --seed 3 -o both || { echo "Bail out! no models"; exit 1; }
for f in 0.png 1.jpg 4.png 5.jpg; do
    n=0
    for word in cat dog music web; do echo "my $word of $f,stripes/kind$n/$f"; n=$((n + 1)); done
done >pairs.csv
ft-ingest -q pairs.csv >pairs && ft-sample -q --batch 4 --epochs 3 --seed 5 pairs >batches || { echo "Bail out! no batches"; exit 1; }

# Weights, adapters and logit_scale of two models.
same () {
    for same_file in $(cd "$1" && find . -name "*.safetensors" -o -name ft.json); do
        case $same_file in ./run/*) continue ;; esac
        cmp "$1/$same_file" "$2/$same_file" || return 1
    done
}

# ways MODEL OPTION...: run MODEL-fused and the rest.
ways () {
    ways_model=$1
    shift
    set -- -m $ways_model --lr 1e-2 --loss-lr .02 --max-length 12 "$@"
    $limit ft-train -q "$@" -o $ways_model-fused batches && $limit ft-train -q "$@" -o $ways_model-piped --seed 5 --steps 0 &&
        piped $ways_model-piped batches && same $ways_model-fused $ways_model-piped &&
        ways_memory=$(least $limit ft-train "$@" --threads 1 batches) &&
        $limit ft-train -q "$@" --threads 1 --memory "$ways_memory" -o $ways_model-single batches && same $ways_model-fused $ways_model-single &&
        $limit ft-train -q "$@" --threads 2 -o $ways_model-two batches && same $ways_model-fused $ways_model-two &&
        $limit ft-train -q "$@" -o $ways_model-stopped --steps 5 batches && ! same $ways_model-fused $ways_model-stopped &&
        $limit ft-train -q -o $ways_model-stopped --resume batches && same $ways_model-fused $ways_model-stopped
}

# The embeddings of pairs by a model, one a line.
embeds () {
    ft-embed -q -m "$1" pairs | ft-cat -q --full | grep -o "\"data\":\"[^\"]*\""
}

test_expect_success 'a CLIP model: its weights, its adapter, its logit_scale' '
    ways clip --lora r=2,target=q_proj+v_proj+fc1+*_projection && grep -q logit_scale clip-fused/adapter/ft.json &&
    test "$(grep -c "text_model\.\|vision_model\." clip-fused/adapter/adapter_config.json)" -eq 12 &&
    test "$(grep -c "\"text_projection\"\|\"visual_projection\"" clip-fused/adapter/adapter_config.json)" -eq 2 && ! cmp -s clip/model.safetensors clip-fused/model.safetensors
'

test_expect_success 'joined towers: an adapter for each' '
    ways both --lora r=2 && test -s both-fused/adapter/text/adapter_model.safetensors && test -s both-fused/adapter/image/adapter_model.safetensors &&
    cmp both/image/2_Dense/model.safetensors both-fused/image/2_Dense/model.safetensors
'

test_expect_success 'the adapter over its base model is the model, to the bit, for every tool' '
    for m in clip both; do
        ft-export -q -m $m-fused/adapter -o $m-again && ft-export -q -m $m-fused -o $m-whole && same $m-whole $m-again || return 1
        embeds $m-fused >whole && embeds $m-fused/adapter >adapter && embeds $m >base && test_cmp whole adapter && test "$(wc -l <whole)" -eq 32 &&
            test "$(sort base whole | uniq -d | wc -l)" -eq 0 || return 1
    done &&
    ft-eval -q -m both-fused/adapter --modality text:image pairs >adapter.eval && ft-eval -q -m both-fused --modality text:image pairs >whole.eval && cmp adapter.eval whole.eval
'

test_expect_success 'training goes on from the adapter as from the model, logit_scale too; the adapter goes by its name where it lies' '
    for m in clip both; do
        $limit ft-train -q -m $m-fused/adapter --max-length 12 -o $m-more batches && $limit ft-train -q -m $m-again --max-length 12 -o $m-also batches &&
            same $m-also $m-more || return 1
        $limit ft-train -q -m $m-fused/adapter --max-length 12 --loss clip:learn=0 -o $m-fixed batches && $limit ft-train -q -m $m-again --max-length 12 --loss clip:learn=0 -o $m-held batches &&
            same $m-held $m-fixed || return 1
    done && cp -r both-fused/adapter elsewhere && sed -i "s,\"base_model_name_or_path\": \".*\",\"base_model_name_or_path\": \"../both\"," elsewhere/ft.json &&
    ft-export -q -m elsewhere -o from-there && same both-again from-there
'

test_expect_success 'halfway back: adapters and logit_scale go with the weights; of nothing the base model' '
    for m in clip both; do
        case $m in clip) lora=r=2,target=q_proj+v_proj ;; *) lora=r=2 ;; esac
        half="-m $m --lr 1e-2 --loss-lr .02 --max-length 12 --lora $lora" && $limit ft-train -q $half --wise-ft .5 -o $m-half batches &&
            ft-export -q -m $m-half/adapter -o $m-half-again && ft-export -q -m $m-half -o $m-half-whole && same $m-half-whole $m-half-again &&
            ! same $m-half $m-fused >/dev/null && $limit ft-train -q $half --wise-ft 0 -o $m-none batches && embeds $m-none >none.out && embeds $m >base &&
            test_cmp base none.out || return 1
    done
'

test_expect_success 'one tower: the other is what it was, and there is no adapter of it' '
    $limit ft-train -q -m both --max-length 12 --lora "r=2,target=text.*" --lr 1e-2 -o texts batches && cmp both/image/model.safetensors texts/image/model.safetensors &&
    ! cmp -s both/text/model.safetensors texts/text/model.safetensors && test ! -e texts/adapter/image && ft-export -q -m texts/adapter -o texts-again &&
    same texts-again texts && $limit ft-train -q -m both --max-length 12 --lora r=2 --freeze text --lr 1e-2 -o images batches &&
    cmp both/text/model.safetensors images/text/model.safetensors && test ! -e images/adapter/text && test -s images/adapter/image/adapter_model.safetensors &&
    $limit ft-train -q -m both --max-length 12 --lora r=2 --lr-for "text.*=0" --lr 1e-2 -o still batches && cmp both/text/model.safetensors still/text/model.safetensors &&
    ! cmp -s both/image/model.safetensors still/image/model.safetensors
'

test_expect_success 'a checkpoint holds adapters alone; --force takes the adapter away' '
    $limit ft-train -q -m both --max-length 12 -o whole-run --steps 1 batches && $limit ft-train -q -m both --max-length 12 --lora r=1 -o small-run --steps 1 batches &&
    test "$(wc -c <small-run/run/checkpoints/1/block)" -lt $(($(wc -c <whole-run/run/checkpoints/1/block) / 10)) &&
    $limit ft-train -q -m both --max-length 12 --force -o small-run --steps 1 batches && test ! -e small-run/adapter && test -s small-run/text/model.safetensors
'

test_expect_success 'what cannot be is said before anything is read' '
    test_expect_code 2 ft-train -q -m both --lora r=2 --freeze text --freeze image -o none batches 2>err && test_grep "are frozen" err &&
    test_expect_code 2 ft-train -q -m clip --lora r=2 -o none batches 2>err && test_grep "target=query names no linear layer: they are called like image" err &&
    for m in clip both; do
        test_expect_code 2 ft-train -q -m $m-fused/adapter --lora "r=2,target=text.*" -o none batches 2>err && test_grep "merges that one first" err || return 1
    done &&
    mv both moved && test_expect_code 2 ft-embed -q -m both-fused/adapter pairs 2>err >out && test_grep "both-fused/adapter/ft.json: base_model_name_or_path: no model" err &&
    mv moved both && test_no_file none
'

test_done
