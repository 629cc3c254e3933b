#!/bin/sh
test_description='a teacher and a guide: piped equals fused, wherever they stand in the pipe; what is missing, wrong or useless is said'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

# A teacher of other dimensions and another tokenizer: two words of its vocabulary have changed places.
cp -rL "$TOP/tests/golden/model/dense" other && cp -rL "$TOP/tests/golden/model/cls" guide && chmod -R u+w other guide || exit 1
for file in other/vocab.txt other/tokenizer.json; do
    test ! -e $file || sed -i 's/\bcat\b/C-A-T/; s/\bdog\b/cat/; s/C-A-T/dog/' $file
done

documents triplets 150 1 >triplets && documents pairs 150 2 >pairs || exit 1
for kind in triplets pairs; do
    ft-sample -q --batch 50 --epochs 2 --seed 5 $kind >$kind.batches || exit 1
done

# through RUN BATCHES FIELD MODEL: the second model first; through_after: behind the run's own.
through () {
    stage second $limit ft-embed -q -m "$4" --as "$3" "$2" | stage embed $limit ft-embed -q -m "$1" |
        stage loss $limit ft-loss -q -m "$1" | stage update $limit ft-update -q -m "$1" >steps
    cat second.err embed.err loss.err update.err
    test "$(cat second.rc embed.rc loss.rc update.rc | tr -d '\n')" = 0000
}

through_after () {
    stage embed $limit ft-embed -q -m "$1" "$2" | stage second $limit ft-embed -q -m "$4" --as "$3" |
        stage loss $limit ft-loss -q -m "$1" | stage update $limit ft-update -q -m "$1" >steps
    cat embed.err second.err loss.err update.err
    test "$(cat embed.rc second.rc loss.rc update.rc | tr -d '\n')" = 0000
}

# equal NAME BATCHES DOCUMENTS FIELD MODEL OPTION...: fused and piped in all their ways are the same bytes.
equal () {
    equal_name=$1 equal_batches=$2 equal_documents=$3 equal_field=$4 equal_model=$5
    shift 5
    set -- --"$equal_field" "$equal_model" "$@"
    $limit ft-train -q -m model -o $equal_name-fused "$@" $equal_batches &&
    $limit ft-train -q -m model -o $equal_name-documents --batch 50 --epochs 2 --seed 5 "$@" $equal_documents &&
    equal_memory=$(least $limit ft-train -m model --threads 3 "$@" $equal_batches) &&
    $limit ft-train -q -m model -o $equal_name-threads --threads 3 --memory "$equal_memory" "$@" $equal_batches &&
    new_run $equal_name-before --seed 5 "$@" && through $equal_name-before $equal_batches $equal_field $equal_model &&
    new_run $equal_name-after --seed 5 "$@" && through_after $equal_name-after $equal_batches $equal_field $equal_model &&
    new_run $equal_name-own --seed 5 "$@" && through $equal_name-own $equal_batches $equal_field $equal_name-own &&
    same $equal_name-fused $equal_name-documents $equal_name-threads $equal_name-before $equal_name-after $equal_name-own
}

test_expect_success 'distill-kl of a teacher with other dimensions and words' '
    equal distill triplets.batches triplets teacher other --loss distill-kl:similarity=cosine
'

test_expect_success 'the teacher reads with its own words: with the words of the model it teaches something else' '
    cp -rL "$TOP/tests/golden/model/dense" plain && ! cmp -s other/tokenizer.json plain/tokenizer.json &&
    $limit ft-train -q -m model -o plainly --teacher plain --loss distill-kl:similarity=cosine triplets.batches && differ plainly distill-fused
'

test_expect_success 'mse to the embeddings of a teacher, on pairs' '
    equal mse pairs.batches pairs teacher guide --loss mse
'

test_expect_success 'gist, and infonce with a filter: the guide changes what is learned' '
    equal gist pairs.batches pairs guide other --loss gist:temperature=.1 &&
    equal filter pairs.batches pairs guide other --loss infonce:margin_strategy=relative,margin=.2,directions=q2d+d2q+q2q+d2d &&
    $limit ft-train -q -m model -o unfiltered --loss infonce:directions=q2d+d2q+q2q+d2d pairs.batches && differ unfiltered filter-fused
