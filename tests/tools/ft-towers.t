#!/bin/sh
test_description='two towers: joined, listed, frozen, embedded with, exported; each by itself'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

pictures=$TOP/tests/golden/pictures
cp -r "$pictures/resnet" resnet && cp -r "$pictures/stripes" stripes || { echo "Bail out! no images"; exit 1; }
tailor="$limit ft-tailor -q"
$tailor -m model -m resnet --dim 6 --seed 3 -o both || { echo "Bail out! not joined"; exit 1; }
cat >mixed.jsonl <<'END'
{"id":"a","text":"the cat"}
{"id":"b","uri":"stripes/kind0/0.png"}
{"id":"c","chunks":[{"id":"c1","text":"a dog","tags":{"role":"anchor"}},{"id":"c2","uri":"stripes/kind1/1.jpg","tags":{"role":"positive"}}]}
END
ft-cat -q --from-text mixed.jsonl >mixed

# The embeddings of standard input's documents and chunks, one a line.
embeddings () {
    ft-cat -q --full | grep -o "\"data\":\"[^\"]*\""
}

test_expect_success 'the list has both towers, and the totals of each' '
    $tailor -m both >list && test_grep "^text.2_Dense  *linear  *\[6\]  *120  yes" list && test_grep "^image.2_Dense  *linear  *\[6\]  *48  yes" list &&
    test_grep "^image.pixels  *pixels  *\[24, 24, 3\]" list && test_grep "^text: bert, 34 nodes, 9,472 parameters, 9,472 trainable" list &&
    test_grep "^image: resnet, 42 nodes" list && test "$(tail -1 list | cut -d, -f1)" = "76 nodes" &&
    $tailor -m both --json >list.json && test_grep "\"towers\":{\"text\":{\"family\":\"bert\",\"totals\":{\"nodes\":34,\"parameters\":9472," list.json &&
    test_grep "\"name\":\"image.normalize\",\"op\":\"normalize\",\"inputs\":\[\"image.2_Dense\"\]" list.json &&
    $tailor -m both --dot >list.dot && test "$(grep -c label= list.dot)" -eq 76 && test_grep "image.2_Dense" list.dot
'

test_expect_success 'two directories, each a model; ft-tailor says which of them only ft loads' '
    ft-tailor -m model -m resnet --dim 6 --seed 3 -o said 2>err && test_grep "only ft loads said/image: it has nodes behind its own" err &&
    ! grep "said/text" err && cmp both/text/2_Dense/model.safetensors said/text/2_Dense/model.safetensors &&
    test -f both/text/modules.json && test -f both/image/config.json && $tailor -m both/text --json >/dev/null &&
    ft-tailor -q -m both/image --json >/dev/null && ! cmp -s both/text/2_Dense/model.safetensors both/image/2_Dense/model.safetensors
'

test_expect_success 'texts and images of one stream, each by its tower; chunks too' '
    ft-embed -q -m both mixed | embeddings >all && test "$(wc -l <all)" -eq 4 &&
    ft-embed -q -m both/text --modality text mixed | embeddings >texts && ft-embed -q -m both/image --modality image mixed | embeddings >images &&
    test "$(wc -l <texts)" -eq 2 && test "$(wc -l <images)" -eq 2 &&
    { sed -n 1p texts; sed -n 1p images; sed -n 2p texts; sed -n 2p images; } >each && test_cmp each all &&
    ft-embed -q -m both --threads 1 mixed | embeddings >single && test_cmp all single
'

test_expect_success '--modality leaves the rest alone, with the embedding that it had' '
    ft-embed -q -m both --modality image mixed | embeddings >some && test_cmp images some &&
    ft-embed -q -m both --modality text mixed | ft-embed -q -m both --modality image | embeddings >both-ways && test_cmp all both-ways &&
    ft-embed -q -m model --modality text mixed >/dev/null && test_expect_code 3 ft-embed -q -m model mixed 2>err >out &&
    test_grep "document b: an image, and the model reads text" err &&
    test_expect_code 2 ft-embed -q -m model --modality image mixed 2>err >out && test_grep "modality image, and the model reads text" err &&
    documents pairs 8 1 | ft-sample -q --pairs --batch 4 >batches && test_expect_code 2 ft-embed -q -m both --modality text batches 2>err >out &&
    test_grep "modality is for documents" err
