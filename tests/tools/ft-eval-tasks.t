#!/bin/sh
test_description='ft-eval: metrics by name, other tasks, runs and judgements, BEIR folders, intervals, dimensions: against their peers'
. "$(dirname "$0")/../lib.sh"

golden=$TOP/tests/golden/eval
for file in rank sts classes triplets probe probe-two clusters; do
    ft-cat -q --from-text "$golden/$file.docs" >$file.docs
    test ! -f "$golden/$file.index" || ft-cat -q --from-text "$golden/$file.index" >$file.index
done
cp "$golden"/*.qrels "$golden"/*.run .

# close_to GOLDEN RESULT.json TOLERANCE: every figure of the golden file is under "metrics" and equals it within the tolerance.
close_to () {
    sed 's/.*"metrics": {//; s/}.*//; s/, /\n/g' "$2" | tr -d '" ' | tr : ' ' >figures &&
    awk -v tolerance="$3" '
        NR == FNR { got[$1] = $2; next }
        !($1 in got) { print "no figure " $1; bad = 1; next }
        { apart = got[$1] - $2; if (apart < 0) apart = -apart; n++ }
        !(apart <= tolerance) || got[$1] == "null" { print $1 " is " got[$1] ", expected " $2; bad = 1 }
        END { exit bad || !n }' figures "$golden/$1.golden"
}

names () {
    cut -d " " -f 1 "$golden/$1.golden" | paste -s -d , -
}

test_expect_success 'rankings: pytrec_eval, ranx, sentence-transformers, graded and with ties' '
    ft-eval -q --json --index rank.index --qrels rank.qrels --distance dot --metrics "$(names rank)" rank.docs >actual &&
    close_to rank actual 1e-6 &&
    ft-eval -q --json --index rank.index --qrels rank-ones.qrels --distance dot --metrics "$(names rank-ones)" rank.docs >actual &&
    close_to rank-ones actual 1e-8
'

test_expect_success 'what looks at the nearest only is what the whole ranking gives' '
    for how in "--index rank.index --qrels rank.qrels --distance dot rank.docs" clusters.docs "triplets.docs --distance euclidean"; do
        ft-eval -q --json -k 7 --metrics finetuner,acc@1,f1@3,map@7,ndcg@5,dcg@6,knn@4 $how >nearest &&
        ft-eval -q --json -k 7 --metrics finetuner,acc@1,f1@3,map@7,ndcg@5,dcg@6,knn@4,map $how >whole &&
        sed "s/, \"map\": [0-9.]*}/}/" whole >expect && ! cmp -s whole expect && test_cmp expect nearest || return 1
    done
'

test_expect_success "Finetuner's seven: DocArray" '
    ft-eval -q --json --index rank.index --qrels rank.qrels --distance dot -k 7 --metrics finetuner rank.docs >actual &&
    close_to finetuner actual 1e-9
'

test_expect_success 'sts, pair classes, triplets: sentence-transformers; the first two are known by their scores' '
    ft-eval -q --json sts.docs >actual && close_to sts actual 2e-6 && test_grep "^{\"task\": \"sts\", \"pairs\": 60, \"metrics\"" actual &&
    ft-eval -q --json classes.docs >actual && close_to classes actual 2e-6 && test_grep "^{\"task\": \"pair-classification\"" actual &&
    ft-eval -q --json --task triplets triplets.docs >actual && close_to triplets actual 1e-6 &&
    ft-eval -q --json --task sts classes.docs >actual && test_grep "\"spearman_cosine\"" actual
'

test_expect_success 'linear probe: scikit-learn; the same for any number of threads' '
    for name in probe probe-two; do
        ft-eval -q --json --task linear-probe --index $name.index $name.docs >actual && close_to $name actual 1e-9 &&
        ft-eval -q --json --task linear-probe --index $name.index $name.docs --threads 1 >one && cmp actual one || return 1
    done
'

test_expect_success 'clustering: what scikit-learn finds at best; another seed, another start' '
    ft-eval -q --json --task clustering clusters.docs >actual && close_to clusters-found actual 1e-9 &&
    ft-eval -q --json --task clustering clusters.docs --threads 1 >one && cmp actual one &&
    ft-eval -q --json --task clustering sts.docs 2>messages; test_grep "no document has a label" messages
'

