#!/bin/sh
test_description='texts that ask for images and images for texts: ft-eval, ft-search against numpy and open_clip; what is refused'
. "$(dirname "$0")/../lib.sh"

golden=$TOP/tests/golden/eval

for name in captions plain twins; do
    ft-cat -q --from-text "$golden/$name.docs" >$name || { echo "Bail out! $name"; exit 1; }
done

# figures JSON: "name value" a line, of its metrics.
figures () {
    sed 's/.*"metrics": {\([^}]*\)}.*/\1/; s/"\([^"]*\)": \([^,]*\),* */\1 \2\n/g' "$1" | sed '/^$/d'
}

for name in captions twins; do
    for way in text:image image:text; do
        test_expect_success "$name, $way: every figure is the reference's, any threads" '
            ft-eval -q --json --modality $way $name >one && test_grep "^{\"modality\": \"$way\", \"queries\": [0-9]*, \"k\": 20, " one &&
            figures one >got && test_cmp "$golden/$name-$(echo $way | tr : -).golden" got &&
            for n in 1 3; do
                ft-eval -q --json --modality $way --threads $n $name >more && cmp one more || return 1
            done
        '
    done
    test_expect_success "$name: without --modality both ways, which is said" '
        for way in text:image image:text; do ft-eval -q --json --modality $way $name || return 1; done >want &&
        ft-eval --json $name >got 2>err && test_cmp want got && test_grep "pairs of a text and an image: text:image, then image:text" err &&
        test_grep " texts, [0-9]* images, relevant by pairs, cosine" err && test_grep " images, [0-9]* texts, relevant by pairs, cosine" err
    '
done

test_expect_success 'documents of their own, what is relevant by qrels: the same' '
    for way in text-image image-text; do
        ft-eval -q --json --modality $(echo $way | tr - :) --qrels "$golden/plain-$way.qrels" plain >one && figures one >got &&
        test_cmp "$golden/captions-$way.golden" got || return 1
    done
'

test_expect_success 'an index of its own: of pairs, and of images alone, which are right where a pair of the queries has them' '
    ft-eval -q --json --modality text:image captions >want && ft-eval -q --json --modality text:image captions --index captions >got && test_cmp want got &&
    ft-cat -q --full plain | grep "\"uri\"" | ft-cat -q --from-text >images && ft-eval -q --json --modality text:image captions --index images >got &&
    test_cmp want got && ft-cat -q --full plain | grep "\"text\"" | grep -v "\"uri\"" | ft-cat -q --from-text >texts &&
    ft-eval -q --json --modality text:image texts --index captions >got && test_cmp want got
'

test_expect_success 'text, a line of the way before the figures; several dimensions; metrics that are named' '
    ft-eval -q --metrics recall@5,median_rank captions >got &&
    printf "%s\t%s\n" modality text:image recall@5 0.7958 median_rank 2.0000 >want && echo >>want &&
    printf "%s\t%s\n" modality image:text recall@5 0.6222 median_rank 2.0000 >>want && test_cmp want got &&
    ft-eval -q --metrics mrr --truncate-dim 3,6 twins >got && test "$(grep -c "^modality" got)" -eq 4 && test "$(grep -c "^dim" got)" -eq 4 &&
    grep -A2 "^modality.image:text" got | tail -1 >last && ft-eval -q --json twins | tail -1 >line && ft-eval -q --json --truncate-dim 6 twins | tail -1 >line.6 &&
    test_cmp line line.6
'

test_expect_success 'intervals of medians too: whole ranks or halves, around the figure, and the same for any threads' '
    ft-eval -q --json --bootstrap 200 --seed 3 twins >got && ft-eval -q --json --bootstrap 200 --seed 3 --threads 3 twins >three && cmp got three &&
    cat got && sed -n "s/.*\"intervals\": .*\"median_rank\": \[\([0-9.]*\), \([0-9.]*\)\]}.*/\1 \2/p" got >bounds && cat bounds && test "$(wc -l <bounds)" -eq 2 &&
    awk "{ if (\$1 >= \$2 || \$1 < 1 || \$1 > 4 || \$2 < 3) bad = 1 } END { exit bad }" bounds
