#!/bin/sh
test_description='ft-cat: streams as text and back, cut, damaged, hostile, failing'
. "$(dirname "$0")/../lib.sh"

# raw 'OCTAL ESCAPES': a text line whose record is these bytes of msgpack.
raw () {
    printf '{"$msgpack":"%s"}\n' "$(printf "$1" | base64 -w 0)"
}

header='{"ft":1,"kind":"documents","history":[["ft-ingest","0.1.0","train.csv"]],"seed":0}'

test_expect_success 'documents alone get a header and an end' '
    printf "%s\n" "{\"id\":\"a:1\",\"text\":\"one\"}" "" "{\"id\":\"a:2\",\"text\":\"two\"}" >docs &&
    ft-cat --from-text docs >stream 2>messages &&
    echo "ft-cat: in=2 out=2 bad=0" >expect &&
    sed "s/ secs=.*//" messages >actual &&
    test_cmp expect actual &&
    ft-cat stream >text &&
    sed -n 1p text >actual &&
    echo "{\"ft\":1,\"kind\":\"documents\",\"history\":[[\"ft-cat\",\"0.1.0\",\"--from-text\",\"docs\"]],\"seed\":0}" >expect &&
    test_cmp expect actual &&
    sed 1d text | head -2 >actual && grep . docs >expect && test_cmp expect actual &&
    sed -n "4s/:[0-9]*}$/:C}/p" text >actual && echo "{\"end\":2,\"crc32c\":C}" >expect && test_cmp expect actual
'

cat >all <<'EOF'
{"ft":1,"kind":"documents","history":[["ft-ingest","0.1.0","train.csv"]],"seed":0}
{"i":[0,1,127,128,255,256,65535,65536,4294967295,4294967296,9223372036854775807,-1,-32,-33,-128,-129,-32768,-32769,-9223372036854775808]}
{"u":{"$u64":"18446744073709551615"},"f":[0.0,-0.0,1.0,0.1,1e+300,4.94065645841247e-324,3.141592653589793]}
{"f32":[{"$f32":0.1},{"$f32":1.0},{"$f32":"7fc00000"},{"$f32":3.4028235e+38}],"inf":{"$f64":"fff0000000000000"}}
{"b":{"$bin":""},"c":{"$bin":"AP8="},"s":{"$str":"/w=="},"e":{"$ext":[-1,"AAAAAA=="]}}
{"m":{"$map":[[1,2],[{"$bin":"bmQ="},null],["$x",true]]},"d":{"$map":[["a",1],["a",2]]},"t":{"$map":[["tensor","x"]]}}
{"tensor":{"$tensor":"<f4","shape":[2,1],"data":"AACAPwAAAEA="},"z":{"$tensor":"|u1","shape":[0],"data":""}}
{"text":"\u0000\t\n\u001b\u007f\u0085\"\\","é😀":[[],{},null,true,false]}
{"end":8}
EOF

test_expect_success 'text and back is exact: numbers of all widths, what JSON lacks, odd keys' '
    ft-cat --from-text all >stream &&
    ft-cat --full stream >again.text &&
    sed "\$d" all >expect && sed "\$d" again.text >actual && test_cmp expect actual &&
    ft-cat --full stream | ft-cat --from-text >again &&
    cmp stream again
'

test_expect_success 'records that shortest msgpack would not give back travel whole' '
    {
        echo "$header" &&
        raw "\201\331\001a\001" &&
        raw "\337\000\000\000\001\241a\317\000\000\000\000\000\000\000\001" &&
        raw "\201\241a\312\177\240\000\001" &&
        raw "\201\241a\322\000\000\000\001" &&
        echo "{\"end\":4}"
    } >text &&
    ft-cat --from-text text >stream &&
    ft-cat --full stream >again.text &&
    test "$(grep -c "msgpack" again.text)" = 4 &&
    ft-cat --from-text again.text | cmp stream - &&
    ft-cat stream >short && test_grep "^{\"a\":1}" short
'

