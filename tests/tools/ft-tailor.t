#!/bin/sh
test_description='ft-tailor: nodes listed, models changed, and trained as changed'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

GOLDEN=$TOP/tests/golden/tailor
documents labelled 120 1 >documents || { echo "Bail out! no documents"; exit 1; }
tailor="$limit ft-tailor -q"

# The files of two models that differ, one name a line.
changed () {
    (cd "$1" && find . -name "*.safetensors" | sort) | while read -r file; do
        cmp -s "$1/$file" "$2/$file" || echo "$file"
    done
}

# ---- the list ----

test_expect_success 'the list: names, shapes of 16 tokens, parameters, totals' '
    ft-tailor -m model >list 2>err && test_grep "out=33" err &&
    test "$(head -1 list | tr -s " ")" = "name op output parameters trainable" &&
    test "$(sed -n "/self.query/{s/  */ /gp;q;}" list)" = "encoder.layer.0.attention.self.query linear [16, 20] 420 yes" &&
    test "$(sed -n "/intermediate.act/{s/  */ /gp;q;}" list)" = "encoder.layer.0.intermediate.act activation [16, 36] - -" &&
    test "$(sed -n "/^pooling/s/  */ /gp" list)" = "pooling pool [20] - -" &&
    test "$(tail -1 list)" = "33 nodes, 9,352 parameters, 9,352 trainable, 37,408 bytes" &&
    ! grep -q "$(printf "\033")" list &&
    ft-tailor -q -m model --input 5 | grep -F -q "[5, 36]"
'

test_expect_success '--json: the same, and of the parameters as many as the file has numbers' '
    $tailor -m model --json >list.json && test "$(wc -l <list.json)" -eq 1 &&
    test_grep "\"name\":\"pooling\",\"op\":\"pool\",\"inputs\":\[\"encoder.layer.1.output.LayerNorm\"\],\"shape\":\[20\],\"parameters\":0" list.json &&
    test_grep "\"totals\":{\"nodes\":33,\"parameters\":9352,\"trainable\":9352,\"bytes\":37408}" list.json
'

test_expect_success '--dot: a graph' '
    $tailor -m model --dot >graph && test "$(grep -c " -> " graph)" -eq 40 && test "$(grep -c label= graph)" -eq 33
'
if command -v dot >/dev/null; then
    test_expect_success 'that graphviz draws' 'dot -Tsvg graph >graph.svg && test "$(grep -c "class=\"node\"" graph.svg)" -eq 33'
else
    test_skip 'that graphviz draws' 'no dot'
fi

test_expect_success 'of a model of pictures: shapes follow from their size, the model'\''s or --input' '
    cats=$GOLDEN/cats && $tailor -m "$cats" --json >cats.json && test_grep "\"name\":\"pixels\",\"op\":\"pixels\",\"inputs\":\[\],\"shape\":\[64,64,3\]" cats.json &&
    $tailor -m "$cats" --input 37 --json >cats37.json &&
    test_grep "\"name\":\"embedder.embedder.convolution\",\"op\":\"convolution\",\"inputs\":\[\"pixels\"\],\"shape\":\[19,19,8\],\"parameters\":1176" cats37.json &&
    test_grep "\"name\":\"maxpool\",\"op\":\"max-pool\",\"inputs\":\[\"act1\"\],\"shape\":\[10,10,8\]" cats37.json &&
    test_grep "\"name\":\"pooling\",\"op\":\"pool\",\"inputs\":\[[^]]*\],\"shape\":\[20\]" cats37.json &&
    test "$(grep -o "\"totals\".*" cats.json)" = "$(grep -o "\"totals\".*" cats37.json)" &&
    $tailor -m "$cats" --input 37 --dot >cats.dot && test_grep "label=\"maxpool.nmax-pool \[10, 10, 8\]\"" cats.dot && test_grep "n3 -> n4;" cats.dot &&
    test "$(grep -c label= cats.dot)" -eq 40 && test_expect_code 2 ft-tailor -m "$cats" --input 0 2>err && test_grep "expected 1 to 16384" err