test_expect_success 'tasks refuse what is not theirs' '
    test_expect_code 3 ft-eval --task sts rank.docs 2>messages && test_grep "no chunks, expected a pair with a score" messages &&
    test_expect_code 3 ft-eval --task triplets sts.docs 2>messages && test_grep "no triplet: expected an anchor, a positive and a negative" messages &&
    test_expect_code 3 ft-eval --task pair-classification sts.docs 2>messages && test_grep "score [0-9], expected 0 or 1" messages &&
    test_expect_code 2 ft-eval --task linear-probe probe.docs 2>messages && test_grep "add --index" messages &&
    test_expect_code 3 ft-eval --task linear-probe --index rank.index probe.docs 2>messages && test_grep "^ft-eval: rank.index: 0 labels" messages &&
    test_expect_code 2 ft-eval --task poetry rank.docs &&
    test_expect_code 2 ft-eval --per-query x sts.docs 2>messages && test_grep "^ft-eval: --per-query: the task sts does not take it" messages &&
    test_expect_code 2 ft-eval --index rank.index sts.docs 2>messages && test_grep "^ft-eval: --index: the task sts does not take it" messages &&
    test_expect_code 2 ft-eval --index rank.index --task triplets triplets.docs && test_expect_code 2 ft-eval --index rank.index --task clustering clusters.docs &&
    test_expect_code 2 ft-eval --qrels rank.qrels --task clustering clusters.docs && test_expect_code 2 ft-eval --run x --task clustering clusters.docs &&
    test_expect_code 2 ft-eval --metrics map sts.docs 2>messages && test_grep "the task sts prints all it has" messages &&
    test_expect_code 2 ft-eval --min pearson_dot=.1 --task triplets triplets.docs 2>messages &&
    test_expect_code 1 ft-eval -q --min pearson_dot=.99 sts.docs >/dev/null && ft-eval -q --min pearson_dot=.1 sts.docs >/dev/null &&
    test_expect_code 2 ft-eval -q --min pearson_dot=.1 classes.docs 2>messages && test_grep "the task pair-classification has no such metric" messages
'

test_expect_success '--metrics: names, groups, their k; what has a minimum is measured too' '
    ft-eval -q --index rank.index --qrels rank.qrels --metrics map,map@5,precision,map rank.docs --min f1@3=0 >actual &&
    cut -f 1 actual | paste -s -d " " - >names && echo "map map@5 precision@20 f1@3" >expect && test_cmp expect names &&
    ft-eval -q --index rank.index --qrels rank.qrels --metrics all rank.docs >actual && test "$(wc -l <actual)" -eq 21 &&
    test_expect_code 2 ft-eval --metrics map@0 rank.docs 2>messages && test_grep "known are acc@1 precision@20 .* dcg_at_k" messages &&
    test_expect_code 2 ft-eval --metrics map, rank.docs && test_expect_code 2 ft-eval --metrics precision@5x rank.docs
'

test_expect_success 'a TREC run judged: trec_eval, ties and all; the order of lines does not count' '
    for name in judge judge-before; do
        ft-eval -q --json --judge $name.run --qrels rank.qrels --metrics "$(names $name)" >actual && close_to $name actual 1e-6 || return 1
    done &&
    sort judge.run >sorted.run && ft-eval -q --json --judge judge.run --qrels rank.qrels >expect &&
    ft-eval -q --json --judge sorted.run --qrels rank.qrels >actual && test_cmp expect actual
'

test_expect_success 'two runs: what changed, by query, with intervals' '
    ft-eval -q --json --judge judge.run --qrels rank.qrels --before judge-before.run --bootstrap 200 --per-query each >both &&
    ft-eval -q --json --judge judge-before.run --qrels rank.qrels >old.json &&
    sed "s/.*\"metrics\": //; s/}.*/}/" old.json >expect && sed "s/.*\"before\": //; s/}.*/}/" both >actual && test_cmp expect actual &&
    test "$(wc -l <each)" -eq 24 && test_grep "^{\"id\": \"q0\", \"metrics\": {\"acc@1\": .*}, \"before\": {\"acc@1\": .*}}$" each &&
    test_grep "\"changes\": {\"acc@1\": \[-*[0-9.]*, [0-9.]*\]" both && test_grep "\"p\": {\"acc@1\": [0-9.]*," both &&
    ft-eval -q --json --judge judge.run --qrels rank.qrels --before old.json >actual && sed "s/, \"intervals\".*/}/" both >expect && test_cmp expect actual
'

