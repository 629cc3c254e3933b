#!/bin/sh
test_description='ft-train: what it does beside the steps'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

documents labelled 120 1 >documents || { echo "Bail out! no documents"; exit 1; }
train="$limit ft-train -m model --batch 24 --epochs 2"

test_expect_success '--log tensorboard: an event file that a resumed run leaves as a straight one does' '
    $train -q -o log --log tensorboard documents && events=run/events.out.tfevents.1.ft && test -s log/$events &&
    grep -c -a gradient_norm log/$events && test "$(grep -o -a gradient_norm log/$events | wc -l)" -eq "$(applied log)" &&
    $train -q -o log-resumed --log tensorboard --steps 3 --save-every 2 documents &&
    $train -q -o log-resumed --resume documents && same log log-resumed &&
    test "$(wc -c <log/$events)" -eq "$(wc -c <log-resumed/$events)" &&
    $train -q -o log-none documents && same log log-none && test_no_file log-none/$events &&
    test_expect_code 2 $train -q -o log-none --log wandb documents 2>err && test_grep "one of tensorboard" err
'

# ---- evaluation ----

corpus labelled 60 2 >test.csv && ft-ingest -q --labeled test.csv >test.ft
# Lines of the log without what is a clock's.
timeless () {
    sed "s/, \"seconds.*//" $1/run/log.jsonl
}
evaluations () {
    sed -n "s/{\"evaluation\": \([0-9]*\),.*/\1/p" $1/run/log.jsonl | tr "\n" " "
}
scores () {
    sed -n "s/{\"evaluation\".* \"$2\": \([^,]*\),.*/\1/p" $1/run/log.jsonl
}

test_expect_success '--eval: before training and after each epoch, as ft-eval has it; the model is the same byte for byte' '
    $train -o plain documents && $train -o evaluated --eval test.csv documents 2>err && same plain evaluated &&
    test "$(evaluations evaluated)" = "0 5 10 " && test_grep "evaluation after batch 5: .*map" err &&
    ft-eval -q -m model test.ft | sed -n "s/^map.//p" >before && ft-eval -q -m evaluated test.ft | sed -n "s/^map.//p" >after &&
    scores evaluated map | sed -n "1p;\$p" | awk "{printf \"%.4f\\n\", \$1}" >got && cat before after >want && test_cmp want got &&
    test "$(scores evaluated val_loss | wc -l)" -eq 3 && test "$(scores evaluated train_loss | wc -l)" -eq 2 &&
    $train -q -o by-stream --eval test.ft documents && timeless evaluated >want && timeless by-stream >got && test_cmp want got
'

test_expect_success 'an index of its own, every so many batches, batches instead of documents' '
    ft-sample -q --batch 24 --epochs 2 documents >batches && corpus labelled 40 3 >index.csv &&
    $limit ft-train -q -m model -o indexed --eval test.ft --eval-index index.csv --eval-every 4 batches && same plain indexed &&
    test "$(evaluations indexed)" = "0 4 8 10 " &&
    ft-eval -q -m indexed --index documents test.ft >/dev/null && ft-ingest -q --labeled index.csv >index.ft &&
    ft-eval -q -m indexed --index index.ft test.ft | sed -n "s/^map.//p" >want && scores indexed map | sed -n "\$p" |
        awk "{printf \"%.4f\\n\", \$1}" >got && test_cmp want got
'

test_expect_success '--eval of a pipe, which is given again to go on' '
    rm -f tap && mkfifo tap && { cat test.ft >tap & } && $train -q -o tapped --eval tap --steps 7 documents && wait &&
    { cat test.ft >tap & } && $train -q -o tapped --eval tap --resume documents && wait && same evaluated tapped &&
    timeless evaluated >want && timeless tapped >got && test_cmp want got
'

test_expect_success 'prompts by role: as ft-eval has it of the model that keeps them' '
    documents pairs 60 1 >pairs.ft && documents pairs 40 2 >pairs-test.ft && set -- -m model --batch 20 --epochs 1 --eval pairs-test.ft &&
    $limit ft-train -q "$@" -o prompted --prompt "query=what is " --prompt "document=the word: " pairs.ft && $limit ft-train -q "$@" -o bare pairs.ft &&
    ft-eval -q -m prompted pairs-test.ft | sed -n "s/^map.//p" >want && scores prompted map | sed -n "\$p" | awk "{printf \"%.4f\\n\", \$1}" >got &&
    test_cmp want got && scores bare map >got && scores prompted map >want && ! cmp -s want got &&
    scores bare val_loss >got && scores prompted val_loss >want && ! cmp -s want got