'

# efficientnet: its nodes alone, of a file that has one tensor.
test_expect_success 'maps that are smaller than a kernel, of --input and of a stranger'\''s files, are refused' '
    mkdir small-maps && header="{\"embeddings.convolution.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} " &&
    printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0%s\\0\\0\\0\\0" "$header" >small-maps/model.safetensors &&
    printf "{\"model_type\": \"efficientnet\", \"width_coefficient\": 0.25, \"depth_coefficient\": 0.5, \"hidden_dim\": 320, \"image_size\": 64}" >small-maps/config.json &&
    $tailor -m small-maps | grep -F -q "[2, 2, 80]" && test_expect_code 2 ft-tailor -m small-maps --input 16 2>err && test_grep "images of 16 x 16 are too small" err &&
    sed "s/64}/64, \"num_hidden_layers\": 32}/" small-maps/config.json >numbered.json && mkdir numbered && cp small-maps/model.safetensors numbered && mv numbered.json numbered/config.json &&
    test_expect_code 2 ft-tailor -m numbered --layers 2 -o x 2>err && test_grep "layers 2: blocks of this family cannot be left out by their number; --embedding NODE" err &&
    sed -i "s/64}/1}/" small-maps/config.json && test_expect_code 3 ft-tailor -m small-maps 2>err && test_grep "images of 1 x 1 are too small" err
'

test_expect_success '--image-size: pictures are read so from then on, with the parameters as they are; a ViT and texts are refused' '
    cats=$GOLDEN/cats && $tailor -m "$cats" --image-size 96 --dim 4 -o cats96 &&
    test_grep "\"height\": 96" cats96/preprocessor_config.json && $tailor -m cats96 --json | grep -q "\"name\":\"pixels\",\"op\":\"pixels\",\"inputs\":\[\],\"shape\":\[96,96,3\]" &&
    $tailor -m cats96 --image-size 64 --embedding pooling -o cats64 && $tailor -m "$cats" -o cats-as-they-were && $tailor -m cats64 >list && $tailor -m cats-as-they-were >want && test_cmp want list &&
    ft-ingest -q --format images "$GOLDEN/pictures" >sized.ft && for m in 64 96 -as-they-were; do ft-embed -q -m cats$m sized.ft | ft-export -q --to npy -o sized$m.npy || return 1; done &&
    cmp sized64.npy sized-as-they-were.npy && ! cmp -s sized96.npy sized64.npy && same cats96 cats64 cats-as-they-were &&
    ft-export -q -m cats96 -o cats96-exported && cmp cats96/preprocessor_config.json cats96-exported/preprocessor_config.json &&
    test_expect_code 2 ft-tailor -m "$cats" --image-size 96px -o x 2>err && test_grep "image-size 96px: expected a whole number, 1 to 16384" err &&
    test_expect_code 2 ft-tailor -m "$cats" --image-size 0 -o x 2>err && test_grep "expected a whole number" err &&
    test_expect_code 2 ft-tailor -m model --image-size 96 -o x 2>err && test_grep "image-size 96: the model reads no images" err &&
    mkdir small-vit && header="{\"embeddings.patch_embeddings.projection.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} " &&
    printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0%s\\0\\0\\0\\0" "$header" >small-vit/model.safetensors &&
    printf "{\"model_type\": \"vit\", \"image_size\": 32, \"patch_size\": 8, \"hidden_size\": 8, \"num_attention_heads\": 2, \"intermediate_size\": 8, \"num_hidden_layers\": 1}" >small-vit/config.json &&
    $tailor -m small-vit | grep -q pixels && test_expect_code 2 ft-tailor -m small-vit --image-size 64 -o x 2>err && test_grep "64 x 64, and its table of positions is for 32 x 32" err && test_no_file x
'

# ---- edits ----

