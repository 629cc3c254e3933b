#!/bin/sh
test_description='ft-eval --task zero-shot: labels by their names, against sentence-transformers and numpy; and pictures, by a model of two towers'
. "$(dirname "$0")/../lib.sh"

golden=$TOP/tests/golden/eval
cp -rL "$TOP/tests/golden/model/mean" model && ft-ingest -q "$golden/zero.csv" >texts || { echo "Bail out! no texts"; exit 1; }

figures () {
    sed 's/.*"metrics": {\([^}]*\)}.*/\1/; s/"\([^"]*\)": \([^,]*\),* */\1 \2\n/g' "$1" | sed '/^$/d'
}
zero () {
    ft-eval -q -m model --task zero-shot "$@"
}
# agrees CASE RESULT: to the nine digits that JSON has.
agrees () {
    figures "$2" >got && paste -d" " "$golden/zero-$1.golden" got | awk '{ d = $2 - $4; if ($1 != $3 || d > 1e-9 || d < -1e-9) { print; bad = 1 } } END { exit bad || NR != 3 }'
}

test_expect_success 'labels called as they are, by other names, and put into templates: the reference'"'"'s figures' '
    zero --json texts >one && test_grep "^{\"task\": \"zero-shot\", \"documents\": 116, \"metrics\": {\"acc@1\": " one && agrees labels one &&
    zero --json --names "$golden/zero.names" texts >one && agrees names one &&
    templates () {
        zero --json --names "$golden/zero.names" --template "{}" --template "what is {}" --template "tell me {} in my {}" --template "the {} on the mat" "$@"
    } &&
    templates texts >one && agrees templates one && templates --threads 1 texts >more && cmp one more && templates --threads 3 texts >more && cmp one more &&
    ft-eval -m model --task zero-shot --names "$golden/zero.names" texts >out 2>err && test_grep "116 documents, 9 labels by name, 1 template$" err
'

test_expect_success 'embeddings that came along, a second model, intervals, a share of the dimensions, a least accuracy' '
    ft-embed -q -m model texts >embedded && zero --json embedded >one && agrees labels one &&
    zero --before model texts >table && test_grep "^mean_per_class_recall  *0.1543  *0.1543  *+0.0000" table &&
    zero --json --bootstrap 100 texts >one && test_grep "\"intervals\": {\"acc@1\": \[0" one && zero --json --bootstrap 100 --threads 3 texts >more && cmp one more &&
    zero --json --truncate-dim 20,5 texts >two && head -1 two | sed "s/, \"dim\": 20//" >first && zero --json --truncate-dim 20 texts >one && test_cmp one first &&
    zero --json --truncate-dim 5 texts >one && tail -1 two | sed "s/, \"dim\": 5//" >last && test_cmp one last &&
    zero --min acc@5=.7 texts >out && test_expect_code 1 zero --min acc@1=.5 texts 2>err >out && test_grep "acc@1 is 0.12069, expected at least 0.5" err
'

test_expect_success 'documents without a label, and labels without a name, are left out, and that is said' '
    { cat "$golden/zero.csv"; echo "the cat,"; } >some.csv && ft-cat -q --full texts | sed "\$d" >more && echo "{\"id\":\"x\",\"text\":\"the mat\"}" >>more &&
    echo "{\"end\":117}" >>more && ft-cat -q --from-text more >more.ft && ft-eval -m model --task zero-shot --json more.ft 2>err >one && cat err && agrees labels one &&
    test_grep "1 of 117 documents have no label" err && grep -v "^cat" "$golden/zero.names" >less &&
    ft-eval -m model --task zero-shot --json --names less texts 2>err >one && cat err && test_grep "4 of 116 documents have a label that less does not name" err &&
    test_grep "\"documents\": 112" one
'

test_expect_success 'what cannot be' '
    refuses () {
        refuses_code=$1 refuses_pattern=$2 && shift 2 && test_expect_code $refuses_code ft-eval -q "$@" >out 2>err && cat err && test_grep "$refuses_pattern" err && test ! -s out
    } &&
    ft-embed -q -m model texts >embedded &&
    refuses 2 "task zero-shot: add -m MODEL" --task zero-shot embedded && refuses 2 "expected {} where the name goes" -m model --task zero-shot --template photo texts &&
    refuses 2 "go with --task zero-shot" -m model --template "a {}" texts && refuses 2 "go with --task zero-shot" -m model --names "$golden/zero.names" texts &&
    refuses 2 "the task zero-shot prints all it has" -m model --task zero-shot --metrics map texts &&
    refuses 2 "modality text:image: the task zero-shot takes one" -m model --task zero-shot --modality text:image texts &&
    refuses 4 "no-such: No such file" -m model --task zero-shot --names no-such texts &&
    printf "cat\n\ncat\ttwice\n" >names && refuses 3 "names:3: label .cat. is there twice" -m model --task zero-shot --names names texts &&
    printf "\tname\n" >names && refuses 3 "names:1: no label: expected LABEL<TAB>NAME" -m model --task zero-shot --names names texts &&
    printf "cat\t\n" >names && refuses 3 "names:1: no name" -m model --task zero-shot --names names texts &&
    printf "\377\n" >names && refuses 3 "names:1: " -m model --task zero-shot --names names texts &&
    : >names && refuses 3 "names has no names" -m model --task zero-shot --names names texts &&
    echo other >names && refuses 3 "names: names no label of the documents" -m model --task zero-shot --names names texts &&
    printf "the cat\n" >plain.txt && ft-ingest -q --unlabeled plain.txt >plain && refuses 3 "no document has a label" -m model --task zero-shot plain