'

test_expect_success 'what is neither is named, and with --max-errors passed by; so is a picture that is missing' '
    printf "{\"id\": \"v\", \"tensor\": [1, 2]}\n{\"id\": \"gone\", \"uri\": \"gone.png\"}\n{\"id\": \"d\", \"text\": \"fine\"}\n" | ft-cat -q --from-text >odd &&
    test_expect_code 3 ft-embed -q -m both odd 2>err >out && test_grep "document v: neither text nor image, and the model reads texts and images" err &&
    ft-embed -m both --max-errors 2 odd 2>err | embeddings >out && test_grep "document gone: gone.png: No such file" err && test_grep "bad=2" err &&
    test "$(wc -l <out)" -eq 1
'

test_expect_success 'ft-search: a query of the command line is what --modality says, or the model cannot ask; an index of the other kind is named' '
    ft-search -q -m both --index mixed --modality text:image "the cat" >found && test "$(wc -l <found)" -eq 2 &&
    test_expect_code 2 ft-search -m model --index mixed --modality image:text stripes/kind0/0.png 2>err >out &&
    test_grep "modality image:text asks with images, and the model reads text" err &&
    test_expect_code 2 ft-search -m both/image --index mixed --modality text:image "the cat" 2>err >out && test_grep "asks with texts, and the model reads images" err &&
    sed -n 1p mixed.jsonl | ft-cat -q --from-text >words && test_expect_code 3 ft-search -m both --index words --modality text:image "the cat" 2>err >out &&
    test_grep "words has no images" err
'

test_expect_success 'frozen by tower; edited again; the embeddings stay' '
    $tailor -m both --freeze image --max-length 9 --prompt query=ask: -o frozen && $tailor -m frozen >list &&
    test_grep "^image: .* 0 trainable" list && test_grep "^text: bert, 34 nodes, 9,472 parameters, 9,472 trainable" list &&
    ft-embed -q -m frozen --prompt "" mixed | embeddings >out && test_cmp all out &&
    $tailor -m frozen --unfreeze "image.2_*" -o thawed && $tailor -m thawed | grep -q "^image: .* 48 trainable" &&
    $tailor -m both --image-size 32 -o larger && $tailor -m larger | grep -q "^image.pixels  *pixels  *\[32, 32, 3\]" &&
    $tailor -m both --head mlp:dropout=.1,out=6 -o as-wide && ! $tailor -m as-wide | grep 3_Dense &&
    $tailor -m frozen --dim 4 -o narrow && $tailor -m narrow | grep -q "^image: .* 24 trainable" &&
    test_expect_code 2 ft-tailor -m frozen --layers 1 -o none 2>err && test_grep "layers 1: of which of two towers is not said: text=1 or image=1" err &&
    test_expect_code 2 ft-tailor -m frozen -o none 2>err && test_grep "no edit" err && test_no_file none
'