test_expect_success 'nothing trains but the projection of a linear probe' '
    $tailor -m model --freeze "*" --dim 8 -o probe && $tailor -m probe >list &&
    test "$(tail -1 list)" = "34 nodes, 9,520 parameters, 168 trainable, 38,080 bytes" &&
    test "$(grep -c " yes$" list)" -eq 1 && test "$(sed -n "/ yes$/s/  */ /gp" list)" = "2_Dense linear [8] 168 yes" &&
    $limit ft-train -q -m probe -o probe-tuned --batch 24 --epochs 2 documents &&
    test "$(changed probe probe-tuned)" = ./2_Dense/model.safetensors && cmp probe/ft.json probe-tuned/ft.json &&
    $tailor -m probe-tuned >again && test_cmp list again
'

test_expect_success 'ft-train unfreezes more, and less' '
    $limit ft-train -q -m probe -o probe-more --batch 24 --epochs 1 --unfreeze "encoder.layer.1.*" documents &&
    test "$(changed probe probe-more | tr "\n" " ")" = "./2_Dense/model.safetensors ./model.safetensors " &&
    $limit ft-train -q -m probe -o probe-less --batch 24 --epochs 1 --unfreeze "pooling" documents 2>err
    test $? -eq 2 && test_grep "matches no node" err
'

test_expect_success 'a model that only ft loads: piped, fused, stopped and resumed, the same bytes' '
    $limit ft-tailor -m model --embedding encoder.layer.1.intermediate.act --pool gem:p=3 --head mlp:hidden=12,out=6,norm=layer,dropout=.1 \
        --freeze "embeddings*" -o own 2>err &&
    test_grep "pooled by gem" err && test_grep "only ft loads it: it is cut at encoder.layer.1.intermediate.act" err &&
    test_no_file own/modules.json && test_grep "ft-tailored" own/config.json &&
    ft-sample -q --batch 24 --epochs 2 documents >batches &&
    $limit ft-train -q -m own -o own-tuned batches && test "$(changed own own-tuned | wc -l)" -eq 5 &&
    $limit ft-train -q -m own -o own-piped --steps 0 && piped own-piped batches && test -z "$(changed own-tuned own-piped)" &&
    $limit ft-train -q -m own -o own-resumed --steps 3 batches && $limit ft-train -q -m own -o own-resumed --resume batches &&
    test -z "$(changed own-tuned own-resumed)" &&
    $limit ft-train -q -m own -o own-threads --threads 1 batches && test -z "$(changed own-tuned own-threads)" &&
    cmp own/ft.json own-piped/ft.json && test_no_file own-piped/modules.json && test_grep "ft-tailored" own-piped/config.json &&
    test_grep "^only ft loads it: it is cut at" own-tuned/README.md && ! grep -q "^- sentence-transformers" own-tuned/README.md
'

test_expect_success 'and exported it stays so' '
    ft-export -m own-tuned -o own-exported 2>err && test_grep "cannot express" err && test -z "$(changed own-tuned own-exported)" &&
    cmp own/ft.json own-exported/ft.json && test_no_file own-exported/modules.json &&
    test_expect_code 2 ft-export -m own-tuned --to sentence-transformers -o own-st 2>err && test_grep "cannot express" err && test_no_file own-st &&
    ft-embed -q -m own-exported documents >one && ft-embed -q -m own-tuned documents >two && ft-export -q --to npy one >one.npy &&
    ft-export -q --to npy two >two.npy && cmp one.npy two.npy
'

test_expect_success 'LoRA over a changed model' '
    $limit ft-train -q -m own -o own-lora --lora r=2 --batch 24 --epochs 1 documents && test -f own-lora/ft.json && differ own own-lora
'

test_expect_success 'the head of a classifier is found and taken off' '
    ft-tailor -m "$GOLDEN/classifier" -o bare 2>err && test_grep "classifier.bias ... classifier.weight" err &&
    test_grep BertModel bare/config.json && ! grep -q -e id2label -e SequenceClassification bare/config.json &&
    ! grep -a -q classifier.weight bare/model.safetensors && test -f bare/modules.json &&
    ft-embed -q -m bare documents | ft-export -q --to npy >one.npy && ft-embed -q -m "$GOLDEN/classifier" documents | ft-export -q --to npy >two.npy &&
    cmp one.npy two.npy && $limit ft-train -q -m bare -o bare-tuned --batch 24 --epochs 1 documents &&
    test_expect_code 2 ft-tailor -m bare -o barer 2>err && test_grep "no classifier.s head" err