'

test_expect_success '--per-query and --run of one way: ids of the rows, ranks; --judge has the median of them' '
    ft-eval -q --json --modality text:image --qrels "$golden/plain-text-image.qrels" --per-query each --run run -k 48 plain >one && test "$(wc -l <each)" -eq 120 &&
    test_grep "{\"id\": \"t0\", \"metrics\": {\"recall@1\": [01], .*\"median_rank\": [0-9]*}}" each && test "$(wc -l <run)" -eq $((120 * 48)) &&
    ft-eval -q --json --judge run --qrels "$golden/plain-text-image.qrels" --metrics cross-modal >judged && figures judged >got &&
    test_cmp "$golden/captions-text-image.golden" got &&
    sed -n "s/.*\"median_rank\": \([0-9]*\)}}/\1/p" each | sort -n >ranks && test "$(sed -n 60p ranks)" = 2
'

test_expect_success '--min holds of each way, and says of which it did not' '
    ft-eval -q --min recall@10=.9 --modality text:image captions >out && test_expect_code 1 ft-eval -q --min recall@10=.9 captions >out 2>err &&
    cat err && test_grep "image:text recall@10 is 0.7736" err && test "$(wc -l <err)" -eq 1 &&
    test_expect_code 1 ft-eval -q --min map@3=.9 --modality text:image captions >out 2>err && test_grep "^map@3" out &&
    test_expect_code 2 ft-eval -q --min median_rank=3 captions >out 2>err && test_grep "of median_rank less is better" err
'

test_expect_success 'an earlier result is of one way, and is asked which' '
    ft-eval -q --json --modality text:image captions >ti.json && ft-eval -q --modality text:image --before ti.json captions >got &&
    test_grep "^median_rank  *2.0000 *2.0000 *+0.0000" got &&
    test_expect_code 2 ft-eval -q --modality image:text --before ti.json captions 2>err >out && test_grep "ti.json: is of text:image, now it is image:text" err &&
    test_expect_code 2 ft-eval -q --before ti.json captions 2>err >out && cat err && test_grep "both ways, and --before RESULT.json goes with one" err &&
    for option in "--per-query x" "--run x" "--index captions" "--qrels x"; do
        test_expect_code 2 ft-eval -q $option captions 2>err >out && cat err && test_grep "both ways, and ${option% *} goes with one: add --modality" err || return 1
    done
'

test_expect_success 'labels across modalities; one modality of a stream; images that share a text' '
    awk "BEGIN { for (i = 0; i < 6; i++) print i }" | while read -r i; do
        for kind in text uri; do
            echo "{\"id\":\"$kind$i\",\"$kind\":\"$kind $i\",\"tags\":{\"finetuner_label\":\"l$((i / 2))\"},\"embedding\":{\"\$tensor\":\"<f4\",\"shape\":[2],\"data\":\"AACAPwAAAAA=\"}}"
        done
    done | ft-cat -q --from-text >labelled &&
    ft-eval --json --modality text:image --metrics recall@6,map labelled >got 2>err && test_grep "6 texts, 6 images, relevant by labels" err &&
    test_grep "\"queries\": 6, .*\"recall@6\": 1, " got && ft-eval --modality image labelled >got 2>err && cat err &&
    test_grep "6 images, 6 images, relevant by labels" err && test_grep "6 documents are no images and are left out" err &&
    ft-eval --modality image --metrics recall@5 captions >got 2>err && cat err && test_grep "relevant by groups" err &&
    ft-eval -q --modality text captions >got && ! test_grep modality got
'

test_expect_success 'pairs of texts are as they were, with --modality text too' '
    ft-cat -q --from-text "$golden/pairs.docs" >pairs && ft-eval -q --json pairs >want && ft-eval -q --json --modality text pairs >got &&
    test_grep "\"acc@1\"" want && test_grep "\"acc@1\"" got && test_cmp want got
'