'

test_expect_success 'what is evaluated and trained on is found' '
    { cat test.csv; sed -n "2,4p" documents.tmp; } >leak.csv && corpus labelled 120 1 >documents.tmp && head -4 documents.tmp >leak.csv &&
    sed 1d test.csv >>leak.csv && $train -o leaking --eval leak.csv documents 2>err && test_grep "3 texts of the evaluation are trained on, such as ." err &&
    test "$(grep -c "are trained on" err)" -eq 1 && $limit ft-train -m model -o leaking-batches --eval leak.csv batches 2>err &&
    test_grep "3 texts of the evaluation are trained on" err && $train -o clean --eval test.csv documents 2>err && ! grep "trained on" err
'

test_expect_success '--hold-out: a share apart, never trained on; the rest is a run of its own' '
    $train -o held --hold-out .2 documents 2>err && ! grep "trained on" err && test "$(scores held map | wc -l)" -eq 3 &&
    test "$(sed -n "s/.*evaluation\": 0.*queries\": \([0-9]*\).*/\1/p" held/run/log.jsonl)" -eq 24 && differ plain held &&
    test "$(sed -n "s/.*step\": 1,.*steps\": \([0-9]*\).*/\1/p" held/run/log.jsonl)" -eq 8 &&
    test_expect_code 2 $limit ft-train -q -m model -o no --hold-out .2 batches 2>err && test_grep "give ft-train the documents" err &&
    test_expect_code 2 $train -q -o no --hold-out 0 documents 2>err && test_grep "above 0 and below 1" err && test_no_file no &&
    for id in 1 2 3 4; do
        echo "{\"id\":\"$id\",\"chunks\":[{\"text\":\"none $id\",\"tags\":{\"role\":\"negative\"}}]}"
    done | ft-cat -q --from-text >negatives &&
    test_expect_code 3 $train -q -o no --hold-out .5 negatives 2>err && test_grep "0 anchors" err && test_no_file no
'

test_expect_success '--stop: a run that cannot improve ends, is finished, and is so again when resumed anywhere' '
    stopping="--epochs 9 --lr 0 --eval test.csv --stop map:patience=2" &&
    $train $stopping -o stopped documents 2>err && test_grep "map has not become better in 2 evaluations: stopped after batch 10" err &&
    test "$(evaluations stopped)" = "0 5 10 " && test -s stopped/model.safetensors && test_no_file stopped/run/checkpoints &&
    $train $stopping -o stopped --resume documents 2>err && test_grep "is finished" err &&
    timeless stopped >want && for k in 1 5 7 10; do
        $train $stopping -q -o stopped-$k --steps $k documents && $train -q -o stopped-$k --resume --epochs 9 documents &&
        same stopped stopped-$k && timeless stopped-$k >got && test_cmp want got && test_no_file stopped-$k/run/checkpoints || return 1
    done
'

test_expect_success '--stop train_loss needs no documents' '
    $train -o by-loss --epochs 9 --lr 0 --stop train_loss:patience=1,min-delta=9 documents 2>err && test_grep "stopped after batch 10" err &&
    test "$(evaluations by-loss)" = "5 10 "
'

test_expect_success '--stop and --best: any metric that ft-eval knows, by its other names too' '
    $train -q -o other-metrics --eval test.csv --best map@10 --stop average_precision documents && test "$(scores other-metrics map@10 | wc -l)" -eq 3 &&
    test "$(grep -c "\"average_precision" other-metrics/run/log.jsonl)" -eq 3 && test_expect_code 2 $train -q -o no --eval test.csv --best maps documents &&
    $train -q -o by-short-name --eval test.csv --best precision documents
'

# A learning rate that ruins the model after a while.
ruining="--epochs 4 --lr 1e-2 --schedule constant --eval test.csv --eval-every 3"