'

test_expect_success 'edits in their order: what is frozen is what was there' '
    $tailor -m model --dim 8 --freeze "*" -o all && $tailor -m all | tail -1 | grep -q " 0 trainable" &&
    $tailor -m model --freeze "*" --dim 8 --dim 4 --unfreeze "encoder.layer.1.*" -o some &&
    test "$($tailor -m some | grep -c " yes$")" -eq 10 && test -f some/modules.json && test -f some/3_Dense/config.json
'

test_expect_success 'the same seed gives the same bytes, another one others' '
    $tailor -m model --dim 8 -o seed0 && $tailor -m model --dim 8 --seed 0 -o seed0-again && $tailor -m model --dim 8 --seed 1 -o seed1 &&
    test -z "$(changed seed0 seed0-again)" && test "$(changed seed0 seed1)" = ./2_Dense/model.safetensors
'

test_expect_success 'length, prompt and normalisation' '
    $tailor -m model --embedding pooling --max-length 7 --prompt "query=find: " --normalize -o text && test_grep "\"max_seq_length\": 7" text/sentence_bert_config.json &&
    test_grep "find: " text/config_sentence_transformers.json && test "$($tailor -m text | tail -2 | head -1 | tr -s " ")" = "normalize normalize [20] - -"
'

# ---- the frozen part kept ----

test_expect_success 'T5 and MPNet: blocks taken off keep their table of biases, which is no embedding itself' '
    for family in mpnet t5; do
        $tailor -m "$TOP/tests/golden/model/families/$family" --layers 1 --dim 8 -o $family-1 &&
        $tailor -m $family-1 >list && test_grep "bias-table" list && test "$(grep -c " attention " list)" -eq 1 || return 1
    done &&
    test_expect_code 2 $tailor -m "$TOP/tests/golden/model/families/mpnet" --embedding encoder.relative_attention_bias -o x 2>err && test_grep "has no output" err
'

test_expect_success 'ModernBERT: as many kinds of layers are left as there are layers' '
    $tailor -m "$TOP/tests/golden/model/families/modernbert" --layers 2 -o modern && $tailor -m modern >list && test_grep "layers.1.mlp" list &&
    ! grep -q "layers.2." list && test "$(grep -c "_attention\",*$" modern/config.json)" -eq 2
'

test_expect_success '--cache-frozen: the same bytes, resumed, on one thread, without memory' '
    $tailor -m model --dropout 0 --freeze "*" --dim 8 -o dry && test_grep "\"hidden_dropout_prob\": 0.0" dry/config.json && set -- -q -m dry --batch 24 --epochs 3 &&
    FT_CPU=plain $limit ft-train "$@" -o dry-plain documents && FT_CPU=plain $limit ft-train "$@" -o dry-kept --cache-frozen documents &&
    test -z "$(changed dry-plain dry-kept)" && $limit ft-train "$@" -o dry-one --cache-frozen documents &&
    $limit ft-train "$@" -o dry-two --cache-frozen --threads 1 --memory 64M documents && test -z "$(changed dry-one dry-two)" &&
    $limit ft-train "$@" -o dry-three --cache-frozen --steps 7 documents && $limit ft-train -q -o dry-three --cache-frozen --resume documents &&
    test -z "$(changed dry-one dry-three)" && test "$(changed dry dry-one)" = ./2_Dense/model.safetensors
'

test_expect_success 'refused where dropout makes every pass another, where nothing is frozen' '
    $tailor -m model --freeze "*" --dim 8 -o wet && test_expect_code 2 ft-train -m wet -o wet-tuned --cache-frozen documents 2>err &&
    test_grep "embeddings.dropout is frozen and drops out at random" err &&
    test_expect_code 2 ft-train -m model -o wet-tuned --cache-frozen documents 2>err && test_grep "no part of the model is frozen" err &&
    test_expect_code 2 $tailor -m model --dropout 1 -o x 2>err && test_grep "below 1" err
