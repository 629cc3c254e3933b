#!/bin/sh
test_description='ft-ingest --fetch: images of the web, from a server on this machine'
. "$(dirname "$0")/../lib.sh"

mkdir web && printf '%s' iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGNkZGJmYGAAAAAqAAjaWO5EAAAAAElFTkSuQmCC | base64 -d >web/a.png
echo '<html>sign in</html>' >web/page

echo a.png >none.csv
ft-ingest -q --fetch none.csv >out 2>err
if test $? -eq 2; then
    test_expect_success 'a build without libcurl says so in one line' 'test_grep "^ft-ingest: --fetch: .*libcurl" err && test "$(wc -l <err)" -eq 1'
    test_skip 'fetching' 'no libcurl here'
    test_done
fi

unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
perl "$TOP/tests/tools/http.pl" web port >>server.log 2>&1 &
server=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    test -s port || sleep .2
done
test -s port || { echo "Bail out! the server does not start: $(cat server.log)"; exit 1; }
web=http://127.0.0.1:$(cat port)

# bad PATTERN ADDRESS [OPTION...]: one bad record that says this.
bad () {
    bad_pattern=$1
    printf 'image\n%s\n' "$2" >bad.csv
    shift 2
    test_expect_code 3 ft-ingest -q --fetch "$@" bad.csv >out 2>err && test_grep "$bad_pattern" err && test "$(wc -l <err)" -eq 1
}

test_expect_success 'without --fetch an address is kept and not opened; with it the bytes come along' '
    printf "image,label\n$web/a.png,x\n$web/redirect/a.png,y\n" >l.csv &&
    ft-ingest -q l.csv | ft-cat -q --full | sed -e 1d -e "\$d" >kept && test_grep "\"uri\":\"$web/a.png\",\"modality\":\"image\",\"tags\"" kept && ! grep -q blob kept &&
    ft-ingest -q --fetch l.csv | ft-cat -q --full | sed -e 1d -e "\$d" >fetched && test "$(grep -c "\"mime_type\":\"image/png\"" fetched)" -eq 2 &&
    test_grep "\"uri\":\"$web/redirect/a.png\"" fetched &&
    tail -1 fetched | grep -o "\"blob\":{[^}]*}" | grep -o "[A-Za-z0-9+/=]*\"}" | tr -d "\"}" | base64 -d >bytes && cmp bytes web/a.png
'

test_expect_success 'what may go wrong is a bad record with its address and the reason' '
    bad "^ft-ingest: bad.csv:2: $web/gone.png: the server answers 404$" "$web/gone.png" &&
    bad "bad.csv:2: $web/page: .*HTML: expected JPEG" "$web/page" &&
    bad "bad.csv:2: $web/to-file: " "$web/to-file" && ! grep -q "not a picture" err &&
    bad "bad.csv:2: $web/loop: .*redirect" "$web/loop" &&
    bad "bad.csv:2: $web/endless: more than 33554432 bytes" "$web/endless" &&
    bad "bad.csv:2: $web/cut: " "$web/cut" &&
    bad "bad.csv:2: http://127.0.0.1:1/x: " "http://127.0.0.1:1/x" &&
    bad "bad.csv:2: http://: " "http://"
'

test_expect_success 'an address that several rows name is fetched once, its trouble is that of each' '
    { echo image,label; for i in 1 2 3 4 5; do echo "$web/redirect/a.png?twice,$i"; echo "$web/missing.png,$i"; done; } >twice.csv && cp web/a.png "web/a.png?twice" &&
    ft-ingest --fetch --max-errors 5 twice.csv 2>err | ft-cat -q --full | sed -e 1d -e "\$d" >got && test "$(grep -c "\"blob\":.*mime_type\":\"image/png" got)" -eq 5 &&
    test "$(grep -c "^/redirect/a.png?twice" server.log)" -eq 1 && test "$(grep -c "^/missing.png" server.log)" -eq 1 &&
    for line in 3 5 7 9 11; do test_grep "twice.csv:$line: $web/missing.png: the server answers 404" err || return 1; done
'

test_expect_success 'order is kept among many, local ones and bad ones; threads change nothing' '
    { echo image,label; for i in $(seq 1 60); do echo "$web/a.png,$i"; test $((i % 20)) -ne 0 || echo "$web/gone$i.png,gone"; test $((i % 7)) -ne 0 || echo "web/a.png,here$i"; done; } >many.csv &&
    ft-ingest --fetch --threads 1 --max-errors 3 many.csv 2>err | ft-cat -q | sed -e 1d -e "\$d" >one && test_grep "in=71 out=68 bad=3" err &&
    ft-ingest -q --fetch --threads 4 --max-errors 3 many.csv 2>err | ft-cat -q | sed -e 1d -e "\$d" >four && test_cmp one four &&
    sed "s/.*finetuner_label\":\"\([^\"]*\)\".*/\1/" one >got && sed -e 1d -e "/gone/d" -e "s/.*,//" many.csv >want && test_cmp want got
'

kill $server
test_done
