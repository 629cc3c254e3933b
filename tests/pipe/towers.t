#!/bin/sh
test_description='two towers trained together: fused and piped, kept and run again, frozen, resumed, varied; what does not work with two is refused'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

pictures=$TOP/tests/golden/pictures
cp -r "$pictures/resnet" resnet && cp -r "$pictures/stripes" stripes && $limit ft-tailor -q -m model -m resnet --dim 6 --seed 3 -o both ||
    { echo "Bail out! not joined"; exit 1; }

# A picture's text has a word of its kind, others, and a number.
find stripes -type f | sort | awk 'BEGIN {
    srand(7)
    n = split("the cat sat on mat dog bird edit photo music play web what is my balance can you tell me", word, " ")
} {
    match($0, /kind[0-9]/)
    kind = substr($0, RSTART + 4, 1)
    for (pass = 0; pass < 3; pass++) {
        text = word[1 + kind * 4]
        for (k = int(rand() * 7); k >= 0; k--) text = text " " word[1 + int(rand() * n)]
        row = NR "." pass
        printf "{\"id\":\"%s\",\"chunks\":[{\"id\":\"%s.0\",\"text\":\"%s %s\",\"tags\":{\"role\":\"anchor\"}},{\"id\":\"%s.1\",\"uri\":\"%s\",\"tags\":{\"role\":\"positive\"}}]}\n",
            row, row, text, row, row, $0
    }
}' >pairs.jsonl
ft-cat -q --from-text pairs.jsonl >pairs && ft-sample -q --pairs --batch 12 --epochs 2 --seed 5 pairs >batches || { echo "Bail out! no batches"; exit 1; }

# same and differ of world.sh, over all files of both towers.
same () {
    same_first=$1
    shift
    for same_other; do
        for same_file in text image text/2_Dense image/2_Dense; do
            cmp "$same_first/$same_file/model.safetensors" "$same_other/$same_file/model.safetensors" || return 1
        done
    done
}
differ () {
    for differ_file in text image text/2_Dense image/2_Dense; do
        test -s "$1/$differ_file/model.safetensors" && ! cmp -s "$1/$differ_file/model.safetensors" "$2/$differ_file/model.safetensors" || return 1
    done
}
train () {
    $limit ft-train -q -m both --lr 1e-2 "$@"
}

# both_ways NAME OPTION...: fused and piped give the same; NAME is the fused one.
both_ways () {
    bw_name=$1
    shift
    train "$@" -o "$bw_name" batches && train "$@" -o "$bw_name-piped" --seed 5 --steps 0 && piped "$bw_name-piped" batches && same "$bw_name" "$bw_name-piped"
}

test_expect_success 'piped equals fused, given batches and given documents, any threads, any memory; both towers learn' '
    both_ways fused && differ both fused && train -o single --threads 1 batches && train -o little --memory "$(least train batches)" batches &&
    train -o two --threads 2 batches && train -o documents --pairs --batch 12 --epochs 2 --seed 5 pairs && same fused single little two documents &&
    grep -q "\"clip\"" fused/run/run.json && test "$(applied fused)" -eq 16
'

test_expect_success 'with images varied, prompts, batch statistics, bf16, chunks, accumulated, averaged, rates by name, other losses' '
    both_ways varied --augment crop:scale-min=.5 --augment flip && differ varied fused && both_ways asked --prompt "query=ask: " &&
    ! cmp -s asked/text/model.safetensors fused/text/model.safetensors && both_ways statistics --batch-norm train && differ statistics fused &&
    both_ways narrow --precision bf16 && differ narrow fused && both_ways chunks --chunk 3 && both_ways sums --accumulate 2 && differ sums fused &&
    both_ways averaged --wise-ft .5 && differ averaged fused && differ averaged both &&
    both_ways rated --lr-for "image.*=*.1" --layer-decay .5 && differ rated fused && both_ways info --loss infonce && differ info fused &&
    both_ways sigmoid --loss siglip && differ sigmoid fused
'