'

# ---- pictures ----

# near MODEL GOLDEN: embeddings of the three pictures within 2e-6 of PyTorch's, or of the largest.
near () {
    ft-embed -q -m "$1" pictures.ft | ft-export -q --to csv | sed 1d | cut -d, -f2- | tr , "\n" >got && tr , "\n" <"$GOLDEN/$2.csv" >want &&
    test "$(wc -l <got)" -eq "$(wc -l <want)" && paste got want | awk '{
        d = $1 - $2; d = d < 0 ? -d : d; worst = d > worst ? d : worst; size = $2 > size ? $2 : size
    } END { print worst, size; exit !(NR && worst <= 2e-6 * (size > 1 ? size : 1)) }'
}

test_expect_success 'a classifier of two classes of pictures: its head is found and taken off' '
    ft-ingest -q --format images "$GOLDEN/pictures" >pictures.ft && cp -r "$GOLDEN/cats" cats && near cats cats &&
    ft-tailor -m cats -o cats-bare 2>err && test_grep "classifier.1.bias ... classifier.1.weight" err && near cats-bare cats &&
    test_grep "\"ResNetModel\"" cats-bare/config.json && ! grep -q id2label cats-bare/config.json && ! grep -a -q classifier cats-bare/model.safetensors &&
    test -f cats-bare/preprocessor_config.json && test_no_file cats-bare/ft.json && test_no_file cats-bare/modules.json &&
    test "$($tailor -m cats-bare | sed -n "s/  */ /g; /^pooling/p; /stages.1.layers.0.act/p" | tr "\n" " ")" = \
        "encoder.stages.1.layers.0.act activation [8, 8, 8] - - pooling pool [20] - - " &&
    test_expect_code 2 $tailor -m cats-bare -o cats-barer 2>err && test_grep "no classifier.s head" err
'

test_expect_success 'what a model of pictures cannot be cut or pooled to' '
    test_expect_code 2 $tailor -m cats --pool cls -o x 2>err && test_grep "^ft-tailor: --pool cls: encoder.stages.[0-9.a-z]* is a map, .*expected mean, max or gem" err &&
    test_expect_code 2 $tailor -m cats --pool gem --pool last -o x 2>err && test_grep "pool last: .* is a map" err &&
    test_expect_code 2 $tailor -m cats --embedding pixels -o x 2>err && test_grep "pixels is what the model reads" err &&
    test_expect_code 2 $tailor -m cats --layers 1 -o x 2>err && test_grep "no number of layers; --embedding NODE cuts" err &&
    test_expect_code 2 $tailor -m cats --freeze pixels -o x 2>err && test_grep "something like .embedder.embedder.convolution" err &&
    test_no_file x &&
    ft-tailor -m cats --dim 4 -o cats-4 2>err && test_grep "only ft loads it: .*which its own library cannot express" err
'

# colours DIR COUNT SEED: in each of four folders so many BMPs of 24 x 24 pixels, in the folder's colour; light and a wave of grey are each picture's own.
colours () {
    mkdir -p "$1/red" "$1/green" "$1/blue" "$1/grey" && awk -v dir="$1" -v count="$2" -v seed="$3" 'BEGIN {
        srand(seed)
        split("blue green red grey", name, " ")
        bytes = split("66 77 246 6 0 0 0 0 0 0 54 0 0 0 40 0 0 0 24 0 0 0 24 0 0 0 1 0 24 0 0 0 0 0 192 6 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", head, " ")
        for (kind = 1; kind <= 4; kind++) for (k = 0; k < count; k++) {
            file = dir "/" name[kind] "/" k ".bmp"
            for (i = 1; i <= bytes; i++) printf "%c", head[i] + 0 >file
            light = 40 + 80 * rand(); tilt = 3 * (rand() - .5); phase = 6 * rand()
            for (y = 0; y < 24; y++) for (x = 0; x < 24; x++) for (c = 1; c <= 3; c++) {
                value = int(light * (c == kind ? 2 : kind == 4 ? 1.5 : 1) + 10 * sin(tilt * x + y / 2 + phase) + 40 * (rand() - .5))
                if (value < 1) value = 1
                if (value > 255) value = 255
                printf "%c", value >file
            }
            close(file)
        }
    }'
}
teach_probe () {
    $limit ft-train -q -m cats-probe --batch 32 --per-class 8 --epochs 60 --lr 1e-1 "$@"
}

