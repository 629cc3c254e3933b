#!/bin/sh
test_description='pipelines/sweep.mk: a grid of runs, made once, stopped and gone on with, and its table'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

corpus labelled 96 1 >train.csv
corpus labelled 48 2 >test.csv
echo 'supcon triplet:margin=.2,distance=cosine' >losses

sweep () {
    MAKEFLAGS= MAKELEVEL= make -f "$TOP/pipelines/sweep.mk" TRAIN=train.csv TEST=test.csv MODEL=model AXES='loss lr seed' \
        loss="$(cat losses)" lr='1e-2 2e-3' seed='0 1' "$@"
}

sweep OPTIONS='--epochs 1 --batch 24' INDEX=train.csv >table 2>err
test_expect_success 'every point of the grid is trained and measured' '
    test 8 = "$(grep -c "^ft-train -m " table)" && test 8 = "$(ls sweep/*/result | wc -l)" && test 0 = "$(ls -d sweep/*/model 2>/dev/null | wc -l)"
'
test_expect_success 'the table: best first, then means over seeds, which are means' '
    awk "/^mean over/ { exit } /^(supcon|triplet)/ { print \$4 }" table >order && sort -rn order | cmp - order && test 8 = "$(wc -l <order)" &&
    awk "/^mean over/ { means = 1 }
        /^supcon / && !means && \$2 == \"1e-2\" { sum += \$5; n++ }
        /^supcon / && means && \$2 == \"1e-2\" { d = \$5 - sum / n; found = d < 1e-4 && d > -1e-4 && \$NF == n }
        END { exit !(n == 2 && found) }" table
'
test_expect_success 'the table says what ft-eval says of that run' '
    ft-ingest -q --seed 0 train.csv | ft-train -q -m model --loss supcon --lr 2e-3 --seed 1 --epochs 1 --batch 24 -o own &&
    ft-ingest -q train.csv -o index && ft-ingest -q test.csv | ft-eval -q -m own --index index | awk "\$1 == \"map\" { printf \"%.4f\n\", \$2 }" >map &&
    awk "/^mean over/ { exit } /^supcon / && \$2 == \"2e-3\" && \$3 == 1 { print \$5 }" table | cmp - map
'
test_expect_success 'again: nothing is made anew, and the table is the same' '
    sweep OPTIONS="--epochs 1 --batch 24" INDEX=train.csv >again && ! grep "^ft-train" again && grep -v "^ft-train" table | cmp - again
'
test_expect_success 'one more seed: only its runs' '
    sweep OPTIONS="--epochs 1 --batch 24" INDEX=train.csv seed="0 1 2" >more && test 4 = "$(grep -c "^ft-train" more)" && ! grep "^ft-train" more | grep -v "seed 2"
'
test_expect_success 'other options: all of them anew, and other figures' '
    sweep OPTIONS="--epochs 2 --batch 24" INDEX=train.csv >other && test 8 = "$(grep -c "^ft-train" other)" &&
    grep -v "^ft-train" other >figures && ! cmp -s figures again
'
test_expect_success 'two at a time: the same figures' '
    sweep clean >/dev/null && sweep -j2 OPTIONS="--epochs 2 --batch 24" INDEX=train.csv | grep -v "^ft-train" | cmp - figures
'
test_expect_success 'a run that fails leaves no result, and the others stay' '
    echo "supcon nonsense" >losses && ! sweep -k OPTIONS="--epochs 2 --batch 24" INDEX=train.csv 2>err && grep "nonsense" err &&
    test -s sweep/loss-supcon-lr-1e-2-seed-0/result && test ! -e sweep/loss-nonsense-lr-1e-2-seed-0/result
'
test_expect_success 'what is missing is named' '
    ! make -f "$TOP/pipelines/sweep.mk" TRAIN=train.csv 2>err && grep "TEST=FILE" err && ! sweep AXES=foo 2>err && grep "axis .foo. has no values" err
'
test_done