test_expect_success 'a frozen tower is the same bytes, has its forward once a picture with --cache-frozen, and its own statistics' '
    both_ways locked --freeze image && cmp both/image/model.safetensors locked/image/model.safetensors &&
    cmp both/image/2_Dense/model.safetensors locked/image/2_Dense/model.safetensors && ! cmp -s both/text/model.safetensors locked/text/model.safetensors &&
    train --freeze "image.*" --batch-norm train -o locked-norms batches && same locked locked-norms &&
    train --freeze text -o locked-text batches && cmp both/text/model.safetensors locked-text/text/model.safetensors &&
    ! cmp -s both/image/model.safetensors locked-text/image/model.safetensors &&
    train --freeze image --cache-frozen -o cached batches && cmp both/image/model.safetensors cached/image/model.safetensors &&
    test_expect_code 2 ft-train -q -m both --cache-frozen -o none batches 2>err && test_grep "no part of the model is frozen" err &&
    test_expect_code 2 ft-train -q -m both --freeze image --cache-frozen --augment flip -o none batches 2>err && test_grep "another image of each" err &&
    test_expect_code 2 ft-train -q -m both --freeze text --cache-frozen -o none batches 2>err &&
    test_grep "the text tower: --cache-frozen: embeddings.dropout is frozen and drops out" err &&
    test_no_file none/ft.json
'

test_expect_success 'stopped and resumed: the same, fused and piped' '
    train -o half --steps 7 batches && ft-embed -q -m half pairs >/dev/null && train -o half --resume batches && same fused half &&
    test_expect_code 2 ft-train -q -m both -o half 2>err batches && test_grep "half exists" err &&
    train -o half-piped --seed 5 --steps 0 && head -c 4000 batches >cut &&
    { ft-embed -q -m half-piped cut 2>/dev/null | ft-loss -q -m half-piped 2>/dev/null | ft-update -q -m half-piped >steps 2>/dev/null; } ;
    test "$(applied half-piped)" -gt 0 && test "$(applied half-piped)" -lt 16 && piped half-piped batches && same fused half-piped
'

test_expect_success 'begun again with --force: what it made goes, what is beside it stays' '
    train -o again --steps 2 batches && echo mine >again/notes && train -o again --force batches && same fused again && test -f again/notes
'

test_expect_success 'a batch carries tokens of its texts and pixels of its images' '
    train -o carried --seed 5 --steps 0 && { ft-embed -q -m carried batches; } | tee embedded | ft-loss -q -m carried | ft-update -q -m carried >steps &&
    same fused carried && ft-cat -q --full embedded >text && test "$(grep -c "\"pixels\":" text)" -eq 16 && test "$(grep -c "\"tokens\":" text)" -eq 16 &&
    test "$(grep -c "\"vectors\":" text)" -eq 0
'

test_expect_success 'batches of one kind of content alone: the other tower waits' '
    documents pairs 60 1 | ft-sample -q --pairs --batch 12 --epochs 2 --seed 5 >texts && train -o of-texts texts &&
    cmp both/image/model.safetensors of-texts/image/model.safetensors && ! cmp -s both/text/model.safetensors of-texts/text/model.safetensors &&
    train -o of-texts-piped --seed 5 --steps 0 && piped of-texts-piped texts && same of-texts of-texts-piped
'

# Pictures of 2 x 2 that differ, as addresses of data, which the model reads at 64 x 64.
head=$(printf 'BM\0\0\0\0\0\0\0\0\066\0\0\0\050\0\0\0\002\0\0\0\002\0\0\0\001\0\030\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' | base64 -w 0)
awk -v head="$head" 'BEGIN {
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for (i = 0; i < 1500; i++) {
        pixel = ""
        for (k = 0; k < 21; k++) pixel = pixel substr(letters, 1 + (i * (k + 1) + int(i / 52)) % 52, 1)
        printf "{\"id\":\"%d\",\"chunks\":[{\"id\":\"%d.0\",\"text\":\"the cat %d\",\"tags\":{\"role\":\"anchor\"}},{\"id\":\"%d.1\",\"uri\":\"data:image/bmp;base64,%s%sA==\",\"mime_type\":\"image/bmp\",\"tags\":{\"role\":\"positive\"}}]}\n", i, i, i, i, head, pixel
    }
}' >many.jsonl
ft-cat -q --from-text many.jsonl >many && ft-sample -q --pairs --batch 1500 --epochs 2 --seed 5 many >many.batches &&
    $limit ft-tailor -q -m resnet --image-size 64 -o resnet-64 && $limit ft-tailor -q -m model -m resnet-64 --dim 6 --seed 3 -o both-64 ||
    { echo "Bail out! no large batch"; exit 1; }

# peak NAME COMMAND...: kilobytes the command takes, in the file NAME.
peak () {
    peak_name=$1
    shift
    if command -v /usr/bin/time >/dev/null; then /usr/bin/time -f %M -o "$peak_name" "$@"; else "$@" && echo 0 >"$peak_name"; fi
}

