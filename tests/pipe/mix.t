#!/bin/sh
test_description='several data sets in one run: turns, a loss each, piped as fused, resumed, any threads; refusals'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

documents labelled 60 1 >topics.ft && documents pairs 50 2 >answers.ft && documents scored 20 3 >alike.ft || exit 1
sets="topics.ft answers.ft alike.ft"

# number, epoch, kind and set of each batch; without numbers and set the rest of each batch of one set
turns () { ft-cat -q --full "$1" | sed -n 's/^{"batch":\([0-9]*\),"epoch":\([0-9]*\),"kind":"\([a-z]*\)","set":"\([a-z]*\)".*/\1 \2 \3 \4/p'; }
batches_of () { ft-cat -q --full "$1" | grep "\"set\":\"$2\"" | sed 's/^{"batch":[0-9]*,//; s/"set":"[a-z]*",//'; }

test_expect_success 'proportional: all batches of each set once an epoch, as the set alone has them; the header counts them' '
    ft-sample -q --mix proportional --batch 12 --epochs 3 --seed 4 $sets >mixed && turns mixed >actual && cat actual &&
    awk "\$1 != NR { exit 1 }" actual && ft-cat -q mixed | head -1 >header && test_grep "\"sets\":\"topics answers alike\"" header &&
    test_grep "\"steps\":$(wc -l <actual)," header &&
    for set in topics answers alike; do
        ft-sample -q --batch 12 --epochs 3 --seed 4 $set.ft >alone && ft-cat -q --full alone | grep "^{\"batch\"" | sed "s/^{\"batch\":[0-9]*,//" >expect &&
        batches_of mixed $set >one && test_cmp expect one || return 1
    done &&
    awk "{ kind[\$4] = \$3 } \$4 != before { changes++; before = \$4 } END { exit !(kind[\"topics\"] == \"classes\" && kind[\"answers\"] == \"pairs\" && kind[\"alike\"] == \"scored\" && changes > 6) }" actual &&
    ft-sample -q --mix proportional --batch 12 --epochs 3 --seed 5 $sets >other && turns other >others && ! cmp -s actual others
'
test_expect_success 'round-robin: one of each in turn, until a set has no more in the epoch' '
    ft-sample -q --mix round-robin --batch 12 --epochs 2 $sets >mixed && turns mixed >actual && cat actual &&
    printf "%s\n" "1 1 classes topics" "2 1 pairs answers" "3 1 scored alike" "4 1 classes topics" "5 1 pairs answers" "6 1 scored alike" \
        "7 2 classes topics" "8 2 pairs answers" "9 2 scored alike" "10 2 classes topics" "11 2 pairs answers" "12 2 scored alike" >expect &&
    test_cmp expect actual && ft-cat -q mixed | head -1 >header && test_grep "\"steps\":12," header &&
    ft-sample -q --batch 12 --epochs 2 answers.ft >alone && ft-cat -q --full alone | grep "\"epoch\":2" | head -1 | sed "s/^{\"batch\":[0-9]*,//" >expect &&
    batches_of mixed answers | grep "\"epoch\":2" | head -1 >one && test_cmp expect one
'

own="--loss topics=supcon:temperature=.2 --loss answers=infonce:scale=10 --loss .5*cosine"
test_expect_success 'piped equals fused, given batches and given documents, with any threads' '
    ft-sample -q --mix proportional --batch 12 --epochs 2 --seed 4 $sets >mixed &&
    $limit ft-train -q -m model -o fused $own mixed && new_run pipe --seed 4 $own && piped pipe mixed &&
    $limit ft-train -q -m model -o documents $own --mix proportional --batch 12 --epochs 2 --seed 4 $sets &&
    $limit ft-train -q -m model -o single --threads 1 $own --mix proportional --batch 12 --epochs 2 --seed 4 $sets &&
    same fused pipe documents single && differ fused model