test_expect_success 'a linear probe of pictures: nothing changes but the projection, batch norms neither, and that learns' '
    colours colours 16 1 && colours unseen 8 2 && ft-ingest -q --format images colours >colours.ft && ft-ingest -q --format images unseen >unseen.ft &&
    $tailor -m cats --freeze "*" --dim 8 -o cats-probe && $tailor -m cats-probe >list && test "$(grep -c " yes$" list)" -eq 1 &&
    test "$(sed -n "/ yes$/s/  */ /gp" list)" = "2_Dense linear [8] 168 yes" &&
    teach_probe -o cats-probed colours.ft && test "$(changed cats-probe cats-probed)" = ./2_Dense/model.safetensors && cmp cats-probe/ft.json cats-probed/ft.json &&
    teach_probe --steps 4 --batch-norm train -o cats-probed-train colours.ft && test "$(changed cats-probe cats-probed-train)" = ./2_Dense/model.safetensors &&
    for m in cats cats-probe cats-probed; do ft-eval -q -m $m unseen.ft | sed -n "s/^map.//p"; done >maps && cat maps &&
    awk "{ map[NR] = \$1 } END { exit !(NR == 3 && map[3] > map[1] + .15 && map[3] > map[2] + .15) }" maps
'

test_expect_success 'and exported it embeds as before; with --cache-frozen it is the same bytes' '
    ft-export -q -m cats-probed -o cats-probe-exported && test -z "$(changed cats-probed cats-probe-exported)" &&
    for m in probed probe-exported probe; do ft-embed -q -m cats-$m unseen.ft | ft-export -q --to npy -o $m.npy || return 1; done &&
    cmp probed.npy probe-exported.npy && ! cmp -s probed.npy probe.npy &&
    teach_probe -o cats-probed-kept --cache-frozen colours.ft && test -z "$(changed cats-probed cats-probed-kept)"
'

test_expect_success 'its maps pooled by a generalised mean, and cut after its second stage' '
    $tailor -m cats --pool gem -o cats-gem && near cats-gem cats-gem && test_grep ft-tailored cats-gem/config.json &&
    $tailor -m cats --embedding encoder.stages.1.layers.0.act --pool max -o cats-cut && near cats-cut cats-cut && test "$(wc -c <cats-cut/model.safetensors)" -lt 25000
'

test_expect_success 'whose processor the pictures are made ready by follows from the family where only ft.json says that' '
    cp -r "$TOP/tests/golden/pictures/resnet" typed && cp -r typed untyped && sed -i /image_processor_type/d untyped/preprocessor_config.json &&
    for m in typed untyped; do
        $tailor -m $m --image-size 30 --dim 4 -o $m-4 && ft-embed -q -m $m-4 unseen.ft | ft-export -q --to npy -o $m.npy || return 1
    done && test_grep ft-tailored untyped-4/config.json && cmp typed.npy untyped.npy
'

test_expect_success 'and trained: the frozen stages stay as they are, batch norms and all' '
    printf "image,label\n%s/a.png,x\n%s/b.png,x\n%s/c.png,y\n" "$GOLDEN/pictures" "$GOLDEN/pictures" "$GOLDEN/pictures" >pictures.csv &&
    $tailor -m cats --pool gem --freeze below:encoder.stages.3.layers.0.layer.0.convolution --dim 4 -o cats-dim &&
    ft-ingest -q --labeled pictures.csv >labelled.ft && set -- -q -m cats-dim --batch 4 --epochs 2 --batch-norm train labelled.ft &&
    $limit ft-train -o cats-tuned "$@" && test "$(changed cats-dim cats-tuned | wc -l)" -eq 3 && test -f cats-tuned/preprocessor_config.json && cmp cats-dim/ft.json cats-tuned/ft.json &&
    for m in dim tuned; do $tailor -m cats-$m --embedding encoder.stages.2.layers.0.act -o cats-$m-below || return 1; done && same cats-dim-below cats-tuned-below
