#!/bin/sh
test_description='prompts by role: what is embedded, trained, kept, found again; and by whom'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

prompted=$TOP/tests/golden/prompts/model

# vectors STREAM: the embeddings alone, a line each, of documents or of their chunks.
vectors () {
    ft-export -q --to csv <"$1" | cut -d, -f2- | tail -n +2
}

printf 'anchor,positive,negative\nthe cat,a dog,the bird\nmy time,the balance,new york\n' >rows.csv
printf 'text\nq the cat\nd a dog\nn the bird\nq my time\nd the balance\nn new york\n' >prefixed.csv
ft-ingest -q rows.csv >rows 2>/dev/null && ft-ingest -q prefixed.csv >prefixed 2>/dev/null

test_expect_success 'each role has its own prompt: the text before the text' '
    ft-embed -q -m model --prompt "query=q " --prompt "document=d " --prompt "negative=n " rows >actual.ft &&
    ft-embed -q -m model prefixed >expect.ft &&
    ft-export -q --to npy <actual.ft -o actual && ft-export -q --to npy <expect.ft -o expect && cmp expect actual
'

test_expect_success 'the model says its own; options come before them' '
    sed "s/^q /what is /;s/^d /the word: /;s/^n /the word: /" prefixed.csv >own.csv && ft-ingest -q own.csv >own &&
    ft-embed -q -m "$prompted" rows >actual.ft && ft-embed -q -m model own >expect.ft &&
    ft-export -q --to npy <actual.ft -o own-actual && ft-export -q --to npy <expect.ft -o own-expect && cmp own-expect own-actual &&
    ft-embed -q -m "$prompted" --prompt "" rows >actual.ft && ft-embed -q -m model rows >expect.ft &&
    ft-export -q --to npy <actual.ft -o no-actual && ft-export -q --to npy <expect.ft -o no-expect && cmp no-expect no-actual
'

test_expect_success 'the stream says what was put before the texts' '
    ft-embed -q -m model --prompt "say: " prefixed | ft-cat | head -n 1 >header && test_grep "\"prompt\":\"say: \"" header &&
    ft-embed -q -m model prefixed | ft-cat | head -n 1 >header && ! grep -q "\"prompt\":" header
'

test_expect_success 'ft-search: the query prompt for queries, the document prompt for the index; embeddings made with it are taken' '
    ft-search -q -m "$prompted" --index prefixed --json "the cat" >actual &&
    ft-search -q -m model --prompt "query=what is " --prompt "document=the word: " --index prefixed --json "the cat" >expect &&
    test_cmp expect actual &&
    ft-embed -q -m "$prompted" --prompt "the word: " prefixed >embedded && ft-search -q -m "$prompted" --index embedded --json "the cat" >actual &&
    test_cmp expect actual &&
    ft-embed -q -m "$prompted" --prompt "other: " prefixed >embedded && ft-search -q -m "$prompted" --index embedded --json "the cat" >actual &&
    test_cmp expect actual &&
    ft-search -q -m model --index prefixed --json "the cat" >bare && ! cmp -s expect bare
'

for kind in labelled pairs triplets scored; do
    test_expect_success "$kind: piped equals fused with prompts by role, and the model keeps them" '
        documents $kind 40 3 >documents.ft && ft-sample -q --batch 20 --epochs 1 documents.ft >batches &&
        set -- --prompt "the " --prompt "query=what is " --prompt "document=the word: " &&
        $limit ft-train -q -m model -o $kind-fused "$@" batches && $limit ft-train -q -m model -o $kind-bare batches &&
        new_run $kind-piped "$@" && piped $kind-piped batches && same $kind-fused $kind-piped && differ $kind-fused $kind-bare &&
        tr -d "\n" <$kind-fused/config_sentence_transformers.json >config &&
        test_grep "\"query\": \"what is \"" config && test_grep "\"document\": \"the word: \"" config &&
        test_grep "\"default_prompt_name\": \"default\"" config && test_grep "\"default\": \"the \"" config &&
        cmp model/config_sentence_transformers.json $kind-bare/config_sentence_transformers.json
    '
done

test_expect_success 'a prompt is the text before the text in training too: rows written out give the same model' '
    ft-ingest -q rows.csv >documents.ft && sed "1!s/^/q /;1!s/,/,d /;1!s/,\([^,]*\)\$/,n \1/" rows.csv >written.csv && ft-ingest -q written.csv >written &&
    $limit ft-train -q -m model -o roles --prompt "query=q " --prompt "document=d " --prompt "negative=n " --epochs 2 documents.ft &&
    $limit ft-train -q -m model -o written-out --epochs 2 written && same roles written-out
'

test_expect_success 'a model that has prompts trains with them, unless told otherwise' '
    $limit ft-train -q -m "$prompted" -o own-run --epochs 1 rows &&
    $limit ft-train -q -m "$prompted" -o same-run --epochs 1 --prompt "query=what is " --prompt "document=the word: " rows &&
    $limit ft-train -q -m "$prompted" -o none-run --epochs 1 --prompt "" rows &&
    same own-run same-run && differ own-run none-run &&
    cmp "$prompted/config_sentence_transformers.json" own-run/config_sentence_transformers.json &&
    ft-embed -q -m none-run prefixed | ft-cat | head -n 1 >header && ! grep -q "\"prompt\":" header
'

test_expect_success 'resuming: the same prompts may be said again, others not' '
    $limit ft-train -q -m "$prompted" -o stopped --epochs 2 --steps 1 --prompt "query=q " rows &&
    test_expect_code 2 ft-train -q -o stopped --resume --prompt "query=x " rows 2>err && test_grep "prompt was set to something else" err &&
    test_expect_code 2 ft-train -q -o stopped --resume --prompt "q " rows &&
    $limit ft-train -q -o stopped --resume --prompt "query=q " rows &&
    $limit ft-train -q -m "$prompted" -o straight --epochs 2 --prompt "query=q " rows && same straight stopped
'

test_expect_success 'a pooling that leaves prompts out is refused a prompt, by every tool, and nothing else' '
    cp -r model leaves && printf "{\"pooling_mode\":\"mean\",\"include_prompt\":false}" >leaves/1_Pooling/config.json &&
    ft-embed -q -m leaves prefixed >ft && ft-export -q --to npy <ft -o leaves.npy && ft-embed -q -m model prefixed | ft-export -q --to npy -o takes.npy &&
    cmp takes.npy leaves.npy &&
    test_expect_code 2 ft-embed -q -m leaves --prompt x prefixed 2>err >ft && test_grep "include_prompt false" err &&
    test_expect_code 2 ft-search -q -m leaves --index prefixed --prompt x word 2>err && test_grep "include_prompt false" err &&
    test_expect_code 2 ft-train -q -m leaves -o leaves-run --prompt x rows 2>err && test_grep "include_prompt false" err && test ! -e leaves-run
'

test_done