'

test_expect_success 'a teacher and a guide at once, in bf16' '
    both () {
        $limit ft-train -q -m model --teacher guide --guide other --loss gist --loss .5*mse --precision bf16 --seed 5 "$@"
    } &&
    both -o both-fused pairs.batches && both -o both-piped --steps 0 &&
    ft-embed -q -m both-piped --as guide pairs.batches | ft-embed -q -m both-piped --as teacher | ft-embed -q -m both-piped |
        ft-loss -q -m both-piped | ft-update -q -m both-piped >steps &&
    same both-fused both-piped
'

test_expect_success 'embeddings kept with the batches serve as the model does' '
    ft-embed -q -m guide --as teacher -o kept pairs.batches &&
    $limit ft-train -q -m model -o kept-run --teacher guide --loss mse kept &&
    $limit ft-train -q -m model -o kept-alone --loss mse kept &&
    same mse-fused kept-run kept-alone &&
    test_expect_code 3 ft-train -q -m model -o kept-other --teacher model --loss mse kept >out 2>err &&
    test_grep "another model (checksum" err
'

# losses RUN: the mean of the first five and of the last five, in millionths.
losses () {
    sed "s/.*\"loss\": \([^,]*\),.*/\1/" "$1/run/log.jsonl" >all.losses
    for part in head tail; do
        $part -n 5 all.losses | awk "{ sum += \$1 } END { print int(1e6 * sum / NR) }"
    done | tr "\n" " "
}

test_expect_success 'what the teacher says is learned: its embeddings, its order of a row, its margins' '
    $limit ft-train -q -m model -o older --epochs 4 --batch 30 --lr 1e-2 triplets &&
    for loss in mse distill-kl:similarity=cosine,temperature=.05 margin-mse:similarity=cosine; do
        teacher=other && test $loss != mse || teacher=older
        rm -rf pupil && $limit ft-train -q -m model -o pupil --teacher $teacher --loss $loss --epochs 12 --batch 30 --lr 3e-3 triplets &&
        set -- $(losses pupil) && echo "$loss: from $1 to $2" && test "$2" -lt $(($1 / 2)) || return 1
    done
'

test_expect_success 'an evaluation asks the teacher too' '
    $limit ft-train -q -m model -o evaluated --teacher older --loss mse --epochs 6 --batch 30 --lr 3e-3 --hold-out .2 triplets &&
    grep -o "val_loss[^,}]*" evaluated/run/log.jsonl | sed "s/.*: *//" >values && test "$(wc -l <values)" -ge 3 &&
    awk "NR == 1 { first = \$1 } { last = \$1 } END { print first, last; exit !(last < first / 2) }" values
'

test_expect_success 'stopped and resumed' '
    $limit ft-train -q -m model -o stopped --teacher other --loss distill-kl:similarity=cosine --steps 2 triplets.batches &&
    test_expect_code 2 ft-train -q -o stopped --resume --teacher guide triplets.batches >out 2>err && test_grep "teacher was set to something else" err &&
    $limit ft-train -q -o stopped --resume --teacher other triplets.batches && same stopped distill-fused
'

test_expect_success 'scores of the rows come before the teacher; without either it is said what is missing' '
    awk "BEGIN { print \"anchor,positive,negative,score\"; for (i = 0; i < 40; i++) print \"the cat \" i \",sat on \" i \",dog bird \" i \",\" i / 10 }" >margins.csv &&
    ft-ingest -q margins.csv | ft-sample -q --batch 10 --epochs 2 -o margins.batches &&
    $limit ft-train -q -m model -o margins --loss margin-mse margins.batches &&
    new_run margins-piped --loss margin-mse && piped margins-piped margins.batches && same margins margins-piped &&
    $limit ft-train -q -m model -o margins-too --teacher other --loss margin-mse margins.batches && same margins margins-too &&
    sed "s/[0-9.]*$/0/; 1s/.*/anchor,positive,negative,score/" margins.csv >zeros.csv &&
    ft-ingest -q zeros.csv | ft-sample -q --batch 10 --epochs 2 -o zeros.batches &&
    $limit ft-train -q -m model -o zeros --loss margin-mse zeros.batches && differ zeros margins &&
    test_expect_code 3 ft-train -q -m model -o none --loss margin-mse triplets.batches >out 2>err && test_grep "a score column, or a model" err