test_expect_success 'queries that a run lacks count as 0, and that is said' '
    grep -v "^q3 " judge.run >short.run && echo "q99 Q0 d001 1 1 x" >>short.run &&
    ft-eval --judge short.run --qrels rank.qrels --metrics map --per-query each --force >actual 2>messages &&
    test_grep "short.run: lacks 1 of 24 judged queries, which count as 0" messages && test_grep "short.run: 1 queries are not judged" messages &&
    test_grep "{\"id\": \"q3\", \"metrics\": {\"map\": 0}}" each
'

judge_error () {
    printf "$1" >bad.run
    test_expect_code 3 ft-eval -q --judge bad.run --qrels rank.qrels 2>messages && test_grep "$2" messages
}

test_expect_success 'runs: every complaint names file and line' '
    judge_error "q0 Q0 d001 1 1\n" "bad.run:1: 5 columns, expected .qid Q0 docid rank score tag." &&
    judge_error "q0 Q0 d001 1 1 t\n\nq0 Q0 d002 2 much t\n" "bad.run:3: expected a number for the score, got .much." &&
    judge_error "q0 Q0 d001 1 nan t\n" "bad.run:1: expected a number" && judge_error "q0 Q0 d001 1 1e39 t\n" "bad.run:1: expected a number" &&
    judge_error "q0\tQ0\t\t1\t1\tt\n" "bad.run:1: an empty id" &&
    judge_error "q0 Q0 d001 1 1 t x y\n" "bad.run:1: 7 columns or more" &&
    judge_error "q0 Q0 d001 1 1 t\nq1 Q0 d001 1 1 t\nq0 Q0 d001 1 2 t\n" "bad.run:3: the same query and document as in line 1" &&
    judge_error "" "bad.run: no rankings" && judge_error "nobody Q0 d001 1 1 t\n" "no query of it is judged" &&
    test_expect_code 4 ft-eval --judge absent --qrels rank.qrels && test_expect_code 2 ft-eval --judge judge.run 2>messages &&
    test_grep "needs --qrels" messages && test_expect_code 2 ft-eval --judge judge.run --qrels rank.qrels rank.docs
'

test_expect_success '--run: what is written is judged as what was measured' '
    ft-eval -q --json --index rank.index --qrels rank.qrels --distance dot -k 90 --run out.run --metrics all rank.docs >expect &&
    test "$(wc -l <out.run)" -eq 2160 && test_grep "^q0 Q0 d[0-9]* 1 [0-9.]* ft$" out.run &&
    ft-eval -q --json --judge out.run --qrels rank.qrels -k 90 --metrics all >actual && test_cmp expect actual &&
    test_expect_code 2 ft-eval --index rank.index --qrels rank.qrels --run out.run rank.docs 2>messages && test_grep "add --force" messages &&
    ft-eval -q --index rank.index --qrels rank.qrels --run few.run -k 3 rank.docs >/dev/null && test "$(wc -l <few.run)" -eq 72 &&
    ft-eval -q --json --index rank.index --qrels rank.qrels --distance dot -k 1000000000 --run all.run --metrics map rank.docs >/dev/null && cmp out.run all.run
'

test_expect_success '--run: ids that a run cannot hold, or none' '
    sed "s/\"id\":\"q1\"/\"id\":\"q 1\"/" "$golden/rank.docs" | ft-cat -q --from-text >blank.docs &&
    test_expect_code 3 ft-eval --index rank.index --qrels rank.qrels --run no.run blank.docs 2>messages &&
    test_grep "id .q 1. has a blank, which a TREC run cannot hold" messages && test_no_file no.run &&
    sed "s/\"id\":\"c1\",//" "$golden/clusters.docs" | ft-cat -q --from-text >nameless.docs &&
    test_expect_code 3 ft-eval --run no.run nameless.docs 2>messages && test_grep "document 2 has no id" messages && test_no_file no.run &&
    test ! -e no.run.tmp-*
'

test_expect_success '--per-query: the mean of the lines is the result' '
    ft-eval -q --json --index rank.index --qrels rank.qrels --metrics map --per-query each --force rank.docs >result &&
    sed "s/.*\"map\": //; s/}}//" each | awk "{ sum += \$1 } END { printf \"map %.10g\n\", sum / NR }" >mean &&
    sed "s/.*{\"map\": /map /; s/}}//" result >expect && test_cmp expect mean
'