test_expect_success '--best: the model is not the last one, but that of the best evaluation' '
    $train $ruining -q -o last documents && $train $ruining -o best --best map documents 2>err && differ last best &&
    scores last map | awk "\$1 > best { best = \$1 } { last = \$1 } END { exit !(last < best) }" &&
    number=$(sed -n "s/.*the best map, .*, was after batch \([0-9]*\).*/\1/p" err) && test "$number" -gt 0 && test "$number" -lt 20 &&
    ft-eval -q -m best test.ft | sed -n "s/^map.//p" >got && scores best map | sort -g | sed -n "\$p" | awk "{printf \"%.4f\\n\", \$1}" >want &&
    test_cmp want got && $train $ruining -q -o until --steps "$number" documents && same best until && test_no_file best/run/best
'

test_expect_success '--best: the base model, where training made it worse' '
    $train -q -o worse --lr 1 --schedule constant --eval test.csv --best map documents 2>err && test_grep "the model is that one" err &&
    $train -q -o untouched --lr 0 documents && same untouched worse
'

test_expect_success '--best and --wise-ft: stopped anywhere and resumed, the same bytes and the same log' '
    $train $ruining -q -o kept --best map --wise-ft .5 documents && differ kept best && timeless kept >want &&
    for k in 1 3 4 $((number - 1)) $number $((number + 1)) 15; do
        $train $ruining -q -o kept-$k --best map --wise-ft .5 --save-every 2 --steps $k documents &&
        $train -q -o kept-$k --resume --epochs 4 documents && same kept kept-$k && timeless kept-$k >got && test_cmp want got || return 1
    done
'

test_expect_success '--wise-ft and --log through the filters: the same; a run to be evaluated they refuse' '
    $limit ft-train -q -m model -o fused-wise --wise-ft .5 --log tensorboard batches && new_run piped-wise --wise-ft .5 --log tensorboard &&
    piped piped-wise batches && same fused-wise piped-wise && differ fused-wise plain && timeless fused-wise >want && timeless piped-wise >got &&
    test_cmp want got && test "$(wc -c <fused-wise/$events)" -eq "$(wc -c <piped-wise/$events)" &&
    new_run evaluated-piped --eval test.csv && test_expect_code 2 ft-update -q -m evaluated-piped batches 2>err >steps && test_grep "only ft-train" err
'

test_expect_success '--threads changes no byte of an evaluation either' '
    for n in 1 2 3; do $train $ruining -q -o threads-$n --best val_loss --threads $n documents && timeless threads-$n >$n.log || return 1; done &&
    test_cmp 1.log 2.log && test_cmp 1.log 3.log && same threads-1 threads-2 threads-3
'

test_expect_success '--best: killed at random moments, resumed each time' '
    hits=0 && until test $hits -ge 4; do
        rm -rf killed.new && background train ft-train -q -m model -o killed --resume --batch 24 $ruining --epochs 60 --best map --save-every 7 documents &&
        pid=$(pid_of train) && random_below 250 && sleep $(printf .%03d $random) || return 1
        if kill -9 $pid; then hits=$((hits + 1)); else rm -rf killed; fi
        wait $job
    done &&
    $limit ft-train -q -m model -o killed --resume --batch 24 $ruining --epochs 60 --best map documents &&
    $train $ruining -q -o long --epochs 60 --best map documents && same long killed && timeless long >want && timeless killed >got && test_cmp want got
'

# So deep that a process of few files cannot remove it: the run ends there, as if it had been killed.
test_expect_success '--best: the parameters of the best go after the checkpoints, which would need them' '
    $train $ruining -q -o late --best map --steps 6 documents && mkdir -p late/run/best/x$(awk "BEGIN { for (i = 0; i < 200; i++) printf \"/y\" }") &&
    (ulimit -n 100; test_expect_code 4 $train $ruining -q -o late --best map --resume documents 2>err) && cat err && test_no_file late/run/checkpoints &&
    same best late && $train $ruining -o late --best map --resume documents 2>err && test_grep "late is finished" err
'

test_expect_success 'other documents to evaluate are refused on resuming; so are other callbacks' '
    $train -q -o changed --eval test.csv --best map --steps 3 documents && cp test.csv other.csv && echo "the cat,topic0" >>other.csv &&
    test_expect_code 3 $train -q -o changed --resume --eval other.csv documents 2>err && test_grep "are not those that the run was evaluated on" err &&
    for option in "--best mrr" "--stop map" "--wise-ft .5" "--eval-every 2" "--hold-out .1" "--eval-index test.csv" "--log tensorboard" "--stop map:wait=1"; do
        test_expect_code 2 $train -q -o changed --resume $option documents 2>err || { echo "$option"; return 1; }
        test_grep "was set to something else" err || return 1
    done &&
    $train -q -o changed --resume --eval test.ft documents
