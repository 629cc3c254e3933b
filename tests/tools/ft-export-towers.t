#!/bin/sh
test_description='two towers in half the bytes: each weight of both, what config.json says, the same embeddings but for rounding'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

make=${FT_BUILD:-$TOP/build}/tests/model/test-lora-towers
test -x "$make" || { echo "1..0 # SKIP $make is not built"; exit 0; }
clip=$PWD/clip open=$PWD/open-clip
(cd "$TOP" && "$make" clip "$clip" && "$make" open-clip "$open") && cp -r "$TOP/tests/golden/pictures/resnet" resnet && cp -r "$TOP/tests/golden/pictures/stripes" stripes &&
    ft-tailor -q -m model -m resnet --dim 6 --seed 3 -o both || { echo "Bail out! no models"; exit 1; }
printf "%s\n" "{\"id\":\"a\",\"text\":\"the cat\"}" "{\"id\":\"b\",\"uri\":\"stripes/kind0/0.png\"}" "{\"id\":\"c\",\"text\":\"my music\"}" "{\"id\":\"d\",\"uri\":\"stripes/kind1/1.jpg\"}" >mixed.jsonl
ft-cat -q --from-text mixed.jsonl >mixed

weights () {
    (cd "$1" && find . -name "*.safetensors" | sort)
}

# Components of MODEL's embeddings of unit length, one a line.
components () {
    ft-embed -q -m "$1" mixed | ft-export -q --to csv | tail -n +2 | cut -d, -f2- |
        awk -F, '{ n = 0; for (i = 1; i <= NF; i++) n += $i * $i; for (i = 1; i <= NF; i++) print $i / sqrt(n) }'
}

for name in clip open-clip both; do
    components $name >$name.want
    for precision in fp16 bf16; do
        case $precision in fp16) kind=F16 bound=.003 ;; *) kind=BF16 bound=.03 ;; esac
        test_expect_success "$name in $precision: every weight of both towers, read back, and the same bytes when exported again" '
            ft-export -q -m $name --precision $precision -o $name-$precision && weights $name >want && weights $name-$precision >got && test_cmp want got && test -s got &&
            for file in $(cat got); do
                grep -q -a "\"dtype\":\"$kind\"" $name-$precision/$file && ! grep -q -a "\"dtype\":\"F32\"" $name-$precision/$file &&
                test "$(wc -c <$name-$precision/$file)" -lt "$(($(wc -c <$name/$file) * 8 / 10))" || return 1
            done &&
            components $name-$precision >numbers && ! cmp -s numbers $name.want && test "$(wc -l <numbers)" -eq "$(wc -l <$name.want)" &&
            paste numbers $name.want | awk "{ d = \$1 - \$2; if (!(d < $bound && d > -$bound)) bad = 1 } END { exit bad || !NR }" &&
            ft-export -q -m $name-$precision --precision $precision -o again --force &&
            for file in $(cat got); do cmp $name-$precision/$file again/$file || return 1; done &&
            for config in $(cd $name-$precision && find . -name config.json | xargs grep -l model_type); do
                test_grep "\"\(torch_\)\{0,1\}dtype\": \"b\{0,1\}float16\"" $name-$precision/$config || return 1
            done
        '
    done
done

test_done
