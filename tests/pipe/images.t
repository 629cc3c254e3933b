#!/bin/sh
test_description='models that read images: embedded, trained fused and piped, varied, evaluated and searched; what is no image is refused'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

pictures=$TOP/tests/golden/pictures
cp -r "$pictures/resnet" resnet && cp -r "$pictures/stripes" stripes && ft-ingest -q --format images stripes >labelled && ft-ingest -q --format images --blob stripes >bytes &&
    ft-sample -q --classes --batch 16 --per-class 4 --epochs 3 --seed 5 labelled >batches || { echo "Bail out! no images"; exit 1; }
path=$(find stripes -name 0.png | sort | head -n 1)

test_expect_success 'an image has one embedding, whoever stands beside it, by path, address or bytes' '
    ft-embed -q -m resnet labelled | ft-export -q --to npy -o paths.npy && ft-embed -q -m resnet --threads 1 bytes | ft-export -q --to npy -o bytes.npy &&
    cmp paths.npy bytes.npy && test "$(ft-cat -q --full labelled | grep -c "\"uri\"")" -eq 32 &&
    printf "{\"uri\": \"%s\"}\n{\"uri\": \"file://%s/%s\"}\n{\"uri\": \"data:image/png;base64,%s\"}\n" "$path" "$PWD" "$path" "$(base64 -w0 "$path")" |
        ft-cat -q --from-text | ft-embed -q -m resnet | ft-cat -q --full | grep -o "\"embedding\":.*" >three &&
    test "$(sort -u three | wc -l)" -eq 1 && test "$(wc -l <three)" -eq 3
'

test_expect_success 'piped equals fused, given batches and given documents, paths and bytes, any threads, little memory, varied' '
    train () {
        $limit ft-train -q -m resnet --lr 1e-2 --augment crop:scale-min=.5 --augment flip --augment jitter "$@"
    } &&
    train -o fused batches && train -o documents --classes --batch 16 --per-class 4 --epochs 3 --seed 5 labelled && train -o single --threads 1 batches &&
    train -o little --memory "$(least train batches)" batches && train -o piped --seed 5 --steps 0 && piped piped batches &&
    train -o carried --classes --batch 16 --per-class 4 --epochs 3 --seed 5 bytes &&
    same fused documents single little piped carried && differ fused resnet && grep -q "flip:p=" fused/run/run.json
'

test_expect_success 'with its own statistics of a batch, too; and --augment changes what is learnt' '
    $limit ft-train -q -m resnet --lr 1e-2 --batch-norm train -o plain batches && $limit ft-train -q -m resnet --lr 1e-2 --batch-norm train -o plain-piped --seed 5 --steps 0 &&
    piped plain-piped batches && same plain plain-piped && differ plain fused &&
    $limit ft-train -q -m resnet --lr 1e-2 --batch-norm train --augment none -o none batches && same plain none
'

test_expect_success 'stopped and resumed: the same' '
    train -o half --steps 5 batches &&
    test_expect_code 2 ft-train -q -m resnet -o half --resume --augment blur batches 2>err && test_grep "augment was set to something else" err &&
    train -o half --resume batches && same fused half
'

test_expect_success 'a batch carries its pixels, and no tokens' '
    train -o pixels --seed 5 --steps 0 && { ft-embed -q -m pixels batches; } | tee embedded | ft-loss -q -m pixels | tee losses |
        ft-update -q -m pixels >steps && ft-cat -q --full embedded >text &&
    test "$(grep -c "\"pixels\":" text)" -eq "$(applied pixels)" && test "$(grep -c "\"tokens\"\|\"vectors\"" text)" -eq 0 && same fused pixels
'

