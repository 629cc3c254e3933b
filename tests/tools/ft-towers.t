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

test_expect_success 'frozen by tower; edited again; the embeddings stay' '
    $tailor -m both --freeze image --max-length 9 --prompt query=ask: -o frozen && $tailor -m frozen >list &&
    test_grep "^image: .* 0 trainable" list && test_grep "^text: bert, 34 nodes, 9,472 parameters, 9,472 trainable" list &&
    ft-embed -q -m frozen --prompt "" mixed | embeddings >out && test_cmp all out &&
    $tailor -m frozen --unfreeze "image.2_*" -o thawed && $tailor -m thawed | grep -q "^image: .* 48 trainable" &&
    $tailor -m both --image-size 32 -o larger && $tailor -m larger | grep -q "^image.pixels  *pixels  *\[32, 32, 3\]" &&
    $tailor -m frozen --dim 4 -o narrow && $tailor -m narrow | grep -q "^image: .* 24 trainable" &&
    test_expect_code 2 ft-tailor -m frozen --layers 1 -o none 2>err && test_grep "of which of two towers" err &&
    test_expect_code 2 ft-tailor -m frozen -o none 2>err && test_grep "no edit" err && test_no_file none
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