test_expect_success 'edits of the tower that is named: layers, pools, projections, cuts; embeddings end in unit length' '
    $tailor -m both --layers text=1 --freeze "text.encoder.layer.0.*" -o short && $tailor -m short >list && test_grep "^text: bert, 20 nodes" list &&
    test_grep "^image: resnet, 42 nodes" list && cmp both/image/model.safetensors short/image/model.safetensors &&
    $tailor -m both/text --layers 1 -o text-alone && ft-embed -q -m text-alone --modality text mixed | embeddings >alone && ft-embed -q -m short mixed | embeddings >out &&
    { sed -n 1p alone; sed -n 1p images; sed -n 2p alone; sed -n 2p images; } >expect && test_cmp expect out &&
    $tailor -m both --pool image=gem:p=2,learn=0 --pool text=max -o pooled && $tailor -m pooled --json >list.json && test_grep "\"name\":\"image.pooling\",\"op\":\"gem\"" list.json &&
    grep -q "\"pooling_mode_max_tokens\": true" pooled/text/1_Pooling/config.json &&
    $tailor -m both --dim text=4 --head image=mlp:layers=2,out=4 -o narrower && $tailor -m narrower >list && test_grep "^text.3_Dense  *linear  *\[4\]" list &&
    test_grep "^image.4_Dense  *linear  *\[4\]" list &&
    $tailor -m both --embedding text.encoder.layer.0.output.LayerNorm --dim 6 -o cut && $tailor -m cut >list && test_grep "^text.2_Dense  *linear  *\[6\]" list &&
    test_grep "^text.normalize " list && ! grep "^image.3_Dense" list && $tailor -m cut --embedding text.pooling --embedding image.pooling --dim 5 -o again &&
    $tailor -m again >list && test_grep "^image.2_Dense  *linear  *\[5\]" list && test "$(grep -c "^[a-z]*.normalize " list)" -eq 2 &&
    $tailor -m both --dropout text=0 -o still && test_grep "\"hidden_dropout_prob\": 0.0" still/text/config.json && cmp both/image/config.json still/image/config.json
'

test_expect_success 'when they are joined, too; what is frozen in blocks that go is not spoken of any more' '
    $tailor -m model -m resnet --layers text=1 --pool image=max --dim 6 --seed 3 -o joined && $tailor -m joined >list && test_grep "^text: bert, 20 nodes" list &&
    $tailor -m both --freeze "text.encoder.layer.1.*" --freeze image -o part && $tailor -m part --layers text=1 -o left && ! grep "layer.1" left/ft.json &&
    $tailor -m left | grep -q "^image: .* 0 trainable" &&
    test_expect_code 2 ft-tailor -m both --dim text=4 -o none 2>err && test_grep "texts become 4 dimensions, images 6" err &&
    test_expect_code 2 ft-tailor -m both --pool mean -o none 2>err && test_grep "pool mean: of which of two towers is not said: text=mean or image=mean" err &&
    test_expect_code 2 ft-tailor -m both --embedding encoder.layer.0.output -o none 2>err && test_grep "expected text.NODE or image.NODE" err &&
    test_expect_code 2 ft-tailor -m both --embedding text.nothing -o none 2>err && test_grep "the text tower: --embedding nothing: the model has no such node" err &&
    test_expect_code 2 ft-tailor -m both --layers image=1 -o none 2>err && test_grep "the image tower: .*has no number of layers" err &&
    test_expect_code 2 ft-tailor -m both --dropout .1 -o none 2>err && test_grep "the image tower: .*has no rate of dropout" err &&
    test_expect_code 2 ft-tailor -m both --layers video=1 -o none 2>err && test_grep "of which of two towers" err && test_no_file none
'