test_expect_success 'evaluated, searched by pictures, watched while training' '
    ft-eval -q -m fused --json labelled >after && cat after && ft-eval -q -m fused --json bytes >after-bytes && test -s after && test_cmp after after-bytes &&
    ft-search -q -m fused --index labelled -k 3 "$path" >found && cat found && test "$(wc -l <found)" -eq 3 && head -n 1 found | grep -q "$path" &&
    test_expect_code 3 ft-search -q -m fused --index labelled none.png 2>err && cat err && test_grep "none.png: No such file" err &&
    $limit ft-train -q -m resnet --lr 1e-2 -o watched --eval labelled --best map batches && grep -q "\"evaluation\"" watched/run/log.jsonl &&
    $limit ft-train -q -m resnet --lr 1e-2 -o held --hold-out .25 --classes --batch 16 --per-class 4 labelled && test -s held/model.safetensors
'

test_expect_success 'the learning rate that images have where none is named, in the plan, fused, piped and on the card, which says no library of texts' '
    $limit ft-train -q -m resnet --dry-run -o planned batches >plan && grep -qx "lr	0.0003" plan && grep -q "^loss	supcon:temperature=0.1," plan && $limit ft-train -q -m resnet -o rated batches &&
    $limit ft-train -q -m resnet --lr 3e-4 --loss supcon:temperature=.1 -o named batches && same rated named && $limit ft-train -q -m resnet -o rated-piped --seed 5 --steps 0 &&
    piped rated-piped batches && same rated rated-piped && grep -qx "| lr | 0.0003 |" rated/README.md &&
    grep -q "| loss | supcon:temperature=0.1," rated/README.md && grep -q "^pipeline_tag: image-" rated/README.md &&
    ! grep sentence rated/README.md && test_no_file planned
'

test_expect_success 'batches as large as memory allows; mined' '
    $limit ft-train -m resnet --batch auto --memory 164M --steps 1 -o roomy labelled 2>err && cat err && test_grep "batch [0-9]*: .* MiB with all" err &&
    ft-mine -q -m resnet labelled >mined && $limit ft-train -q -m resnet --triplets --steps 2 -o triplets mined && test "$(applied triplets)" -eq 2
'

test_expect_success 'classes of images: 64 a batch where nothing is said; of texts 256' '
    awk "BEGIN { print \"image,label\"; for (i = 0; i < 400; i++) print \"https://example.org/\" i \".png,\" int(i / 2) }" >images.csv &&
    sed "s,https://example.org/,picture ,; s/image/text/; s/\.png//" images.csv >texts.csv &&
    ft-ingest -q images.csv | ft-sample -q --classes | ft-cat -q --limit 1 | grep -q "\"batch\": *64," &&
    ft-ingest -q texts.csv | ft-sample -q --classes | ft-cat -q --limit 1 | grep -q "\"batch\": *256,"
'

test_expect_success 'a teacher that reads the same images' '
    $limit ft-train -q -m resnet --teacher fused --loss mse --lr 1e-2 -o taught batches &&
    $limit ft-train -q -m resnet --teacher fused --loss mse --lr 1e-2 -o taught-piped --seed 5 --steps 0 &&
    ft-embed -q -m taught-piped --as teacher batches >taught.batches && piped taught-piped taught.batches && same taught taught-piped
'

test_expect_success 'what is no image is named; with --max-errors it goes on without an embedding' '
    printf "hello\n" | ft-ingest -q --unlabeled >texts &&
    test_expect_code 3 ft-embed -q -m resnet texts 2>err >out && cat err && test_grep "a text, and the model reads images" err &&
    test_expect_code 3 ft-embed -q -m model labelled 2>err >out && cat err && test_grep "an image, and the model reads text" err &&
    head -c 100 "$path" >cut.png &&
    { ft-cat -q --full labelled | sed -n 2,3p; printf "{\"id\": \"x\", \"uri\": \"cut.png\"}\n{\"id\": \"y\", \"uri\": \"https://example.org/a.png\"}\n"; } |
        ft-cat -q --from-text >mixed &&
    ft-embed -m resnet --max-errors 2 mixed 2>err | ft-cat -q --full >out && cat err && test_grep "document x: cut.png: " err &&
    test_grep "document y: https://example.org/a.png: nothing is fetched" err && test_grep "in=4 out=4 bad=2" err &&
    test "$(grep -c "\"embedding\":" out)" -eq 2 && grep -q "\"id\":\"x\"" out &&
    test_expect_code 3 ft-embed -q -m resnet mixed 2>err >out && cat err && test_grep "document x: cut.png: " err &&
    test_expect_code 1 ft-embed -q -m resnet --max-errors 1 mixed 2>err >out && cat err && test_grep "document y: .*more than 1 bad document" err