test_expect_success 'what cannot be' '
    refuses () {
        refuses_code=$1 refuses_pattern=$2 && shift 2 && test_expect_code $refuses_code ft-eval -q "$@" >out 2>err && cat err && test_grep "$refuses_pattern" err
    } &&
    refuses 2 "modality sound: expected text, image, text:image or image:text" --modality sound captions &&
    refuses 2 "modality text:image: the task clustering takes one modality" --modality text:image --task clustering captions &&
    refuses 3 "pairs has no images" --modality text:image pairs && refuses 3 "pairs has no images that ask" --modality image:text pairs &&
    ft-cat -q --full plain | grep "\"uri\"" | ft-cat -q --from-text >images && refuses 3 "nothing says what is relevant" --modality image images &&
    refuses 2 "judge takes rankings as they are" --judge run --qrels "$golden/plain-text-image.qrels" --modality text &&
    ft-cat -q --full twins | sed "s/\"modality\":\"text\"/\"modality\":\"sound\"/" | ft-cat -q --from-text >sounds &&
    refuses 3 "no chunk is an anchor" sounds && refuses 3 "no chunk is an anchor" --modality text:image sounds
'

test_expect_success 'ft-search: pictures by words and words by pictures, in pairs and in documents of their own' '
    ft-search -q --index captions --modality text:image -k 1 <captions | ft-cat -q | sed "1d;\$d" | grep -c "\"matches\":\[{\"id\":\"row [0-9]*\",\"uri\":\"images/" >count &&
    test "$(cat count)" -eq 129 && ft-search -q --json --index plain --modality text:image -k 48 <captions >all && ! grep "\"text\":" all &&
    sed "s/.*\"matches\": \[//" all | grep -o "\"uri\"" | wc -l >count && test "$(cat count)" -eq $((129 * 48)) &&
    ft-search -q --json --index captions --modality image:text -k 3 <captions >all && ! grep "\"uri\":" all && test_grep "^{\"query\": \"images/0.jpg\", \"matches\": \[{\"id\": \"row [0-9]*\", \"score\": [0-9.]*, \"text\": \"caption " all &&
    ft-search -q --index plain --modality image:image -k 2 <images | ft-cat -q | grep -c "\"matches\":\[{\"id\":\"i[0-9]*\",\"uri\":\"images/" >count && test "$(cat count)" -eq 48 &&
    test_expect_code 3 ft-search -q --index plain --modality text:image <images >out 2>err && cat err && test_grep "document i0: no text, which --modality text:image asks with" err &&
    test_expect_code 3 ft-search -q --index plain <captions >out 2>err && cat err && test_grep "document row 0: has chunks" err &&
    test_expect_code 3 ft-search -q --index images --modality image:text <images >out 2>err && test_grep "images has no texts" err
'

test_expect_success 'what ft-search finds first is right as often as ft-eval says' '
    ft-search -q --json --index captions --modality text:image -k 1 <captions | sed "s/.*\"query\": \"\([^\"]*\)\".*\"uri\": \"\([^\"]*\)\".*/\1;\2/" | sort -u >found &&
    test "$(wc -l <found)" -eq 120 && ft-cat -q --full captions | sed -n "s/.*{\"text\":\"\([^\"]*\)\".*\"uri\":\"\([^\"]*\)\".*/\1;\2/p" | sort -u >right &&
    comm -12 found right | wc -l >hits && sed -n "s/^hit@1 //p" "$golden/captions-text-image.golden" >share &&
    awk "{ x[NR] = \$1 } END { exit !(x[1] / 120 - x[2] < 1e-9 && x[2] - x[1] / 120 < 1e-9) }" hits share
'

test_expect_success 'a stream cut at every byte is never a result' '
    { ft-cat -q --full twins | sed -n 1,4p; echo "{\"end\":3}"; } | ft-cat -q --from-text >small && ft-eval -q small >out && size=$(wc -c <small) && n=0 &&
    while test $n -lt $size; do
        head -c $n small >cut && test_expect_code 3 ft-eval -q cut >out 2>err || { echo "byte $n"; return 1; }
        n=$((n + 7))
    done
'

test_done