'

test_expect_success 'what cannot be evaluated is refused, and leaves no run' '
    printf "text\nthe cat\nthe dog\n" >plain.csv && printf "text,label\n" >empty.csv && head -c 3000 test.ft >cut.ft &&
    set -- "no/such" 4 "empty.csv" 3 "cut.ft" 3 "batches" 3 "plain.csv" 3 && while test $# -gt 0; do
        test_expect_code $2 $train -q -o refused --eval $1 documents 2>err || { echo "$1"; return 1; }
        cat err; test_no_file refused || return 1; shift 2
    done &&
    for option in "--eval test.csv --best maps" "--eval test.csv --stop maps" "--best val_loss" "--eval-every 3" "--eval-index test.csv" \
            "--eval test.csv --hold-out .1" "--wise-ft 2" "--eval test.csv --stop map:wait=1"; do
        test_expect_code 2 $train -q -o refused $option documents 2>err || { echo "$option"; return 1; }
        cat err; test_no_file refused || return 1
    done
'

for kind in pairs triplets scored; do
    test_expect_success "evaluation of $kind" '
        documents $kind 80 1 >$kind.ft && documents $kind 30 2 >$kind-test.ft &&
        $limit ft-train -q -m model -o eval-$kind --batch 20 --epochs 2 --eval $kind-test.ft --best val_loss $kind.ft &&
        $limit ft-train -q -m model -o plain-$kind --batch 20 --epochs 2 $kind.ft && same eval-$kind plain-$kind &&
        test "$(scores eval-$kind val_loss | wc -l)" -eq 3 && { test $kind = scored || test "$(scores eval-$kind map | wc -l)" -eq 3; } &&
        $limit ft-train -q -m model -o held-$kind --batch 20 --epochs 2 --hold-out .25 $kind.ft 2>err && ! grep "trained on" err
    '
done

# ---- hooks ----

# hook BODY: a program that notes its argument and its input in "told", then does BODY.
hook () {
    rm -f told && printf "#!/bin/sh\necho \"\$1 \$(cat)\" >>\"$TRASH/told\"\n%s\n" "$1" >note && chmod +x note
}
events () {
    sed "s/ .*//" told | tr "\n" " "
}

test_expect_success '--hook: run at begin, after each epoch, at the end, told what there is' '
    hook : && $train -q -o hooked --hook note --eval test.csv --best map documents && same plain hooked && test "$(events)" = "begin epoch epoch end " &&
    test_grep "^begin {\"event\": \"begin\", \"run\": \"hooked\", \"batch\": 0, \"steps\": 10, \"epoch\": 0, \"loss\": null, .*\"best\": null, \"error\": null}" told &&
    test_grep "^epoch .*\"batch\": 5, .*\"epoch\": 1, .*\"evaluation\": 5, \"metrics\": {.*\"map\": 0\..*\"best\": {\"metric\": \"map\"" told &&
    test_grep "^end .*\"batch\": 10, " told && scores hooked map | sed -n 2p >want && sed -n "2s/.*\"map\": \([0-9.]*\).*/\1/p" told >got && test_cmp want got
'

test_expect_success '--hook: a failure is told, once it has begun; the run can go on' '
    hook : && head -c $(($(wc -c <batches) / 2)) batches >half &&
    test_expect_code 3 $limit ft-train -q -m model -o failing --hook ./note half 2>err && test "$(events)" = "begin failure " &&
    test_grep "^failure .*\"batch\": [1-9].*\"error\": \".*without its end record" told && rm told &&
    $limit ft-train -q -o failing --resume batches && test "$(events)" = "begin epoch epoch end " && same plain failing
'

test_expect_success '--hook: one that fails, reads nothing or dies is reported, and stops nothing' '
    hook "exit 3" && $train -q -o hook-3 --hook note documents 2>err && test_grep "note epoch: exit status 3" err && same plain hook-3 &&
    printf "#!/bin/sh\nexec <&-\necho out\nkill -9 \$\$\n" >note && $train -q -o hook-9 --hook note documents 2>err >out &&
    test_grep "note end: ended by signal 9" err && test_grep "^out" err && test ! -s out && same plain hook-9 &&
    printf "echo no interpreter\n" >note && $train -q -o hook-none --hook note documents 2>err && test_grep "note begin: Exec format error" err &&
    same plain hook-none && test_expect_code 2 $train -q -o no --hook test.csv documents 2>err && test_grep "not a program" err &&
    test_expect_code 4 $train -q -o no --hook no/such documents && test_no_file no