'

test_expect_success 'an image that goes missing while training is named with its batch' '
    cp -r stripes gone && ft-ingest -q --format images gone | ft-sample -q --classes --batch 16 --per-class 4 --epochs 3 --seed 5 >gone.batches &&
    rm gone/kind1/3.webp && test_expect_code 3 $limit ft-train -q -m resnet -o gone-run gone.batches 2>err && cat err &&
    test_grep "batch [0-9]*: gone/kind1/3.webp: No such file" err && test_no_file gone-run/model.safetensors
'

test_expect_success 'pictures read by the rule of ImageNet for want of another, and a model of which nothing trains, are said' '
    cp -r resnet plain-pixels && rm plain-pixels/preprocessor_config.json && ft-embed -m plain-pixels labelled 2>err >out &&
    test_grep "plain-pixels: no preprocessor_config.json: 224 x 224 pixels" err && ft-embed -m resnet labelled 2>err >out && ! grep preprocessor err &&
    $limit ft-train -m resnet --freeze "*" -o still --steps 1 batches 2>err && test_grep "every parameter of the model is frozen" err &&
    $limit ft-train -m resnet -o moving --steps 1 batches 2>err && ! grep "is frozen" err
'

test_expect_success 'what is of texts is refused' '
    for tool in "ft-embed -m resnet -o nothing" "ft-train -m resnet -o nothing" "ft-eval -m resnet -o nothing"; do
        test_expect_code 2 $tool --max-length 9 labelled 2>err && test_grep "max-length is for texts, and the model reads images" err &&
            test_expect_code 2 $tool --prompt x labelled 2>err && test_grep "prompt is for texts, and the model reads images" err || return 1
    done &&
    test_expect_code 2 ft-search -m resnet --index labelled --prompt x "$path" 2>err && test_grep "prompt is for texts" err &&
    test_expect_code 2 ft-train -m resnet --lora r=2 -o nothing labelled 2>err && test_grep "lora adapts linear layers, and this model has none" err &&
    test_no_file nothing
'

test_expect_success 'streams with pixels cut anywhere' '
    ft-cat -q --full labelled | sed -n 2,3p | ft-cat -q --from-text |
        ft-sample -q --random --batch 2 --epochs 1 >tiny 2>/dev/null &&
    rm -rf cut-run && $limit ft-train -q -m resnet --loss triplet -o cut-run --seed 0 --steps 0 &&
    { ft-embed -q -m cut-run tiny; } | ft-loss -q -m cut-run | tee tiny.losses | ft-update -q -m cut-run >steps &&
    test_cut_every_byte tiny "ft-embed -q -m resnet --threads 1" &&
    rm -rf cut-run && $limit ft-train -q -m resnet --loss triplet -o cut-run --seed 0 --steps 0 &&
    size=$(wc -c <tiny.losses) at=0 &&
    while test $at -lt $size; do
        head -c $at tiny.losses >cut && { ft-update -q -m cut-run --threads 1 cut >out 2>err; test_rejects $? "when cut at byte $at"; } &&
            test_no_file cut-run/model.safetensors || { cat err; return 1; }
        at=$((at + 37))
    done &&
    ft-update -q -m cut-run tiny.losses >out && test -s cut-run/model.safetensors
'

test_done