'

test_expect_success 'a stream cut at every byte' '
    ft-ingest -q --limit 3 "$golden/zero.csv" >small && test_cut_every_byte small "ft-eval -q -m model --task zero-shot"
'

# ---- two towers ----

pictures=$TOP/tests/golden/pictures
cp -r "$pictures/resnet" resnet && cp -r "$pictures/stripes" stripes && ft-tailor -q -m model -m resnet --dim 6 --seed 3 -o both &&
    ft-ingest -q --format images stripes >images || { echo "Bail out! no model of two towers"; exit 1; }

# vectors STREAM: a line of numbers each, at unit length.
vectors () {
    ft-embed -q -m both "$1" | ft-export -q --to csv -o - | sed 1d | awk -F, '{
        s = 0
        for (i = NF - 5; i <= NF; i++) s += $i * $i
        for (i = NF - 5; i <= NF; i++) printf "%.9g ", $i / sqrt(s)
        print ""
    }'
}

test_expect_success 'pictures by the names of their folders, in two templates: as by hand' '
    ft-eval -q -m both --task zero-shot --json --template "my {}" --template "the {} is a photo" images >one && cat one &&
    printf "kind0\tcat\nkind1\tdog\nkind2\tmusic\nkind3\tweb\n" >names &&
    ft-eval -q -m both --task zero-shot --json --names names --template "my {}" --template "the {} on the mat" images >two &&
    for name in cat dog music web; do printf "my %s\nthe %s on the mat\n" $name $name; done >lines && ft-ingest -q --format lines --unlabeled lines >named &&
    vectors named >classes && test "$(wc -l <classes)" -eq 8 && vectors images >items && test "$(wc -l <items)" -eq 32 &&
    awk "NR == FNR { for (i = 1; i <= 6; i++) w[int((FNR - 1) / 2), i] += \$i; next }
        FNR == 1 { for (c = 0; c < 4; c++) { s = 0; for (i = 1; i <= 6; i++) s += w[c, i] ^ 2; for (i = 1; i <= 6; i++) w[c, i] /= sqrt(s) } }
        { best = -2; for (c = 0; c < 4; c++) { s = 0; for (i = 1; i <= 6; i++) s += w[c, i] * \$i; if (s > best) { best = s; guess = c } }
          right += guess == int((FNR - 1) / 8) }
        END { printf \"%.10g\\n\", right / 32 }" classes items >want && cat want && sed "s/.*\"acc@1\": \([^,]*\),.*/\1/" two >got && test_cmp want got
'

test_expect_success 'texts and images on the way or before: the same figures; the prompts that differ by side ask for a way' '
    for i in 0 1 2 3; do for f in 0.png 1.jpg 4.png 5.jpg; do echo "kind$i of $f,stripes/kind$i/$f"; done; done >pairs.csv && ft-ingest -q pairs.csv >pairs &&
    ft-embed -q -m both pairs | ft-eval -q --json >want && test "$(grep -c "\"queries\": 16" want)" -eq 2 && ft-eval -q -m both --json pairs >got && test_cmp want got &&
    ft-eval -q -m both --before both --bootstrap 50 pairs >table && test "$(grep -c "^hit@5 .*+0.0000 *+0.0000 *+0.0000 *1.0000$" table)" -eq 2 &&
    ft-tailor -q -m model -m resnet --dim 6 --seed 4 -o other && ft-eval -q -m both --before other pairs >table && test "$(grep -c "^metric " table)" -eq 2 &&
    ft-eval -q -m both --before other --json pairs >two && sed "s/, \"before\": {[^}]*}//" two >got && test_cmp want got &&
    test_expect_code 2 ft-eval -q -m both --prompt query=ask: pairs >out 2>err && cat err && test_grep "one prompt as queries and another as documents: add --modality" err &&
    ft-eval -q -m both --json --prompt "query=play music " --modality text:image pairs >out && head -1 want >plain && ! cmp -s out plain
'

test_expect_success 'ft-search: words find pictures; the name of a picture is a picture, unless --modality says a text' '
    ft-search -q -m both --index pairs --modality text:image -k 3 "my cat" >found && test "$(wc -l <found)" -eq 3 && test_grep "^[-0-9.]*.pairs.csv:[0-9]*.stripes/kind" found &&
    ft-embed -q -m both --modality image pairs >embedded && ft-search -q -m both --index embedded --modality text:image -k 3 "my cat" >got && test_cmp found got &&
    ft-search -q -m both --index pairs --json -k 1 stripes/kind0/0.png >got && test_grep "\"score\": \(1\|0.99999\).*\"uri\": \"stripes/kind0/0.png\"" got &&
    ft-search -q -m both --index pairs --modality image:text --json -k 16 stripes/kind0/0.png >got && ! grep "\"uri\"" got &&
    ft-search -q -m both --index pairs --modality text:image --json -k 1 stripes/kind0/0.png >got && ! grep "\"score\": \(1\|0.9999\)" got &&
    test_expect_code 3 ft-search -q -m both --index pairs --modality image:text "my cat" >out 2>err && cat err && test_grep "my cat: No such file" err
'

test_done