test_expect_success 'tensors are summarised, and a summary is not taken for one' '
    printf "%s\n" "{\"embedding\":{\"\$tensor\":\"<f4\",\"shape\":[2],\"data\":\"AACAPwAAAEA=\"},\"f\":{\"\$f32\":0.5}}" | ft-cat --from-text >stream &&
    ft-cat stream >text &&
    test_grep "^{\"embedding\":{\"tensor\":\"<f4 \[2\]\"},\"f\":0.5}" text &&
    test_expect_code 3 ft-cat --from-text text >out 2>messages &&
    test_grep "^ft-cat: text:2: a tensor.s summary, expected its data: make the text with ft-cat --full" messages
'

test_expect_success '--limit' '
    ft-cat --from-text docs >stream &&
    ft-cat --limit 1 stream >text &&
    test "$(wc -l <text)" = 3 && test_grep "{\"end\":1}" text &&
    ft-cat --from-text text | ft-cat --check >counts && test_grep "^records	1" counts &&
    ft-cat --limit 0 stream | ft-cat --from-text | ft-cat --check >counts && test_grep "^records	0" counts
'

test_expect_success '--check says what a stream holds' '
    {
        echo "{\"text\":\"a\",\"tags\":{\"finetuner_label\":\"x\"}}"
        echo "{\"chunks\":[{\"text\":\"q\",\"tags\":{\"role\":\"anchor\"}},{\"text\":\"p\",\"tags\":{\"role\":\"positive\"}}],\"tags\":{\"finetuner_score\":0.5}}"
    } | ft-cat --from-text >stream &&
    ft-cat --check stream >actual &&
    printf "kind\tdocuments\nrecords\t2\ntexts\t1\nlabels\t1\nscores\t1\nchunks\t2\nembeddings\t0\n" >expect &&
    test_cmp expect actual &&
    echo "{\"text\":1}" | ft-cat --from-text >bad &&
    test_expect_code 3 ft-cat --check bad 2>messages &&
    test_grep "ft-cat: bad: record 1: document: text: expected a string" messages
'

test_expect_success 'a file appears when it is complete, and is not replaced without --force' '
    rm -f out && ft-cat --from-text -o out docs && ft-cat out >text &&
    test_expect_code 2 ft-cat --from-text -o out docs 2>messages &&
    test_grep "out: exists: add --force" messages &&
    ft-cat --from-text -o out --force docs &&
    rm out && head -c 20 docs >cut && test_expect_code 3 ft-cat --from-text -o out cut &&
    test_no_file out && test -z "$(ls | grep tmp-)" &&
    ft-cat --from-text docs >stream && head -c 100 stream >cut &&
    test_expect_code 3 ft-cat -o out cut && test_no_file out && test -z "$(ls | grep tmp-)"
'

test_expect_success 'a stream cut at any byte is not whole' '
    printf "%s\n" "{\"text\":\"one\"}" "{\"text\":\"two\",\"tags\":{\"finetuner_label\":3}}" | ft-cat --from-text >small &&
    test_cut_every_byte small "ft-cat" &&
    test_cut_every_byte small "ft-cat --check"
'

test_expect_success 'text cut anywhere is not whole' '
    ft-cat small >text && head -c -1 text >unended &&
    test_cut_every_byte unended "ft-cat --from-text"
'

test_expect_success 'no flipped bit goes unnoticed' '
    test_flip_every_byte small "ft-cat"
'

# The header of a stream, then bytes: what a stranger might send.
hostile () {
    printf '\202\242ft\001\244kind\251documents'
    printf "$1"
}

for bytes in '\201\241a\333\377\377\377\377' '\201\241a\306\377\377\377\377' '\201\241a\335\377\377\377\377' \
    '\201\241a\337\377\377\377\377' '\337\377\377\377\377' '\201\241a\311\377\377\377\377' '\201\241a\301' '\301' \
    '\201\241a\335\000\377\377\377' '\201\241a\333\003\377\377\377'; do
    test_expect_success "a hostile length: $bytes" '
        hostile "$bytes" >stream &&
        (limit_memory 200000 && test_expect_code 3 ft-cat stream >out 2>messages) &&
        test_grep "^ft-cat: stream: " messages
    '
done