test_expect_success '--bootstrap: the same for a seed and any threads, another for another; text has the columns' '
    ft-eval -q --bootstrap 300 clusters.docs >actual && test "$(head -1 actual | tr "\t" "\n" | wc -l)" -eq 4 &&
    ft-eval -q --bootstrap 300 clusters.docs --threads 1 >one && test_cmp actual one &&
    ft-eval -q --bootstrap 300 clusters.docs --seed 1 >other && ! cmp -s actual other &&
    ft-eval -q --metrics map --json clusters.docs >plain &&
    ft-eval -q --metrics map --json --bootstrap 300 clusters.docs >with && sed "s/, \"intervals\".*/}/" with >cut && test_cmp plain cut &&
    for task in sts pair-classification triplets linear-probe clustering; do
        case $task in sts) d=sts;; pair*) d=classes;; triplets) d=triplets;; linear*) d="probe --index probe.index";; *) d=clusters;; esac
        ft-eval -q --json --task $task --bootstrap 50 ${d%% *}.docs $(expr "$d" : "[a-z]*\(.*\)") >actual && test_grep "\"intervals\": {\"[a-z_]*\": \[" actual || return 1
    done &&
    test_expect_code 2 ft-eval --bootstrap 1000000 clusters.docs
'

test_expect_success '--truncate-dim: a result each, the same as alone' '
    ft-eval -q --json --truncate-dim 8,4,2 clusters.docs >actual && test "$(wc -l <actual)" -eq 3 &&
    ft-eval -q --json clusters.docs >whole && sed -n "1s/, \"dim\": 8//p" actual >first && test_cmp whole first &&
    ft-eval -q --json --truncate-dim 2 clusters.docs >alone && sed -n "3s/, \"dim\": 2//p" actual >last && test_cmp alone last &&
    ! cmp -s whole alone && ft-eval -q --truncate-dim 8,4 clusters.docs >text && test_grep "^dim	4$" text &&
    ft-eval -q --json --task sts --truncate-dim 4 sts.docs >actual && ft-eval -q --json sts.docs >whole && ! cmp -s actual whole &&
    test_expect_code 2 ft-eval --truncate-dim 9 clusters.docs 2>messages && test_grep "embeddings have 8 dimensions" messages &&
    test_expect_code 2 ft-eval --truncate-dim 4, clusters.docs && test_expect_code 2 ft-eval --truncate-dim 0 clusters.docs &&
    test_expect_code 2 ft-eval --truncate-dim 4,2 --per-query x clusters.docs
'

