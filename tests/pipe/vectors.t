#!/bin/sh
test_description='models that read vectors: embedded, trained fused and piped, evaluated and searched; what is no vector is refused'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

# Eight numbers a row, around one of six places; dropout and batch norm in the model.
vectors () {
    awk -v rows="$1" -v seed="$2" -v label="$3" 'BEGIN {
        srand(seed)
        for (i = 0; i < rows; i++) {
            line = ""
            for (k = 0; k < 8; k++)
                line = line sprintf("%.3f,", ((i % 6) * (k + 1) * 7 % 11) / 5 + rand())
            print label ? line "place" i % 6 : substr(line, 1, length(line) - 1)
        }
    }'
}
vectors 120 1 t >labelled.csv && vectors 30 2 t >held.csv && vectors 5 3 "" >plain.csv
mlp=mlp:in=8,hidden=16+12,out=6,activation=gelu,dropout=.1,norm=batch,l2=1
ft-ingest -q --vectors --columns label=9 labelled.csv >labelled && ft-ingest -q --vectors --columns label=9 held.csv >held &&
    ft-ingest -q --vectors plain.csv >plain && ft-tailor -q --new $mlp -o numbers &&
    ft-sample -q --batch 40 --epochs 2 --seed 5 labelled >batches 2>/dev/null || { echo "Bail out! no vectors"; exit 1; }

test_expect_success 'a vector gets an embedding of its own, whoever stands beside it' '
    ft-embed -q -m numbers plain | ft-export -q --to csv -o all.csv && test "$(wc -l <all.csv)" -ge 5 &&
    head -n 1 plain.csv >first.csv && ft-ingest -q --vectors first.csv | ft-embed -q -m numbers | ft-cat -q --full >one &&
    ft-ingest -q --vectors plain.csv | ft-embed -q -m numbers --threads 1 | ft-cat -q --full >five &&
    grep -o "\"embedding\":.*" one | head -n 1 >a && grep -o "\"embedding\":.*" five | head -n 1 >b && test -s a && test_cmp a b &&
    test "$(grep -o "\"embedding\":.*" five | sort -u | wc -l)" -eq 5
'

test_expect_success 'piped equals fused, given batches and given documents, any threads, little memory' '
    train () {
        $limit ft-train -q -m numbers --lr 1e-2 --batch-norm train "$@"
    } &&
    train -o fused batches && train -o documents --batch 40 --epochs 2 --seed 5 labelled && train -o single --threads 1 batches &&
    train -o little --memory "$(least train batches)" batches && train -o piped --seed 5 --steps 0 && piped piped batches &&
    same fused documents single little piped && differ fused numbers
'

test_expect_success 'a batch carries its vectors, and no tokens' '
    train -o carried --seed 5 --steps 0 && { ft-embed -q -m carried batches; } | tee embedded | ft-loss -q -m carried |
        ft-update -q -m carried >steps && ft-cat -q --full embedded >text &&
    test "$(grep -c "\"vectors\":" text)" -eq "$(applied carried)" && test "$(grep -c "\"tokens\"\|\"pixels\"" text)" -eq 0 && same fused carried
'

test_expect_success 'training helps, and the held out are found' '
    ft-eval -q -m numbers held --json >before && ft-eval -q -m fused held --json >after && cat before after &&
    ft-search -q -m fused --index labelled -k 3 --json <held >found && test "$(wc -l <found)" -eq 30 &&
    $limit ft-train -q -m numbers --lr 1e-2 -o watched --eval held --best map batches && grep -q "\"evaluation\"" watched/run/log.jsonl
'

test_expect_success 'what is no vector, or none for this model, is named' '
    printf "hello\n" | ft-ingest -q --unlabeled >texts &&
    test_expect_code 3 ft-embed -q -m numbers texts 2>err >out && cat err && test_grep "a text, and the model reads vectors" err &&
    test_expect_code 3 ft-embed -q -m model plain 2>err >out && cat err && test_grep "document plain.csv:1: a vector, and the model reads text" err &&
    cut -d, -f1-7 plain.csv >short.csv && ft-ingest -q --vectors short.csv >short &&
    test_expect_code 3 ft-embed -q -m numbers short 2>err >out && cat err && test_grep "7 numbers, expected one dimension and 8" err &&
    test_expect_code 3 ft-search -q -m numbers --index short <plain 2>err >out && cat err && test_grep "7 numbers, expected one dimension and 8" err &&
    test_expect_code 2 ft-search -q -m numbers --index plain hello 2>err >out && cat err && test_grep "hello: the model reads vectors" err &&
    test_expect_code 2 ft-train -q -m numbers --augment flip -o none labelled 2>err && test_grep "augment varies images, and the model reads vectors" err &&
    test_expect_code 2 ft-train -q -m numbers --prompt x -o none labelled 2>err && test_grep "prompt is for texts" err && test_no_file none
'

test_expect_success '--max-errors: a document with nothing to read goes on without an embedding' '
    { ft-cat -q --full plain | sed -n 2p; printf "{\"id\": \"x\", \"text\": \"hello\"}\n"; } | ft-cat -q --from-text >mixed &&
    ft-embed -m numbers --max-errors 1 mixed 2>err | ft-cat -q --full >out && cat err && test_grep "bad=1" err &&
    test "$(grep -c "\"embedding\":" out)" -eq 1 && grep -q hello out &&
    test_expect_code 3 ft-embed -q -m numbers mixed 2>err >out && test_grep "document x: a text, and the model reads vectors" err
'

test_expect_success 'streams with vectors cut anywhere' '
    head -n 4 labelled.csv >few.csv && ft-ingest -q --vectors --columns label=9 few.csv >few &&
    ft-sample -q --random --batch 4 --epochs 1 few >tiny 2>/dev/null && $limit ft-train -q -m numbers --loss triplet -o cut-run --seed 0 --steps 0 &&
    { ft-embed -q -m cut-run tiny; } | tee tiny.embedded | ft-loss -q -m cut-run | tee tiny.losses | ft-update -q -m cut-run >steps &&
    test_cut_every_byte few "ft-embed -q -m numbers --threads 1" &&
    rm -rf cut-run && $limit ft-train -q -m numbers --loss triplet -o cut-run --seed 0 --steps 0 &&
    size=$(wc -c <tiny.losses) at=0 &&
    while test $at -lt $size; do
        head -c $at tiny.losses >cut && { ft-update -q -m cut-run --threads 1 cut >out 2>err; test_rejects $? "when cut at byte $at"; } &&
            test_no_file cut-run/model.safetensors || { cat err; return 1; }
        at=$((at + 7))
    done &&
    ft-update -q -m cut-run tiny.losses >out && test -s cut-run/model.safetensors
'

test_expect_success 'a vector of another size is a bad document, named, and can be passed by' '
    { head -n 2 plain.csv | cut -d, -f1-7; } >short.csv && ft-ingest -q --vectors short.csv >short &&
    test_expect_code 3 ft-embed -q -m numbers short 2>err >out && cat err && test_grep "document short.csv:1: a tensor of 1 dimension and 7 numbers" err &&
    ft-embed -m numbers --max-errors 2 short 2>err | ft-cat -q --full >out && test_grep "bad=2" err && ! grep -q "\"embedding\":" out
'

test_done