test_expect_success 'CLIP, both towers in one config.json: fewer layers, dropout, and what that cannot say' '
    clip=$PWD/clip && (cd "$TOP" && "${FT_BUILD:-$TOP/build}"/tests/model/test-lora-towers clip "$clip") &&
    $tailor -m clip --layers text=1 --dropout image=.25 --freeze image -o less && $tailor -m less >list && test_grep "^text: clip_text_model, 16 nodes" list &&
    test_grep "^image: clip_vision_model, .* 0 trainable" list && echo "1 2 0.0 0.25 " >expect &&
    for key in num_hidden_layers attention_dropout; do sed -n "s/.*\"$key\": \([0-9.]*\).*/\1/p" less/config.json; done | tr "\n" " " >config.said && echo >>config.said && test_cmp expect config.said &&
    tr -c "[:print:]" "\n" <less/model.safetensors | head -c 20000 >names && test_grep "logit_scale" names && test_grep "text_model.encoder.layers.0.mlp" names &&
    ! grep "text_model.encoder.layers.1" names && test_grep "vision_model.encoder.layers.1" names &&
    ft-embed -q -m clip --modality image mixed | embeddings >before && ft-embed -q -m less --modality image mixed | embeddings >after && test_cmp before after &&
    ft-embed -q -m clip --modality text mixed | embeddings >before && ft-embed -q -m less --modality text mixed | embeddings >after && ! cmp -s before after &&
    $tailor -m less --layers image=1 --unfreeze image -o least && $tailor -m least >list && test_grep "^image: clip_vision_model, 19 nodes, .* [1-9][0-9,]* trainable" list &&
    open=$PWD/open && (cd "$TOP" && "${FT_BUILD:-$TOP/build}"/tests/model/test-lora-towers open-clip "$open") && $tailor -m open --layers image=1 -o open-less &&
    $tailor -m open-less >list && test_grep "^image: open_clip_image, 17 nodes" list && test_grep "\"layers\": 1" open-less/open_clip_config.json &&
    test_expect_code 2 ft-tailor -m open --dropout text=.1 -o none 2>err && test_grep "open_clip_config.json has no rate of dropout" err &&
    for edit in "pool image=mean" "dim 4" "head text=mlp:out=4" "embedding text.pooling" "image-size 48" "max-length 8" "prompt x" normalize; do
        test_expect_code 2 ft-tailor -m clip --$edit -o none 2>err && test_grep "can say --layers, --dropout, --freeze and --unfreeze, but not --${edit%% *}: that" err || return 1
    done &&
    test_expect_code 2 ft-tailor -m clip --layers text=3 -o none 2>err && test_grep "expected a whole number, 1 to 2" err && test_no_file none &&
    cp -r clip flat && sed -i "s/\"hidden_size\": 32/\"hidden_size\": 0/" flat/config.json && test_expect_code 3 ft-embed -q -m flat mixed 2>err >out &&
    test_grep "the image tower: flat/config.json: hidden_size is 0, expected 1 to 65536" err
'

test_expect_success 'exported whole, and pulled under a name, of which a tower can be asked' '
    ft-export -m both --to sentence-transformers -o out-dir 2>err && test_grep "only ft loads out-dir/image" err && test -f out-dir/text/modules.json &&
    test -f out-dir/image/model.safetensors && ft-embed -q -m out-dir mixed | embeddings >exported && test_cmp all exported &&
    mkdir home && FT_HOME=$PWD/home ft-pull -q both --as pair && FT_HOME=$PWD/home ft-embed -q -m pair mixed | embeddings >pulled && test_cmp all pulled &&
    FT_HOME=$PWD/home ft-embed -q -m pair/text --modality text mixed | embeddings >pulled && test_cmp texts pulled
'

test_expect_success 'what cannot be joined is said' '
    test_expect_code 2 ft-tailor -m resnet -m model --dim 4 -o none 2>err && test_grep "in this order" err &&
    test_expect_code 2 ft-tailor -m model -m model --dim 4 -o none 2>err && test_grep "reads text" err &&
    test_expect_code 2 ft-tailor -m both -m resnet --dim 4 -o none 2>err && test_grep "reads texts and images" err &&
    test_expect_code 2 ft-tailor -m model -m resnet -o none 2>err && test_grep "texts become 20 dimensions, images 8" err &&
    test_expect_code 2 ft-tailor -m model -m resnet --dim 4 2>err && test_grep "add -o DIR" err &&
    test_expect_code 2 ft-tailor -m model -m resnet -m both -o none 2>err && test_grep "more than twice" err &&
    test_expect_code 2 ft-tailor -m both --dim 4 -o both 2>err && test_grep "force replaces it" err && test_no_file none &&
    $tailor -m both --dim 4 --force -o said && $tailor -m said | grep -q "^text.3_Dense  *linear  *\[4\]"
'

test_done
