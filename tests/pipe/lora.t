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

test_done