'

# ---- models of vectors ----

# Six classes in eight of sixteen columns, and noise four times as large in the others.
vectors () {
    awk -v rows="$1" -v seed="$2" 'BEGIN {
        srand(7)
        for (i = 0; i < 48; i++) centre[i] = 2 * rand() - 1
        printf "label"; for (i = 0; i < 16; i++) printf ",x%d", i; print ""
        srand(seed)
        for (r = 0; r < rows; r++) {
            printf "c%d", r % 6
            for (i = 0; i < 16; i++) {
                noise = rand() + rand() + rand() - 1.5
                printf ",%.4f", i < 8 ? centre[r % 6 * 8 + i] + noise : 4 * noise
            }
            print ""
        }
    }'
}
knn () {
    ft-eval -q -m "$1" vectors-test.ft | sed -n 's/^knn@20.//p'
}

test_expect_success 'a model of vectors from nothing learns: the nearest neighbours are of the class more often' '
    vectors 240 1 >vectors.csv && vectors 120 2 >vectors-test.csv && ft-ingest -q --vectors --columns label=label vectors.csv >vectors.ft &&
    ft-ingest -q --vectors --columns label=label vectors-test.csv >vectors-test.ft &&
    $tailor --new mlp:in=16,hidden=32,out=16,activation=relu,l2=1 -o mlp && $tailor -m mlp >list && test "$(head -2 list | tail -1 | tr -s " ")" = "input vector [16] - -" &&
    test_expect_code 2 ft-tailor -m mlp --input 9 2>err && test_grep "input is of texts and images, and the model reads vectors" err &&
    $limit ft-train -q -m mlp -o mlp-tuned --epochs 20 --lr 1e-2 --batch 48 vectors.ft &&
    knn mlp >before && knn mlp-tuned >after && cat before after && awk "NR == 1 { before = \$1 } END { exit !(\$1 > before + .2) }" before after
'

test_expect_success 'piped and fused, stopped and resumed: the same bytes' '
    ft-sample -q --epochs 4 --batch 48 vectors.ft >vectors.batches && set -- -q -m mlp --lr 1e-2 &&
    $limit ft-train "$@" -o mlp-fused vectors.batches && $limit ft-train "$@" -o mlp-piped --steps 0 && piped mlp-piped vectors.batches && same mlp-fused mlp-piped &&
    $limit ft-train "$@" -o mlp-resumed --steps 7 vectors.batches && $limit ft-train "$@" -o mlp-resumed --resume vectors.batches && same mlp-fused mlp-resumed &&
    grep -q "^Vectors to vectors" mlp-fused/README.md && ! grep -q "sentence-transformers loads it" mlp-fused/README.md && test_no_file mlp-fused/modules.json
'

test_expect_success 'batch norm: its statistics follow the batches when asked to, and not where it is frozen' '
    $tailor --new mlp:in=16,hidden=32,out=16,norm=batch -o normed && set -- -q --lr 1e-2 --batch-norm train --epochs 4 --batch 48 vectors.ft &&
    $limit ft-train -m normed -o normed-tuned "$@" && differ normed normed-tuned && knn normed-tuned >after && knn normed >before &&
    awk "NR == 1 { before = \$1 } END { exit !(\$1 > before + .1) }" before after &&
    $tailor -m normed --freeze "layers.*" -o normed-frozen && $limit ft-train -m normed-frozen -o normed-frozen-tuned "$@" &&
    differ normed-frozen normed-frozen-tuned &&
    $tailor -m normed-frozen --embedding layers.0.activation -o cut-before && $tailor -m normed-frozen-tuned --embedding layers.0.activation -o cut-after && same cut-before cut-after &&
    $tailor -m normed-tuned --embedding layers.0.activation -o cut-other && differ cut-before cut-other