test_expect_success 'nesting without end' '
    { hostile "" && head -c 1000000 /dev/zero | tr "\000" "\221"; } >stream &&
    test_expect_code 3 ft-cat stream 2>messages && test_grep "nested deeper than 32" messages &&
    { printf "{\"a\":" && head -c 1000000 /dev/zero | tr "\000" "["; } >text &&
    test_expect_code 3 ft-cat --from-text text 2>messages && test_grep "^ft-cat: text:1: " messages
'

test_expect_success 'what is no stream is called by its name' '
    printf "text,label\n" | test_expect_code 3 ft-cat 2>messages &&
    test_grep "standard input: this is text, not a stream: add ft-ingest before" messages &&
    test_expect_code 3 ft-cat 2>messages </dev/null &&
    test_grep "ft-cat: standard input: no stream: did the previous command start?" messages &&
    head -c -5 small | test_expect_code 3 ft-cat 2>messages &&
    test_grep "the stream ends without its end record after 2 records: did the command before fail?" messages &&
    cat small small | test_expect_code 3 ft-cat 2>messages &&
    test_grep "bytes after the end record" messages &&
    test_expect_code 4 ft-cat nowhere 2>messages && test_grep "ft-cat: nowhere: No such file" messages
'

test_expect_success 'a failure keeps its name through any number of tools' '
    {
        echo "$header" && echo "{\"text\":\"one\"}" &&
        echo "{\"abort\":\"train.csv:3: no closing quote\",\"tool\":\"ft-ingest\",\"status\":3}"
    } >text &&
    rm -f out &&
    stage a ft-cat --from-text text | stage b ft-cat | stage c ft-cat --from-text | stage d ft-cat | stage e ft-cat --from-text -o out &&
    for s in a b c d e; do stage_code $s 3 || return 1; done &&
    echo "ft-cat: ft-ingest failed: train.csv:3: no closing quote" >expect &&
    test_cmp expect e.err && test ! -s a.err && test ! -s c.err && test_no_file out &&
    echo "{\"abort\":\"no header yet\",\"tool\":\"ft-x\",\"status\":2}" | stage a ft-cat --from-text | stage b ft-cat | stage c ft-cat --from-text >out &&
    stage d ft-cat <out >text &&
    echo "ft-cat: ft-x failed: no header yet" >expect && test_cmp expect d.err && test_cmp expect c.err && test ! -s a.err
'

test_expect_success 'a full disk is an error' '
    test_expect_code 4 ft-cat small >/dev/full 2>messages && test_grep "^ft-cat: standard output: No space left" messages &&
    test_expect_code 4 ft-cat --from-text docs >/dev/full 2>messages && test_grep "^ft-cat: standard output: No space left" messages &&
    test_expect_code 4 ft-cat --check small >/dev/full 2>messages && test_grep "standard output" messages &&
    test_expect_code 4 ft-cat --from-text -o /dev/full docs 2>messages
'

test_expect_success 'a reader that leaves early ends the writers quietly' '
    seq 100000 | sed "s/.*/{\"text\":\"&\"}/" >many &&
    stage a ft-cat --from-text many | stage b ft-cat | head -1 >line &&
    test "$(wc -l <line)" = 1 && stage_code a 141 && stage_code b 141 &&
    test ! -s a.err && test ! -s b.err
'

test_expect_success 'a tool that waits for input notices that its reader has gone' '
    mkfifo slow && { { head -c -5 small; exec sleep 20; } >slow & } &&
    stage a ft-cat slow | head -1 >line &&
    kill $! && stage_code a 141
'

test_expect_success 'options that contradict each other, and text for a terminal' '
    test_expect_code 2 ft-cat --from-text --full docs &&
    test_expect_code 2 ft-cat --check --limit 1 small &&
    test_expect_code 2 ft-cat small small &&
    test_expect_code 2 ft-cat --nonsense 2>messages && test_grep "unknown option" messages
'

if command -v script >/dev/null; then
    test_expect_success 'no binary stream goes to a terminal' '
        script -qec "ft-cat --from-text docs" /dev/null >out </dev/null; test_grep "refusing to write a binary stream to a terminal: add \"| ft-cat\"" out
    '
else
    test_skip 'no binary stream goes to a terminal' 'no script(1)'
fi

test_done