'
test_expect_success 'the losses are those that were said: another one for one set changes the model, and that set alone in its own words is the same' '
    $limit ft-train -q -m model -o plain --mix proportional --batch 12 --epochs 2 --seed 4 $sets && differ plain fused &&
    $limit ft-train -q -m model -o named --mix proportional --batch 12 --epochs 2 --seed 4 --loss topics=supcon --loss answers=infonce --loss alike=cosine $sets &&
    $limit ft-train -q -m model -o mined --mix proportional --batch 12 --epochs 2 --seed 4 --loss "topics=triplet miner=batch-hard" $sets && differ mined plain &&
    ft-embed -q -m model mixed >embedded && ft-loss -q --loss topics=supcon:temperature=.2 --loss "answers=infonce:scale=10" embedded >by-set &&
    ft-embed -q -m model mixed | ft-loss -q >by-kind && loss_of () { ft-cat -q "$1" | grep "\"set\":\"$2\"" | grep -o "\"loss\":[0-9.e-]*"; } &&
    loss_of by-set alike >a && loss_of by-kind alike >b && test -s a && test_cmp a b &&
    loss_of by-set topics >a && loss_of by-kind topics >b && test -s a && ! cmp -s a b && loss_of by-set answers >a && loss_of by-kind answers >b && ! cmp -s a b
'
test_expect_success 'stopped anywhere and resumed it is the same model; other documents, another mix or other names are noticed' '
    for stop in 1 4 9; do
        rm -rf part && $limit ft-train -q -m model -o part --steps $stop $own --mix proportional --batch 12 --epochs 2 --seed 4 $sets
        $limit ft-train -q -m model -o part --resume $sets && same fused part || return 1
    done &&
    rm -rf part && $limit ft-train -q -m model -o part --steps 4 $own --mix proportional --batch 12 --epochs 2 --seed 4 $sets
    test_expect_code 2 ft-train -q -m model -o part --resume --mix round-robin $sets 2>err && test_grep "mix was set to something else" err &&
    test_expect_code 3 ft-train -q -m model -o part --resume answers.ft topics.ft alike.ft 2>err && test_grep "are not those that the run was trained on" err
'
test_expect_success 'several files without --mix are one data set, in ft-train as in ft-sample' '
    documents labelled 30 7 >more.ft && ft-sample -q --batch 20 --epochs 1 --seed 4 topics.ft more.ft >both && ! grep -q "\"set\"" both &&
    $limit ft-train -q -m model -o by-batches both && $limit ft-train -q -m model -o by-files --batch 20 --epochs 1 --seed 4 topics.ft more.ft && same by-batches by-files
'
test_expect_success 'refused: names twice or odd, losses of no set, of no kind, two streams of batches' '
    mkdir sub && cp topics.ft sub/topics.x && cp topics.ft "a=b.ft" &&
    test_expect_code 2 ft-sample --mix proportional topics.ft sub/topics.x 2>err >out && test_grep "two data sets are called .topics." err &&
    test_expect_code 2 ft-sample --mix proportional topics.ft a=b.ft 2>err >out && test_grep "cannot be the name of a data set" err &&
    test_expect_code 2 ft-sample --mix shuffled topics.ft 2>err >out && test_expect_code 2 ft-train -m model -o no --mix x topics.ft 2>err &&
    test_expect_code 2 ft-train -m model -o no --mix proportional --loss topic=supcon $sets 2>err && test_grep "no data set is called .topic.: there are topics answers alike" err &&
    test_expect_code 2 ft-train -m model -o no --mix proportional --loss topics=arcface $sets 2>err && test_grep "arcface.*is not kept apart by data set" err &&
    test_expect_code 2 ft-train -m model -o no --loss topics=supcon topics.ft 2>err && test_grep "see --mix" err &&
    test_expect_code 2 ft-loss --loss topic=supcon embedded 2>err >out && test_grep "no data set is called .topic." err &&
    test_expect_code 2 ft-loss --loss topics=infonce embedded 2>err >out && test_grep "infonce does not take batches of classes" err &&
    test_expect_code 2 ft-train -m model -o no mixed mixed 2>err && test_grep "a stream of batches comes alone" err &&
    test_expect_code 3 ft-train -m model -o no topics.ft mixed 2>err && test_grep "expected documents" err && test_no_file no &&
    test_expect_code 2 ft-train -m model -o no --mix proportional mixed 2>err && test_grep "options of sampling" err &&
    printf "text,label\na,x\n" | ft-ingest -q >few && test_expect_code 3 ft-sample --mix proportional topics.ft few 2>err >out && cat err && test_grep "data set few: " err
'
test_expect_success 'data sets cut anywhere: nothing is trained' '
    size=$(($(wc -c <alike.ft))) && at=3 &&
    while test $at -lt $size; do
        head -c $at alike.ft >cut.ft && $limit ft-train -q -m model -o cut --mix proportional topics.ft cut.ft 2>err
        test_rejects $? "when cut at byte $at" && test_no_file cut || return 1
        at=$((at + 211))
    done
'

test_done