'

# ---- plans ----

# plan NAME: a value of the plan in "plan".
plan () {
    sed -n "s/^$1	//p" plan
}

test_expect_success '--steps before the first evaluation: there is no best, so the last model is written, and that is said' '
    $train -o early-end --eval test.csv --best map --steps 1 documents 2>err && test_grep "nothing was evaluated since training began" err && differ early-end model
'

test_expect_success '--lora --dry-run counts what the adapters learn' '
    $train -q -o planned --dry-run --lora r=2,target=query documents >plan && test "$(sed -n "s/^trained.//p" plan)" = 160
'

test_expect_success '--dry-run: the plan of the run, and nothing written' '
    $train -q -o planned --dry-run documents >plan 2>err && test_no_file planned && test ! -s err &&
    test "$(plan documents)" = 120 && test "$(plan labels)" = 6 && test "$(plan batch)" = 24 && test "$(plan batches)" = 10 &&
    test "$(plan kind)" = classes && test "$(plan loss)" = supcon:temperature=0.05 && test "$(plan lr)" = 0.0002 &&
    test "$(plan parameters)" = "$(plan trained)" && plan memory | grep -q "^[0-9.]* MiB" && plan "batch time" | grep -q "^0\.[0-9]* s" &&
    parameters=$(plan parameters) && plan time | grep -q "^[0-9.]* s" &&
    $train -q -o planned --dry-run --freeze "embeddings*" --hold-out .2 --steps 3 documents >plan && test "$(plan evaluated)" = 24 &&
    test "$(plan parameters)" = "$parameters" && test "$(plan trained)" -lt "$parameters" && test "$(plan batches)" = 3 &&
    $limit ft-train -q -m model -o planned --dry-run batches >plan && test "$(plan batches)" = 10 && test "$(plan kind)" = classes && test_no_file planned &&
    ls -A run >before 2>/dev/null; find plain -type f | sort | xargs cksum >before &&
    test_expect_code 2 $train -q -o plain --dry-run documents && $train -q -o plain --dry-run --force documents >plan &&
    find plain -type f | sort | xargs cksum >after && test_cmp before after &&
    test_expect_code 2 $train -q -o plain --dry-run --resume documents
'

test_expect_success '--batch auto: what fits --memory, the same each time, kept in the run' '
    if test -n "$FT_SANITIZE"; then return 0; fi   # what a sanitizer takes is more than the program is thought to
    documents labelled 800 4 >large && auto="$limit ft-train -m model --epochs 2" &&
    $auto -o auto --batch auto --memory 65M large 2>err && number=$(sed -n "s/.*--batch \([0-9]*\): .*/\1/p" err) && test "$number" -ge 16 &&
    sed -n "s/.*: \([0-9.]*\) MiB with all.*/\1/p" err | awk "{ exit !(\$1 <= 65 && \$1 > 64.5) }" &&
    $auto -q -o auto-again --batch auto --memory 65M --threads 1 large && $auto -q -o by-hand --batch "$number" large && same auto auto-again by-hand &&
    $auto -o larger --batch auto --memory 66M large 2>err && test "$(sed -n "s/.*--batch \([0-9]*\): .*/\1/p" err)" -gt "$number" &&
    $auto -o largest --batch auto --memory 1G large 2>err && test "$(sed -n "s/.*--batch \([0-9]*\): .*/\1/p" err)" -eq 96 &&
    $auto -q -o parts --batch auto --memory 65M --steps 4 large && $auto -q -o parts --resume large && same auto parts &&
    $auto -q -o parts-auto --batch auto --memory 65M --steps 4 large && $auto -q -o parts-auto --batch auto --memory 66M --resume large && same auto parts-auto &&
    $auto -q -o views --batch auto --memory 66M --views 3 large && test_grep "\"batch\": [0-9]*[0-9]" views/run/run.json &&
    test_expect_code 2 $auto -q -o no --batch auto large 2>err && test_grep "give that too" err &&
    test_expect_code 2 $auto -q -o no --batch some large 2>err && test_grep "not a whole number" err &&
    test_expect_code 2 $auto -q -o no --batch auto --memory 65M batches && test_no_file no
