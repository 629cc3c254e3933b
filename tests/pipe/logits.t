#!/bin/sh
test_description='the scale that two towers learn: it begins as the model'"'"'s own, is saved with the model, and goes on from there'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

pictures=$TOP/tests/golden/pictures
cp -r "$pictures/resnet" resnet && cp -r "$pictures/stripes" stripes && $limit ft-tailor -q -m model -m resnet --dim 6 --seed 3 -o both ||
    { echo "Bail out! not joined"; exit 1; }
for f in 0.png 1.jpg 4.png 5.jpg; do
    n=0
    for word in cat dog music web; do echo "my $word of $f,stripes/kind$n/$f"; n=$((n + 1)); done
done >pairs.csv
ft-ingest -q pairs.csv >pairs && ft-sample -q --batch 4 --epochs 3 --seed 5 pairs >batches || { echo "Bail out! no batches"; exit 1; }

train () {
    $limit ft-train -q --lr 1e-3 --loss-lr .02 "$@"
}
# What ft.json says.
said () {
    sed -n "s/.*\"logit_$1\": *\([-0-9.]*\).*/\1/p" "$2/ft.json"
}
# said_is NAME DIR VALUE: to four digits.
said_is () {
    said $1 $2 >said.now && test -s said.now && awk "{ d = \$1 - ($3); exit !(d < 1e-4 && d > -1e-4) }" said.now || { cat said.now; return 1; }
}

test_expect_success 'it is learnt, saved, the same piped; and taken up by who trains the model further' '
    test -z "$(said scale both)" && train -m both -o once batches && said scale once && ! said_is scale once 2.65926 &&
    train -m both -o apart --seed 5 --steps 0 && piped apart batches && cmp once/ft.json apart/ft.json &&
    $limit ft-train -q -m once --lr 0 --loss-lr 0 -o held batches && test "$(said scale held)" = "$(said scale once)" &&
    train -m once -o twice batches && ! said_is scale twice "$(said scale once)" &&
    $limit ft-train -q -m both --lr 0 --loss-lr 0 -o begun batches && said_is scale begun 2.65926 &&
    test_expect_code 2 ft-train -q -m model --loss-lr .1 -o no batches 2>err && test_grep "no loss of this run has weights of its own" err
'

test_expect_success 'a temperature that is given begins it; a fixed one leaves the model its own' '
    $limit ft-train -q -m once --loss clip:temperature=.5 --lr 0 --loss-lr 0 -o given batches && said_is scale given 0.693147 &&
    $limit ft-train -q -m once --loss clip:temperature=.5,learn=0 -o fixed batches && test "$(said scale fixed)" = "$(said scale once)" &&
    $limit ft-train -q -m both --loss clip:learn=0 -o none batches && test -z "$(said scale none)" &&
    test_expect_code 2 ft-train -q -m once --loss clip:learn=0,temperature=.00001 -o no batches 2>err && test_grep "0.0001 to 100 where it stays, or 0 for 0.07" err &&
    test_expect_code 2 ft-train -q -m once --loss siglip:temperature=2 -o no batches 2>err && test_grep "0.01 to 1 where it is learnt, or 0 for the model.s own" err
'

test_expect_success 'siglip has a bias besides; a scale beyond the bounds is brought within; edits and exports keep both' '
    $limit ft-train -q -m both --loss siglip --lr 0 --loss-lr 0 -o sig batches && said_is scale sig 2.302585 && said_is bias sig -10 &&
    sed -i "s/\"logit_scale\": *[0-9.]*/\"logit_scale\": 9.5/; s/\"logit_bias\": *[-0-9.]*/\"logit_bias\": -3.25/" sig/ft.json &&
    $limit ft-train -q -m sig --loss siglip --lr 0 --loss-lr 0 -o more batches && said_is scale more 4.60517 && said_is bias more -3.25 &&
    $limit ft-train -q -m sig --loss siglip:bias=-1 --lr 0 --loss-lr 0 -o other batches && said_is bias other -1 &&
    ft-tailor -q -m more --freeze image -o frozen && said_is scale frozen 4.60517 && said_is bias frozen -3.25 &&
    ft-export -q -m more --to sentence-transformers -o exported 2>err && said_is scale exported 4.60517 &&
    ft-embed -q -m more --modality text pairs >out
'

test_expect_success 'evaluations have the learnt temperature: val_loss, and images ranked for texts' '
    train -m both --eval pairs --eval-every 4 -o watched batches 2>err || { cat err; false; } &&
    grep "val_loss" watched/run/log.jsonl >lines && test -s lines && test_grep "\"recall@1\"" lines && test_grep "\"median_rank\": [0-9.]*" lines &&
    ! grep "no val_loss" err && sed -n "s/.*\"val_loss\": \([0-9.]*\).*/\1/p" lines >losses && cat losses && test "$(sort -u losses | wc -l)" -gt 1
'

test_expect_success 'halfway back it is between what it was and what it became, piped too; of the best evaluation it is that one'"'"'s, resumed or not' '
    train -m both --wise-ft .25 -o quarter batches && said_is scale quarter ".75 * 2.65926 + .25 * $(said scale once)" && ! said_is scale quarter "$(said scale once)" &&
    train -m both --wise-ft .25 -o quarter-piped --seed 5 --steps 0 && piped quarter-piped batches && cmp quarter/ft.json quarter-piped/ft.json &&
    cmp quarter/image/model.safetensors quarter-piped/image/model.safetensors &&
    train -m both --wise-ft 0 -o none-of-it batches && said_is scale none-of-it 2.65926 && cmp none-of-it/text/model.safetensors begun/text/model.safetensors &&
    best="-m both --eval-every 4 --best train_loss:mode=max" && train $best -o best batches 2>err &&
    sed -n "s/.*\"evaluation\": \([0-9]*\),.*\"train_loss\": \([0-9.]*\).*/\2 \1/p" best/run/log.jsonl | sort -n | tail -1 >when && cat when &&
    read none when <when && test "$when" -gt 0 && test "$when" -lt 12 &&
    train $best -o best-stopped --steps 10 batches 2>err && train -o best-stopped --resume batches 2>err && cmp best/ft.json best-stopped/ft.json &&
    cmp best/text/model.safetensors best-stopped/text/model.safetensors &&
    train -m both --steps "$when" -o until batches && test "$(said scale until)" = "$(said scale best)" && cmp until/text/model.safetensors best/text/model.safetensors
'

test_expect_success 'what is no number is refused' '
    for bad in "\"hot\"" null "[1]"; do
        cp -r once bad && sed -i "s/\"logit_scale\": *[0-9.]*/\"logit_scale\": $bad/" bad/ft.json && test_expect_code 3 $limit ft-train -q -m bad -o no batches 2>err &&
        cat err && test_grep "logit_scale is no number" err && rm -r bad || return 1
    done &&
    cp -r once bad && sed -i "s/\"logit_scale\": *[0-9.]*/\"logit_scale\": 1e39/" bad/ft.json && test_expect_code 3 $limit ft-train -q -m bad -o no batches 2>err &&
    test_grep "bad/ft.json: logit_scale is 1e+39, expected a finite 32-bit number" err && rm -r bad &&
    cp -r both bad && sed -i "s/\"towers\"/\"logit_heat\": 1, \"towers\"/" bad/ft.json && test_expect_code 3 ft-embed -q -m bad pairs 2>err >out && cat err &&
    test_grep "logit_heat. is not known" err
'

test_done