model=$TOP/tests/golden/model/plain other=$TOP/tests/golden/model/cls
if test -d "$model"; then
    mkdir -p beir/qrels
    cat >beir/corpus.jsonl <<-'END'
	{"_id": "d1", "title": "Tea", "text": "how to brew tea", "metadata": {"a": [1]}}
	{"_id": "d2", "title": "", "text": "a lamp for the table"}

	{"_id": 3, "text": "see you later"}
	{"_id": "q2", "title": "Bye", "text": "goodbye then"}
	END
    printf '%s\n' '{"_id": "q1", "text": "make tea"}' '{"_id": "q2", "text": "goodbye"}' '{"_id": "q9", "text": "nobody judges this"}' >beir/queries.jsonl
    printf 'query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\t3\t1\nq2\tq2\t1\n' >beir/qrels/test.tsv
    printf '%s\n' '{"id":"d1","text":"Tea how to brew tea"}' '{"id":"d2","text":"a lamp for the table"}' '{"id":"3","text":"see you later"}' >docs
    printf '%s\n' '{"id":"q1","text":"make tea"}' '{"id":"q2","text":"goodbye"}' | ft-cat -q --from-text >queries.ft
    ft-cat -q --from-text docs >docs.ft
    test_expect_success 'a BEIR folder: title and text, judged queries only, a document of the query'"'"'s id left out' '
        ft-eval -q --json -m "$model" -k 3 beir >actual 2>messages &&
        ft-eval -q --json -m "$model" -k 3 --index docs.ft --qrels beir/qrels/test.tsv queries.ft >expect 2>/dev/null &&
        test_cmp expect actual && test_grep "^{\"queries\": 2, " actual &&
        cp beir/qrels/test.tsv dev.tsv && sed -i "s/d1/d2/" dev.tsv &&
        ft-eval -q --json -m "$model" -k 3 beir --qrels dev.tsv >other && ! cmp -s actual other &&
        ft-eval -q --json -m "$model" -k 3 beir --prompt "anchor=find: " >/dev/null
    '
    beir_error () {
        mkdir -p bad/qrels && cp beir/corpus.jsonl beir/queries.jsonl bad && cp beir/qrels/test.tsv bad/qrels &&
        printf "$1" >bad/corpus.jsonl
        test_expect_code 3 ft-eval -q -m "$model" bad 2>messages && test_grep "$2" messages
    }
    test_expect_success 'BEIR folders: every complaint names file and line' '
        beir_error "{\"_id\": \"d1\", \"text\": \"a\"}\n{\"_id\": \"d2\"\n" "bad/corpus.jsonl:2: column [0-9]*: " &&
        beir_error "[1]\n" "bad/corpus.jsonl:1: expected an object" && beir_error "{\"text\": \"a\"}\n" "bad/corpus.jsonl:1: no \"_id\"" &&
        beir_error "{\"_id\": \"a\"}\n" "bad/corpus.jsonl:1: no \"text\"" &&
        beir_error "{\"_id\": \"a\", \"text\": 3}\n" "bad/corpus.jsonl:1: \"text\" is no text" &&
        beir_error "{\"_id\": [], \"text\": \"\"}\n" "bad/corpus.jsonl:1: \"_id\" is no text" &&
        beir_error "{\"_id\": \"a\", \"text\": \"\\\\ud800\"}\n" "bad/corpus.jsonl:1: column" &&
        beir_error "{\"_id\": \"a\", \"text\": \"\377\"}\n" "bad/corpus.jsonl:1: " &&
        beir_error "{\"_id\": \"d1\", \"text\": \"a\"}\n{\"_id\": \"d1\", \"text\": \"b\"}\n" "two documents have this id" &&
        beir_error "" "is empty" && rm bad/queries.jsonl && test_expect_code 4 ft-eval -q -m "$model" bad &&
        test_expect_code 3 ft-eval beir 2>messages && test_grep "no embedding: add -m MODEL" messages &&
        test_expect_code 2 ft-eval -m "$model" --index docs.ft beir && test_expect_code 2 ft-eval -m "$model" --task sts beir
    '
    printf '%s\n' hello,hi,.9 'good morning,see you,.2' 'a lamp,the table,.6' 'goodbye,see you later,.8' 'a lamp,hello,.1' >scored.csv
    ft-ingest -q --scored scored.csv >scored.ft 2>/dev/null
    test_expect_success 'tasks with a model, two models, prompts, and fewer dimensions' '
        ft-embed -q -m "$model" scored.ft >embedded.ft && ft-eval -q --json embedded.ft >expect && ft-eval -q --json -m "$model" scored.ft >actual &&
        test_cmp expect actual && ft-eval -q --json -m "$other" scored.ft >old.json &&
        ft-eval -q --json -m "$model" --before old.json scored.ft >expect && ft-eval -q --json -m "$model" --before "$other" scored.ft >actual &&
        test_cmp expect actual && ft-eval -q -m "$model" --before "$other" --bootstrap 100 scored.ft >actual &&
        test_grep "^metric  *before  *after  *change  *low  *high  *p$" actual &&
        ft-eval -q --json -m "$model" --prompt "anchor=say: " scored.ft >actual && ! cmp -s expect actual &&
        ft-eval -q --json -m "$model" --truncate-dim 8 scored.ft >expect && ft-eval -q --json -m "$model" --truncate-dim 8,4 scored.ft >both &&
        sed -n "1s/, \"dim\": 8//p" both >actual && test_cmp expect actual
    '
    test_expect_success 'a model whose weights are not numbers: no task goes on with what it makes' '
        mkdir blown && cp "$model"/* blown && chmod -R u+w blown && weights=blown/model-00002-of-00002.safetensors &&
        printf "\300\177" | dd of=$weights bs=1 seek=$(($(wc -c <$weights) - 2)) conv=notrunc 2>/dev/null &&
        printf "%s\n" "{\"id\":\"a\",\"text\":\"hello\",\"tags\":{\"finetuner_label\":\"x\"}}" "{\"id\":\"b\",\"text\":\"tea\",\"tags\":{\"finetuner_label\":\"y\"}}" |
            ft-cat -q --from-text >two.ft && test_expect_code 3 ft-eval -q -m blown --task clustering two.ft 2>messages &&
        test_grep "item 1: embedding has a number that is not finite" messages &&
        test_expect_code 3 timeout 60 ft-eval -q -m blown scored.ft 2>messages && test_grep "not finite" messages
    '
else
    test_skip 'BEIR folders, tasks with a model' 'no tests/golden/model'
fi

test_expect_success 'no answer from streams cut at any byte: tasks' '
    head -2 "$golden/sts.docs" | ft-cat -q --from-text >small && test_cut_every_byte small "ft-eval -q --task sts" &&
    head -2 "$golden/triplets.docs" | ft-cat -q --from-text >small && test_cut_every_byte small "ft-eval -q --task triplets"
'

test_done