'

# ---- the card ----

test_expect_success 'README.md: front matter, data, settings, metrics before and after, commands' '
    $train -q -o card --hold-out .2 --best map --wise-ft .5 documents && head -1 card/README.md | grep -x -e --- && cp card/README.md card.md &&
    test_grep "^library_name: sentence-transformers" card.md && test_grep "^pipeline_tag: sentence-similarity" card.md && test_grep "^- ft" card.md &&
    ! grep base_model card.md && test_grep "| documents | 120 |" card.md && test_grep "| labels | 6 |" card.md && test_grep "| lr | 0.0002 |" card.md &&
    test_grep "| checksum | [0-9a-f]* |" card.md && test_grep "| loss | supcon:temperature=0.05.* |" card.md && test_grep "| wise-ft | 0.5 |" card.md &&
    test_grep "^ft-ingest .* |\$" card.md && test_grep "^ft-train .*--hold-out .2 .*documents" card.md &&
    scores card map | sed -n 1p >before && scores card map | sort -g | tail -1 >after &&
    test_grep "| map | $(awk "{printf \"%.4f\", \$1}" before) | $(awk "{printf \"%.4f\", \$1}" after) |" card.md &&
    ! grep -e "$TRASH" card.md && $train -q -o card --force --hold-out .2 --best map --wise-ft .5 documents && test_grep "force" card/README.md &&
    $train -q -o card-parts --steps 3 documents && cp card-parts/README.md three.md && test_grep "after batch | 3 of 10" three.md &&
    $train -q -o card-parts --resume documents && test_grep "after batch | 10 of 10" card-parts/README.md && ! grep "## Evaluation" card-parts/README.md
'

test_expect_success 'README.md: of a model in the hub'\''s cache, of pairs, of a run that had only to end' '
    mkdir -p models--some--base/snapshots && cp -r model models--some--base/snapshots/0123 &&
    $limit ft-train -q -m models--some--base/snapshots/0123 -o from-hub --batch 20 --epochs 1 pairs.ft &&
    test_grep "^base_model: some/base" from-hub/README.md && test_grep "batches of | pairs, 20 rows" from-hub/README.md &&
    $limit ft-train -q -m model -o ends --batch 20 --epochs 2 --lr 0 --eval pairs-test.ft --stop mrr:patience=1 --loss infonce --steps 4 pairs.ft &&
    $limit ft-train -q -o ends --resume pairs.ft && test_grep "after batch | 4 of 8" ends/README.md && test_no_file ends/run/checkpoints
'

test_expect_success 'README.md: another one is left alone, by --force too; ours goes with the run' '
    mkdir mine && echo "my notes" >mine/README.md && $train -o mine documents 2>err && test_grep "README.md is not ours" err &&
    $train -q -o mine --force documents && test "$(cat mine/README.md)" = "my notes" &&
    $train -q -o gone documents && test -s gone/README.md && $train -q -o gone --force --steps 0 && test_no_file gone/README.md
'

test_expect_success '--force does not remove what the new run begins with: the run itself, its adapter, its teacher' '
    $train -q -o yesterday --lora r=2 documents && find yesterday -type f | sort | xargs cksum >before && ln -s yesterday by-another-name &&
    for use in "-m yesterday" "-m by-another-name" "-m yesterday/adapter" "-m model --teacher yesterday --loss mse --random"; do
        test_expect_code 2 $limit ft-train -q $use -o yesterday --force documents 2>err && test_grep "is what the new run begins with, and --force removes yesterday" err || return 1
    done &&
    find yesterday -type f | sort | xargs cksum >after && test_cmp before after && $limit ft-train -q -m yesterday --steps 0 -o today && rm by-another-name
'

test_expect_success 'a model that cannot be written whole is not there in part, and does not stand in the way of the next attempt' '
    mkdir -p full && echo mine >full/notes &&
    (ulimit -f 16 && trap "" XFSZ && test_expect_code 4 $train -q -o full documents 2>err) && test_grep "full/model.safetensors: File too large" err &&
    test "$(find full | sort | tr "\n" " ")" = "full full/notes " && $train -q -o full documents && test -s full/model.safetensors
'

test_done