test_expect_success 'a large batch under --memory: the same bytes, varied too, and no more than was said; less is refused' '
    for augment in none flip; do
        large="$limit ft-train -q -m both-64 --lr 1e-2 --augment $augment" &&
        memory=$(least $large many.batches) && test_no_file least-refused && test_grep "and a step takes at least" least.err &&
        peak bound-$augment.peak $large --memory "$memory" -o bound-$augment many.batches && peak free-$augment.peak $large -o free-$augment many.batches &&
        same bound-$augment free-$augment && train -m both-64 --augment $augment -o parts-$augment --seed 5 --steps 0 &&
        piped parts-$augment many.batches && same free-$augment parts-$augment || return 1
        echo "memory $memory, kilobytes $(cat bound-$augment.peak), without $(cat free-$augment.peak)"
        test -n "$FT_SANITIZE" || test "$(cat bound-$augment.peak)" -lt $((${memory%M} * 1024)) || return 1
        test -n "$FT_SANITIZE" || test "$(cat free-$augment.peak)" -eq 0 || test "$(cat free-$augment.peak)" -gt $((${memory%M} * 1024)) || return 1
    done &&
    differ bound-none bound-flip
'

test_expect_success 'evaluated while it trains, its card, its batches by memory, and what they would cost' '
    train --hold-out .25 --pairs --batch 8 -o held pairs && grep -q "\"evaluation\"" held/run/log.jsonl &&
    grep -q "^Texts and images to vectors of 6 dimensions" held/README.md && grep -q "a text tower in .text/. and an image tower in .image/." held/README.md &&
    $limit ft-train -q -m both --dry-run -o planned batches >plan && grep -qx "loss	clip:temperature=0,learn=1" plan && test_no_file planned &&
    $limit ft-train -m both --batch auto --memory 124M --steps 1 -o roomy pairs 2>err && cat err && test_grep "batch [0-9]*: .* MiB with all" err
'

test_expect_success 'a model with a logit_bias is trained by siglip where nothing is said' '
    cp -r both biased && sed "s/\"ft\": 1/\"ft\": 1, \"logit_bias\": -10.0, \"logit_scale\": 2.3/" both/ft.json >biased/ft.json &&
    $limit ft-train -q -m biased --dry-run -o planned batches >plan && grep -q "^loss	siglip:" plan && train --loss clip -o named batches && same fused named
'

test_expect_success 'a teacher of two towers, of the same pairs' '
    train --teacher fused --loss mse -o taught batches && train --teacher fused --loss mse -o taught-piped --seed 5 --steps 0 &&
    ft-embed -q -m taught-piped --as teacher batches >taught.batches && piped taught-piped taught.batches && same taught taught-piped
'

test_expect_success 'what does not work with two towers is refused' '
    test_expect_code 2 ft-train -q -m both --lora "r=2,target=image.*" -o none batches 2>err && test_grep "names no linear layer: they are called like text" err &&
    test_expect_code 2 ft-train -q -m both --freeze video -o none batches 2>err && test_grep "matches no node" err &&
    test_expect_code 2 ft-train -q -m both --max-length 99 -o none batches 2>err && test_grep "more than the model" err && test_no_file none
'

test_expect_success 'a picture that is missing, and an item that is neither, are named with their batch' '
    sed "s,stripes/kind2/3.webp,stripes/gone.webp,; s,\"tags\":{\"role\":\"positive\"}},&,g" pairs.jsonl | ft-cat -q --from-text |
        ft-sample -q --pairs --batch 12 --epochs 1 --seed 5 >gone.batches &&
    test_expect_code 3 ft-train -q -m both -o none gone.batches 2>err && test_grep "batch [0-9]*: stripes/gone.webp: No such file" err && test_no_file none/ft.json
'

test_expect_success 'streams of both, cut anywhere' '
    sed -n "1p;5p" pairs.jsonl | ft-cat -q --from-text | ft-sample -q --pairs --batch 2 --epochs 1 >tiny 2>/dev/null &&
    train -o cut-run --seed 0 --steps 0 && { ft-embed -q -m cut-run tiny; } | ft-loss -q -m cut-run | tee tiny.losses | ft-update -q -m cut-run >steps &&
    test_cut_every_byte tiny "ft-embed -q -m both --threads 1" &&
    rm -rf cut-run && train -o cut-run --seed 0 --steps 0 && size=$(wc -c <tiny.losses) at=0 &&
    while test $at -lt $size; do
        head -c $at tiny.losses >cut && { ft-update -q -m cut-run --threads 1 cut >out 2>err; test_rejects $? "when cut at byte $at"; } &&
            test_no_file cut-run/ft.json || { cat err; return 1; }
        at=$((at + 37))
    done &&
    ft-update -q -m cut-run tiny.losses >out && test -s cut-run/text/model.safetensors
'

test_done
