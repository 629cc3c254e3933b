#!/bin/sh
test_description='adapters: read from PEFT files, trained, merged, written'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

golden=$TOP/tests/golden/lora
documents pairs 40 3 >pairs && documents labelled 90 1 >labelled

# embeds MODEL STREAM: as numbers.
embeds () {
    ft-embed -q -m "$1" "$2" | ft-export -q --to npy
}

test_expect_success 'a directory of PEFT is a model for every tool that reads one: its base with the adapter merged' '
    embeds "$golden/adapter" pairs >adapter.npy && embeds model pairs >base.npy && ! cmp -s adapter.npy base.npy &&
    ft-export -q -m "$golden/adapter" -o merged && embeds merged pairs >merged.npy && cmp adapter.npy merged.npy &&
    test -s merged/config.json && test ! -e merged/adapter_config.json &&
    ft-eval -q -k 2 -m merged --json labelled >expect && ft-eval -q -k 2 -m "$golden/adapter" --json labelled >actual && test_cmp expect actual &&
    ft-search -q -m merged --index labelled --json "the cat" >expect &&
    ft-search -q -m "$golden/adapter" --index labelled --json "the cat" >actual && test_cmp expect actual
'

test_expect_success 'modules beside an adapter are those of the model' '
    ft-export -q -m "$golden/modules" -o whole && embeds whole pairs >whole.npy && embeds "$golden/modules" pairs >modules.npy && cmp modules.npy whole.npy &&
    tr -d "\n " <whole/1_Pooling/config.json >pooling && test_grep "\"pooling_mode\":\"cls\"" pooling && test ! -e whole/2_Normalize && test -s whole/tokenizer.json
'

test_expect_success 'training goes on from an adapter as from any model' '
    $limit ft-train -q -m "$golden/adapter" -o from-adapter --epochs 1 pairs && $limit ft-train -q -m merged -o from-merged --epochs 1 pairs &&
    same from-adapter from-merged
'

test_expect_success 'an adapter whose base model is not there, or whose files are damaged' '
    cp -r "$golden/adapter" lost && chmod -R u+w lost && test_expect_code 2 ft-embed -q -m lost pairs 2>err >ft &&
    test_grep "lost/adapter_config.json: base_model_name_or_path: no model" err &&
    sed "s|../../model/mean|../model|" lost/adapter_config.json >config && cp config lost/adapter_config.json && embeds lost pairs >lost.npy &&
    head -c 3000 "$golden/adapter/adapter_model.safetensors" >lost/adapter_model.safetensors &&
    test_expect_code 3 ft-embed -q -m lost pairs 2>err >ft && test_grep "lost/adapter_model.safetensors" err &&
    rm lost/adapter_model.safetensors && test_expect_code 4 ft-embed -q -m lost pairs 2>err >ft && test_grep "lost/adapter_model.safetensors" err
'

adapt='--lora r=4,alpha=8,target=query+value+intermediate.dense'

for kind in labelled pairs; do
    test_expect_success "$kind: trained adapters are the same bits piped and fused, for any threads, memory and stops" '
        $limit ft-sample -q --batch 30 --epochs 2 --seed 5 $kind >$kind.batches &&
        $limit ft-train -q -m model $adapt --lr 1e-2 -o $kind-fused $kind.batches && new_run $kind-piped --seed 5 $adapt --lr 1e-2 &&
        piped $kind-piped $kind.batches && same $kind-fused $kind-piped && differ $kind-fused model &&
        cmp $kind-fused/adapter/adapter_model.safetensors $kind-piped/adapter/adapter_model.safetensors &&
        memory=$(least $limit ft-train -m model $adapt --threads 3 $kind.batches) &&
        $limit ft-train -q -m model $adapt --lr 1e-2 --threads 3 --memory "$memory" -o $kind-threads $kind.batches && same $kind-fused $kind-threads &&
        $limit ft-train -q -m model $adapt --lr 1e-2 -o $kind-stopped --steps 1 $kind.batches && differ $kind-stopped $kind-fused &&
        $limit ft-train -q -o $kind-stopped --resume $kind.batches && same $kind-fused $kind-stopped
    '
done

test_expect_success 'the adapter over its base model is the model, to the bit; what has no adapter is the base model to the bit' '
    test_grep "\"base_model_name_or_path\": \"$(pwd -P)/model\"" pairs-fused/adapter/adapter_config.json &&
    ft-export -q -m pairs-fused/adapter -o again && same pairs-fused again &&
    $limit ft-train -q -m model --lora target=encoder.layer.1.attention.self.value --lr 1e-2 -o one pairs.batches && differ one model &&
    ft-export -q -m model -o plain && test "$(cmp -l plain/model.safetensors one/model.safetensors | wc -l)" -le 1600 &&
    test "$(cmp -l plain/model.safetensors one/model.safetensors | wc -l)" -ge 400
'

test_expect_success 'a checkpoint holds adapters alone' '
    $limit ft-train -q -m model -o whole-run --steps 1 pairs.batches &&
    $limit ft-train -q -m model --lora r=1 -o small-run --steps 1 pairs.batches &&
    test "$(wc -c <small-run/run/checkpoints/1/block)" -lt $(($(wc -c <whole-run/run/checkpoints/1/block) / 20))
'

test_expect_success '--freeze says where there are no adapters; what cannot be is said before anything is read' '
    $limit ft-train -q -m model --lora r=2 --freeze "encoder.layer.0.*" -o upper pairs.batches &&
    test "$(grep -c "encoder.layer" upper/adapter/adapter_config.json)" -eq 2 &&
    test_expect_code 2 ft-train -q -m model --lora r=2 --freeze "encoder.*" -o none pairs.batches 2>err && test_grep "are frozen" err &&
    test_expect_code 2 ft-train -q -m model --lora dropout=.1 -o none pairs.batches 2>err && test_grep "dropout" err &&
    test_expect_code 2 ft-train -q -m model --lora target=nothing -o none pairs.batches 2>err && test_grep "names no linear layer" err &&
    test_expect_code 2 ft-train -q -m "$golden/adapter" --lora r=2 -o none pairs.batches 2>err && test_grep "merges that one first" err &&
    test_expect_code 2 ft-train -q -o small-run --resume --lora r=2 pairs.batches 2>err && test_grep "lora was set to something else" err &&
    test ! -e none
'

test_expect_success 'halfway back to the base model: the adapter goes with the model' '
    $limit ft-train -q -m model $adapt --lr 1e-2 --wise-ft .5 -o half pairs.batches && differ half pairs-fused && differ half model &&
    ft-export -q -m half/adapter -o half-again && same half half-again &&
    $limit ft-train -q -m model $adapt --lr 1e-2 --wise-ft 0 -o back pairs.batches && same back plain
'

test_expect_success 'rates and decays of patterns are those of the adapted weights; several batches a step' '
    $limit ft-train -q -m model $adapt --lr 1e-2 --lr-for "*=*1" --decay-for "*=0" -o rates pairs.batches && same rates pairs-fused &&
    $limit ft-train -q -m model $adapt --lr 1e-2 --lr-for "*=0" -o still pairs.batches && same still plain &&
    $limit ft-train -q -m model $adapt --lr 1e-2 --lr-for "*.query=0" -o some pairs.batches && differ some pairs-fused && differ some plain &&
    $limit ft-train -q -m model $adapt --lr 1e-2 --accumulate 2 -o two pairs.batches && differ two pairs-fused && differ two plain &&
    new_run two-piped --seed 5 $adapt --lr 1e-2 --accumulate 2 && piped two-piped pairs.batches && same two two-piped
'

test_done
