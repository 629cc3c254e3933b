#!/bin/sh
test_description='ft-ingest: rows of text files to documents'
. "$(dirname "$0")/../lib.sh"

SAMPLES=$TOP/tests/data/samples

# Documents of a file as text, without header, end and blanks: docs [OPTION...] FILE
docs () {
    ft-ingest "$@" >docs.ft 2>docs.err && ft-cat -q docs.ft >docs.txt && sed -e 1d -e '$d' docs.txt
}

# How it must fail: refuses STATUS PATTERN ARGUMENT...; nothing whole goes downstream.
refuses () {
    refuses_code=$1 refuses_pattern=$2
    shift 2
    test_expect_code "$refuses_code" ft-ingest "$@" >refused.ft 2>refused.err &&
    test_grep "$refuses_pattern" refused.err &&
    test "$(wc -l <refused.err)" -eq 1 &&
    test_expect_code 3 ft-cat -q --check refused.ft
}

# count WANT COMMAND...: lines of its output
count () {
    count_want=$1
    shift
    "$@" >count.txt && count_got=$(($(wc -l <count.txt))) &&
    { test "$count_got" -eq "$count_want" || { echo "$count_got lines, expected $count_want"; false; }; }
}

test_expect_success 'labelled, with blanks after the commas' '
    cp "$SAMPLES"/labelled.csv . &&
    docs labelled.csv >got &&
    cat >want <<-\EOF &&
	{"id":"labelled.csv:1","text":"Hello!","tags":{"finetuner_label":"greeting-english"}}
	{"id":"labelled.csv:2","text":"Hi there.","tags":{"finetuner_label":"greeting-english"}}
	{"id":"labelled.csv:3","text":"Good morning.","tags":{"finetuner_label":"greeting-english"}}
	{"id":"labelled.csv:4","text":"I'"'"'m (…) sorry!","tags":{"finetuner_label":"apologize-english"}}
	{"id":"labelled.csv:5","text":"I'"'"'m sorry to have…","tags":{"finetuner_label":"apologize-english"}}
	{"id":"labelled.csv:6","text":"Please ... forgive me!","tags":{"finetuner_label":"apologize-english"}}
	EOF
    test_cmp want got &&
    test_grep "labelled.csv: 2 columns, no header: labelled rows (2 values in column 2 of the first 6 rows; --pairs if not)" docs.err &&
    test_grep "^ft-ingest: in=6 out=6 bad=0 secs=" docs.err
'

test_expect_success 'pairs' '
    cp "$SAMPLES"/pairs.csv . &&
    docs pairs.csv | head -2 >got &&
    cat >want <<-\EOF &&
	{"id":"pairs.csv:1","chunks":[{"text":"Rice dishes","tags":{"role":"anchor"}},{"text":"Chicken curry","tags":{"role":"positive"}}]}
	{"id":"pairs.csv:2","chunks":[{"text":"Rice dishes","tags":{"role":"anchor"}},{"text":"Ristto","tags":{"role":"positive"}}]}
	EOF
    test_cmp want got && test_grep "no header: pairs" docs.err
'

test_expect_success 'triplets with scores: a column is a margin, a list in JSON lines a score each; any size is right' '
    printf "anchor,positive,negative,score\na,b,c,12.5\n" >margins.csv && docs margins.csv >got &&
    printf "%s\n" "{\"query\":\"a\",\"pos\":\"b\",\"neg\":[\"c\",\"d\"],\"score\":[7,2,1.5]}" >scores.jsonl && docs scores.jsonl >>got &&
    cat >want <<-\EOF &&
	{"id":"margins.csv:2","tags":{"finetuner_score":12.5},"chunks":[{"text":"a","tags":{"role":"anchor"}},{"text":"b","tags":{"role":"positive"}},{"text":"c","tags":{"role":"negative"}}]}
	{"id":"scores.jsonl:1","chunks":[{"text":"a","tags":{"role":"anchor"}},{"text":"b","tags":{"role":"positive","finetuner_score":7.0}},{"text":"c","tags":{"role":"negative","finetuner_score":2.0}},{"text":"d","tags":{"role":"negative","finetuner_score":1.5}}]}
	EOF
    test_cmp want got && ! grep -q outside docs.err &&
    ft-ingest -q margins.csv | ft-sample -q --epochs 1 | ft-cat -q --full | grep -o "\"scores\":{[^}]*}" >batch &&
    test_grep "\"shape\":\[3\]" batch && grep -o "\"data\":\"[^\"]*" batch | cut -d\" -f4 | base64 -d | od -An -tf4 >numbers &&
    test_grep "0 *12.5 *0" numbers &&
    printf "anchor,positive,neg_1,neg_2,score\na,b,c,d,1\n" >two.csv && test_expect_code 2 ft-ingest -q two.csv >out 2>err && test_grep "a list of scores" err
'

test_expect_success 'scored pairs, with commas inside quotes behind a blank' '
    cp "$SAMPLES"/scored.csv . &&
    docs scored.csv | tail -1 >got &&
    cat >want <<-\EOF &&
	{"id":"scored.csv:4","tags":{"finetuner_score":0.1},"chunks":[{"text":"If you'"'"'re headed out, can you take out the garbage?","tags":{"role":"anchor"}},{"text":"I'"'"'m going to have to take the trash out myself, aren'"'"'t I?","tags":{"role":"positive"}}]}
	EOF
    test_cmp want got
'

test_expect_success 'triplets by the names of the header' '
    cp "$SAMPLES"/covidqa.csv . &&
    docs covidqa.csv | tail -1 >got &&
    cat >want <<-\EOF &&
	{"id":"covidqa.csv:3","chunks":[{"text":"Who, then?","tags":{"role":"anchor"}},{"text":"You","tags":{"role":"positive"}},{"text":"Me, of course","tags":{"role":"negative"}}]}
	EOF
    test_cmp want got && test_grep "header question,answer,wrong_answer: triplets" docs.err
'

test_expect_success 'doubled quotes' '
    docs --labeled "$SAMPLES"/doubled.csv >got &&
    test_grep "What is the rule for a ..follow on.. in Test Cricket?\",\"tags\":{\"finetuner_label\":\"62120\"}" got
'

test_expect_success 'unlabelled: a column, a row, lines' '
    count 4 docs "$SAMPLES"/column.csv &&
    count 4 docs --unlabeled "$SAMPLES"/row.csv &&
    test_grep "row.csv:1:4\",\"text\":\"orange2\"" count.txt &&
    refuses 2 "4 columns" "$SAMPLES"/row.csv &&
    printf "one, two\n\n\"three\n" >lines.txt &&
    docs lines.txt >got &&
    printf "%s\n" "{\"id\":\"lines.txt:1\",\"text\":\"one, two\"}" "{\"id\":\"lines.txt:3\",\"text\":\"\\\"three\"}" >want &&
    test_cmp want got &&
    refuses 2 "lines are unlabelled" --pairs lines.txt
'

test_expect_success 'BEIR: a title goes before its text, of a folder the corpus' '
    mkdir -p beir && printf "%s\n" "{\"_id\": \"d1\", \"title\": \"Tea\", \"text\": \"how to brew\"}" "{\"_id\": \"d2\", \"title\": \"\", \"text\": \"a lamp\"}" \
        "{\"_id\": \"d3\", \"text\": \"no title\"}" >beir/corpus.jsonl &&
    docs --format beir beir | sed "s/,\"tags\".*/}/" >got &&
    printf "%s\n" "{\"id\":\"d1\",\"text\":\"Tea how to brew\"}" "{\"id\":\"d2\",\"text\":\"a lamp\"}" "{\"id\":\"d3\",\"text\":\"no title\"}" >want &&
    test_cmp want got && docs --format beir beir/corpus.jsonl | sed "s/,\"tags\".*/}/" >got && test_cmp want got &&
    docs --format jsonl beir/corpus.jsonl | head -1 >got && test_grep "\"text\":\"how to brew\"" got &&
    refuses 4 "queries.jsonl" --format beir beir/queries.jsonl && mkdir empty && refuses 4 "empty/corpus.jsonl" --format beir empty
'

test_expect_success 'the same bytes from CRLF, a mark, no final newline, tabs, a pipe' '
    printf "text,label\nx y,1\n\"a, b\",2\n" >t.csv && docs t.csv >want &&
    printf "text,label\r\nx y,1\r\n\"a, b\",2\r\n" >t.csv && docs t.csv >got && test_cmp want got &&
    printf "\357\273\277text,label\nx y,1\n\"a, b\",2" >t.csv && docs t.csv >got && test_cmp want got &&
    printf "text\tlabel\nx y\t1\na, b\t2\n" >t.csv && docs t.csv >got && test_cmp want got &&
    docs --format tsv t.csv >got && test_cmp want got &&
    cp t.csv t.tsv && docs t.tsv | sed s/t.tsv/t.csv/ >got && test_cmp want got &&
    printf "text;label\nx y;1\na, b;2\n" >t.csv && docs t.csv >got && test_cmp want got &&
    docs --delimiter ";" t.csv >got && test_cmp want got &&
    cat t.csv | docs - | sed s/\"-:/\"t.csv:/ >got && test_cmp want got &&
    test_grep "standard input: delimiter .;., header text,label: labelled rows" docs.err &&
    printf "text,label\nx y,1\n\"a, b\",2\n" | iconv -t utf-16 >t.csv && docs --encoding utf-16 t.csv >got && test_cmp want got
'

test_expect_success 'newlines in quotes; a line number is where the record begins' '
    printf "\"a\nb\",x\n\nc,y\n\"d\n\",z\n" >t.csv && docs --labeled t.csv >got &&
    cat >want <<-\EOF &&
	{"id":"t.csv:1","text":"a\nb","tags":{"finetuner_label":"x"}}
	{"id":"t.csv:4","text":"c","tags":{"finetuner_label":"y"}}
	{"id":"t.csv:5","text":"d\n","tags":{"finetuner_label":"z"}}
	EOF
    test_cmp want got
'

test_expect_success 'a bad record: file, line, what and what was expected' '
    printf "a,b\nc,d\ne,f,g\n" >t.csv && refuses 3 "^ft-ingest: t.csv:3: 3 fields, expected 2 as in the first row$" -q t.csv &&
    printf "a,b\nc,\"d\ne,f\n" >t.csv && refuses 3 "t.csv:2: a quote is opened here and never closed" -q t.csv &&
    printf "a,b\n\"c\"d,e\n" >t.csv && refuses 3 "t.csv:2: text after a closing quote" -q t.csv &&
    printf "a,b\nc,\351\n" >t.csv && refuses 3 "t.csv:2: byte 3 of the line (0xe9) is not UTF-8" -q t.csv &&
    docs --encoding latin1 t.csv >got && test_grep "\"é\"" got &&
    printf "a,b\nc,\0d\n" >t.csv && refuses 3 "t.csv:2: byte 3 of the line is null" -q t.csv &&
    printf "a,b,1\nc,d,much\n" >t.csv && refuses 3 "t.csv:2: column 3 is .much., expected a number" -q t.csv &&
    printf "a,b\n,d\n" >t.csv && refuses 3 "t.csv:2: column 1 is empty" -q t.csv &&
    printf "{\"text\":\"a\"}\n{\"text\":\"b\n" >t.jsonl && refuses 3 "t.jsonl:2: column" -q t.jsonl &&
    printf "\n" >t.csv && refuses 3 "t.csv: no rows" -q t.csv &&
    refuses 4 "nowhere.csv: No such file" -q nowhere.csv &&
    refuses 4 "Is a directory" -q .
'

test_expect_success 'the failure reaches the last tool, which exits 3' '
    printf "a,b\nc,d\ne\n" >t.csv &&
    { stage ingest ft-ingest -q t.csv | stage cat ft-cat -q >out; } &&
    stage_code ingest 3 && stage_code cat 3 && test_grep "t.csv:3: 1 field" cat.err
'

test_expect_success '--max-errors: that many are reported and left out, one more is exit 1' '
    printf "text,label\na,1\nb\nc,1,2\nd,2\n" >t.csv &&
    docs --max-errors 2 t.csv >got && count 2 cat got &&
    test_grep "t.csv:3: 1 field, expected 2 as in the header" docs.err &&
    test_grep "t.csv:4: 3 fields, expected 2 as in the header" docs.err &&
    test_grep "in=2 out=2 bad=2" docs.err &&
    test_expect_code 1 ft-ingest --max-errors 1 t.csv >t.ft 2>err &&
    test_grep "t.csv:4: 3 fields.*: more than 1 bad record" err
'

test_expect_success 'usage' '
    printf "a,b\n" >t.csv &&
    refuses 2 "a row is one thing" --pairs --labeled t.csv &&
    refuses 2 "one of auto csv tsv lines jsonl docarray images beir npy" --format xml t.csv &&
    refuses 2 "role .colour. is not known" --columns colour=1 t.csv &&
    refuses 2 "no column .body." --columns text=body t.csv &&
    refuses 2 "no condition" --where x t.csv &&
    refuses 2 "no column .x." --where x=1 t.csv &&
    refuses 2 "no range" --rate 0.5 t.csv &&
    refuses 2 "no range" --rate .9:.1 t.csv &&
    refuses 2 "no range" --rate 0:nan t.csv &&
    refuses 2 "one ASCII character" --delimiter :: t.csv &&
    refuses 2 "expected 1 or more" --limit 0 t.csv &&
    refuses 2 "can be read once" - t.csv - &&
    refuses 2 "not known to iconv" --encoding klingon t.csv &&
    refuses 2 "unknown option" --frobnicate t.csv
'

test_expect_success '--columns, --where, --header' '
    printf "package,synopsis,section\np,a,x\nq,b,y\nr,c,x\n" >t.csv &&
    docs --columns text=synopsis,label=section t.csv | head -1 >got &&
    echo "{\"id\":\"t.csv:2\",\"text\":\"a\",\"tags\":{\"finetuner_label\":\"x\",\"package\":\"p\"}}" >want && test_cmp want got &&
    count 2 docs --columns text=synopsis,label=section --where section=x t.csv &&
    count 1 docs --columns text=synopsis,label=section --where section=x --where package!=p t.csv &&
    docs --header --columns 2,3 --labeled t.csv | head -1 >got && test_cmp want got
'

test_expect_success '--limit and --rate; the shares of a rate are complements' '
    seq 1 1000 | sed "s/.*/text & of many,label/" >t.csv &&
    count 7 docs --labeled --limit 7 t.csv &&
    docs --labeled t.csv >whole && docs --labeled --rate 0:.9 t.csv >most && docs --labeled --rate .9:1 t.csv >rest &&
    sort most rest >both && sort whole >want && test_cmp want both &&
    test "$(wc -l <rest)" -gt 60 && test "$(wc -l <rest)" -lt 140 &&
    docs --labeled --rate .9:1 --seed 5 t.csv >again && test_cmp rest again &&
    count 7 docs --labeled --rate 0:.9 --limit 7 t.csv
'

test_expect_success 'several files: one kind of row, ids of their own' '
    printf "text,label\na,1\n" >one.csv && printf "{\"text\":\"b\",\"label\":\"2\"}\n" >two.jsonl && printf "c,3\nd,4\n" >three.csv &&
    docs one.csv two.jsonl three.csv >got &&
    count 4 cat got && test_grep "two.jsonl:1" got && test_grep "three.csv:2\",\"text\":\"d\",\"tags\":{\"finetuner_label\":\"4\"}" got &&
    printf "a,b,c\n" >four.csv && refuses 2 "four.csv: --labeled: 3 columns" -q one.csv four.csv &&
    printf "anchor,positive\na,b\n" >five.csv && refuses 2 "five.csv: pairs, expected labelled rows as in the files before" -q one.csv five.csv
'

test_expect_success 'JSON lines: tags, chunks, several positives, sessions' '
    cat >t.jsonl <<-\EOF &&
	{"id": "i", "query": "q", "pos": ["p1", "p2"], "neg": ["n"], "lang": {"code": "en", "n": [1, 2.5, true, null]}}
	EOF
    docs t.jsonl | tail -1 >got &&
    cat >want <<-\EOF &&
	{"id":"i:2","tags":{"lang":{"code":"en","n":[1,2.5,true,null]}},"chunks":[{"text":"q","tags":{"role":"anchor"}},{"text":"p2","tags":{"role":"positive"}},{"text":"n","tags":{"role":"negative"}}]}
	EOF
    test_cmp want got &&
    echo "{\"text\":\"a\",\"uri\":\"a.txt\",\"weight\":2,\"modality\":\"text\",\"tags\":{\"finetuner_label\":1}}" | docs >got &&
    echo "{\"id\":\"-:1\",\"text\":\"a\",\"uri\":\"a.txt\",\"weight\":2,\"modality\":\"text\",\"tags\":{\"finetuner_label\":\"1\"}}" >want &&
    test_cmp want got &&
    echo "{\"text\":\"a\",\"embedding\":[1,2.5],\"tags\":{}}" | docs >got && test_grep "\"embedding\":{\"tensor\":\"<f4 .2.\"}" got
'

test_expect_success '--vectors: rows of numbers become tensors' '
    printf "id,x1,x2,label\na,1,2.5,cat\nb,-3,1e-3,dog\n" >v.csv && docs --vectors v.csv >got &&
    cat >want <<-\EOF &&
	{"id":"a","tensor":{"tensor":"<f4 [2]"},"tags":{"finetuner_label":"cat"}}
	{"id":"b","tensor":{"tensor":"<f4 [2]"},"tags":{"finetuner_label":"dog"}}
	EOF
    test_cmp want got && test_grep "v.csv: header id,x1,x2,label: labelled vectors of 2 numbers$" docs.err &&
    ft-cat -q --full docs.ft | grep -o "\"data\":\"[^\"]*" | cut -d\" -f4 | base64 -d | od -An -tf4 | tr -s " \n" "  " >numbers &&
    test "$(cat numbers)" = " 1 2.5 -3 0.001 " &&
    printf "{\"tensor\":[1,2]}\n" >w.jsonl && docs --vectors v.csv w.jsonl >got && test "$(wc -l <got)" -eq 3 &&
    printf "1,2,3\n" >u.csv && refuses 3 "^ft-ingest: u.csv:1: 3 numbers, expected 2 as in the rows before$" -q --vectors v.csv u.csv &&
    printf "1,2\n3,cat\n" >u.csv && refuses 3 "u.csv:2: column 2 is .cat., expected a number" -q --vectors u.csv &&
    docs --vectors --rate 0:.5 v.csv >low && docs --vectors --rate .5:1 v.csv >high && test "$(cat low high | wc -l)" -eq 2 &&
    refuses 2 "--vectors and --labeled\|--labeled and --vectors" -q --vectors --labeled v.csv &&
    docs --vectors --where label=dog v.csv >got && test "$(wc -l <got)" -eq 1
'

# npy SHAPE TYPE: the header of a .npy file of version 1, 118 bytes behind its first ten.
npy () {
    printf "\\223NUMPY\\1\\0\\166\\0%-117s\\n" "{'descr': '$2', 'fortran_order': False, 'shape': $1, }"
}

test_expect_success 'npy: the rows of an array are vectors' '
    { npy "(2, 2)" "<f4" && printf "\\0\\0\\200\\077\\0\\0\\040\\300\\0\\0\\0\\0\\0\\0\\0\\076"; } >a.npy && docs a.npy >got &&
    printf "%s\n" "{\"id\":\"a.npy:1\",\"tensor\":{\"tensor\":\"<f4 [2]\"}}" "{\"id\":\"a.npy:2\",\"tensor\":{\"tensor\":\"<f4 [2]\"}}" >want && test_cmp want got &&
    test_grep "a.npy: 2 vectors of 2 numbers$" docs.err &&
    ft-cat -q --full docs.ft | grep -o "\"data\":\"[^\"]*" | cut -d\" -f4 | base64 -d | od -An -tf4 | tr -s " \n" "  " >numbers && test "$(cat numbers)" = " 1 -2.5 0 0.125 " &&
    { npy "(1, 2)" "<f8" && printf "\\0\\0\\0\\0\\0\\0\\360\\077\\0\\0\\0\\0\\0\\0\\4\\300"; } >b.npy && docs --vectors b.npy >got &&
    ft-cat -q --full docs.ft | grep -o "\"data\":\"[^\"]*" | cut -d\" -f4 | base64 -d | od -An -tf4 | tr -s " \n" "  " >numbers && test "$(cat numbers)" = " 1 -2.5 " &&
    docs --format npy - <a.npy >got && test_grep "\"id\":\"-:2\"" got && docs --limit 1 a.npy >got && test "$(wc -l <got)" -eq 1 &&
    { npy "(2, 2)" "<f4" && printf "\\0\\0\\200\\077\\0\\0\\300\\177\\0\\0\\0\\0\\0\\0\\0\\076"; } >c.npy && refuses 3 "^ft-ingest: c.npy:1: number 2 is nan" -q c.npy &&
    docs --max-errors 1 c.npy >got && test_grep "c.npy:2" got && { cat a.npy; echo; } >d.npy && refuses 3 "d.npy: goes on behind its 2 rows" -q d.npy &&
    { npy "(2,)" "<f4"; } >e.npy && refuses 3 "e.npy: no array of two dimensions" -q e.npy && { npy "(2, 2)" ">f4"; } >e.npy && refuses 3 "e.npy: numbers of another type" -q e.npy &&
    { npy "(2, 2)" "<f4" | sed "s/False/True /"; } >e.npy && refuses 3 "in Fortran" -q e.npy && { npy "(2, 99999999)" "<f4"; } >e.npy && refuses 3 "rows of 99999999" -q e.npy &&
    refuses 2 "a .npy file holds vectors" -q --pairs a.npy && refuses 2 "no columns" -q --columns 1 a.npy
'

test_expect_success 'an array cut at any byte is refused' '
    size=$(($(wc -c <a.npy))) at=0 &&
    while test $at -lt $size; do
        head -c $at a.npy >t.npy
        test_expect_code 3 ft-ingest -q t.npy >t.ft 2>err && test_grep "t.npy: " err || return 1
        at=$((at + 1))
    done
'

test_expect_success 'scores outside -1..1 are questioned, guesses too, also with -q' '
    printf "a,b,4.5\nc,d,5\n" >t.csv && docs -q t.csv >got && test_grep "2 scores outside -1..1.*t.csv:1: 4.5" docs.err &&
    printf "a,x\na,x\na,y\na,x\n" >t.csv && docs -q t.csv >got && test_grep "labels? use --labeled" docs.err
'

test_expect_success '-o appears when complete, is not replaced without --force' '
    printf "a,b\n" >t.csv && printf "a,b\nc\n" >bad.csv &&
    test_expect_code 3 ft-ingest -q -o new.ft bad.csv && test_no_file new.ft &&
    ft-ingest -q -o new.ft t.csv && ft-cat -q --check new.ft &&
    test_expect_code 2 ft-ingest -q -o new.ft t.csv && ft-ingest -q --force -o new.ft t.csv
'

test_expect_success 'a full disk is exit 4' '
    test_expect_code 4 ft-ingest -q "$SAMPLES"/labelled.csv >/dev/full
'

test_expect_success 'a reader that leaves early ends it quietly, also while it waits' '
    seq 1 200000 >long.txt &&
    { stage ingest ft-ingest -q long.txt | head -c 10 >out; } && stage_code ingest 141 &&
    test "$(wc -c <ingest.err)" -eq 0 &&
    { { cat long.txt; sleep 20; } | stage ingest ft-ingest -q --format lines | head -c 10 >out & } && sleep 2 &&
    test -f ingest.rc && stage_code ingest 141
'

test_expect_success 'a CSV cut at any byte ends in 0, 2 or 3' '
    printf "text,label\n\"a \"\"b\"\", c\",1\n d , \"e\nf\" \n\303\251,\360\237\230\200\n\"g\",h\n" >whole.csv &&
    size=$(wc -c <whole.csv) && at=0 &&
    while test $at -le $size; do
        head -c $at whole.csv >t.csv
        ft-ingest -q t.csv >t.ft 2>err; rc=$?
        case $rc in
        0) ft-cat -q --check t.ft || return 1 ;;
        2|3) test_grep "t.csv" err || return 1 ;;
        *) echo "exit status $rc at byte $at"; return 1 ;;
        esac
        at=$((at + 1))
    done &&
    test $rc -eq 0
'

test_expect_success '50 MB in the memory of a few' '
    awk "BEGIN { for (i = 0; i < 100000; i++) printf \"%0500d text,label %d\\n\", i, i % 100 }" >big.csv &&
    (limit_memory 60000 && ft-ingest -q big.csv >/dev/null)
'

test_done