'

test_expect_success 'what is missing, wrong or useless' '
    test_expect_code 2 ft-train -q -m model -o none --teacher other triplets.batches >out 2>err && test_grep "no loss given looks at a teacher" err &&
    test_expect_code 2 ft-train -q -m model -o none --teacher nowhere triplets.batches >out 2>err && test_grep "teacher: .*nowhere" err &&
    test_expect_code 3 ft-train -q -m model -o none --teacher other --loss mse pairs.batches >out 2>err && test_grep "12 dimensions, the model.s 20" err &&
    test_expect_code 3 ft-train -q -m model -o none --loss gist pairs.batches >out 2>err && test_grep "guide MODEL" err &&
    new_run lone --loss gist --guide other &&
    test_expect_code 2 ft-embed -q -m lone --as teacher pairs.batches >out 2>err && test_grep "has no teacher" err &&
    test_expect_code 2 ft-embed -q -m other --as teacher pairs >out 2>err && test_grep "behind ft-sample" err &&
    test_expect_code 2 ft-embed -q -m other --as embeddings pairs.batches >out 2>err && test_grep "teacher" err &&
    ft-embed -q -m model pairs.batches >embedded &&
    test_expect_code 3 ft-loss -q -m lone embedded >out 2>err && test_grep "add ft-embed -m RUN --as guide before" err &&
    ft-embed -q -m guide --as guide embedded >wrong && test_expect_code 3 ft-loss -q -m lone wrong >out 2>err && test_grep "another model" err &&
    cp -r other changing && new_run unlucky --loss gist --guide changing && { cp guide/*.* changing || :; } &&
    test_expect_code 3 ft-embed -q -m unlucky --as guide pairs.batches >out 2>err && test_grep "has changed since the run began" err
'

test_expect_success 'streams with a second model cut anywhere; a header that names it otherwise' '
    printf "a b\tc d\ne f\tg h\n" >tiny.tsv && ft-ingest -q --pairs tiny.tsv | ft-sample -q --epochs 1 -o tiny &&
    ft-embed -q -m model tiny | ft-embed -q -m other --as guide >guided && new_run tiny-run --loss gist --guide other &&
    size=$(($(wc -c <guided))) at=1 &&
    while test $at -lt $size; do
        head -c $at guided >cut && ft-loss -q -m tiny-run -o never cut 2>err
        test $? -eq 3 && test ! -e never || { echo "cut at $at"; return 1; }
        head -c $at guided >cut && ft-embed -q -m other --as guide -o never cut 2>err
        test $? -eq 3 && test ! -e never || { echo "cut at $at"; return 1; }
        at=$((at + 41))
    done &&
    ft-loss -q -m tiny-run guided >out && ft-cat -q --full guided >text &&
    sed "1s/\"guide\":\"[^\"]*\"/\"guide\":7/" text >bad && ! cmp -s text bad && ft-cat -q --from-text bad >bad.ft 2>err
    ft-loss -q -m tiny-run bad.ft >out 2>err; test $? -eq 3
'

test_expect_success 'a field of another shape is refused, whatever the embedding is' '
    ft-embed -q -m model pairs.batches | ft-cat -q --full | sed "s/\"embedding\":{\([^}]*\)}/&,\"guide\":{\1}/" >text &&
    ft-cat -q --from-text text | ft-loss -q --loss gist >out && sed "s/\(\"guide\":{[^}]*\"shape\":\)\[100,20\]/\1[50,40]/" text >bad &&
    ! cmp -s text bad && ft-cat -q --from-text bad >bad.ft && test_expect_code 3 ft-loss -q --loss gist bad.ft >out 2>err &&
    test_grep "guide: 50 embeddings for 100 items" err
'

test_done