'

# ---- places, and what is refused ----

test_expect_success 'what is there is replaced with --force only, and a run never' '
    test_expect_code 2 $tailor -m model --dim 4 -o probe 2>err && test_grep force err && $tailor -m model --dim 4 -o probe --force &&
    $tailor -m probe | grep -F -q "[4]" &&
    test_expect_code 2 $tailor -m model --dim 4 -o own-tuned --force 2>err && test_grep "is a run" err
'

test_expect_success 'usage' '
    test_expect_code 2 ft-tailor 2>err && test_grep "add -m MODEL" err &&
    test_expect_code 2 ft-tailor -m model --dim 3 2>err && test_grep "add -o DIR" err &&
    test_expect_code 2 ft-tailor -m model --json --dot 2>err && test_grep "one of them" err &&
    test_expect_code 2 ft-tailor -m model --json -o x 2>err && test_grep "nothing is listed" err &&
    test_expect_code 2 ft-tailor -m model --new mlp:in=2,out=2 -o x 2>err && test_grep "one of them" err &&
    test_expect_code 2 ft-tailor -m model --embedding nowhere -o x 2>err && test_grep "^ft-tailor: --embedding nowhere: .*no such node" err &&
    test_expect_code 2 ft-tailor -m model --dim 3 --pool median -o x 2>err && test_grep "^ft-tailor: --pool median: " err &&
    test_expect_code 2 ft-tailor -m model --normalize=1 -o x 2>err && test_grep "takes no value" err &&
    test_expect_code 2 ft-tailor -m nowhere 2>err && test_no_file x
'

test_expect_success 'an edit that is not known is refused by its name' '
    cp -r own strange && sed -i "s/layer-norm/layer-warp/" strange/ft.json &&
    test_expect_code 3 ft-embed -m strange documents 2>err >/dev/null && test_grep "strange/ft.json: edit .layer-warp. is not known" err &&
    cp own/ft.json strange/ft.json && sed -i "s/ft-tailored/bert/" strange/config.json && test_expect_code 3 ft-tailor -m strange 2>err && test_grep "ft.json" err
'

test_expect_success 'a run notices that the model it began with was edited' '
    $tailor -m own --layers 2 -o own-run-model && $limit ft-train -q -m own-run-model -o late --steps 2 batches &&
    sed -i "s/\"rate\"/\"rate\"/; s/encoder.layer.1.intermediate.act/encoder.layer.1.intermediate.dense/" own-run-model/ft.json &&
    test_expect_code 3 $limit ft-train -q -m own-run-model -o late --resume batches 2>err && test_grep "has changed since" err
'
# ---- weights alone ----

test_expect_success 'a file of weights is no model, and --family no edit' '
    cp model/model.safetensors weights.safetensors &&
    test_expect_code 2 ft-tailor -m weights.safetensors 2>err && test_grep "ft-tailor -m weights.safetensors --family NAME -o DIR" err &&
    test_expect_code 2 ft-embed -m weights.safetensors documents 2>err >out && test_grep "ft-tailor -m weights.safetensors --family NAME -o DIR" err &&
    test_expect_code 3 ft-tailor -m weights.safetensors --family resnet18 -o made 2>err && test_grep "weights.safetensors: none of its tensors" err &&
    test_expect_code 2 ft-tailor -m weights.safetensors --family alexnet -o made 2>err && test_grep "expected resnet18 to resnet152" err &&
    test_expect_code 2 ft-tailor -m weights.safetensors --family resnet18 2>err && test_grep "add -o DIR" err &&
    test_expect_code 2 ft-tailor -m weights.safetensors --family resnet18 --dim 8 -o made 2>err && test_grep "edit it afterwards" err &&
    test_expect_code 2 ft-tailor -m model --family resnet18 -o made 2>err && test_grep "is a directory" err &&
    ! test -e made
'

test_done
