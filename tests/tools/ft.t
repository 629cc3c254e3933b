#!/bin/sh
test_description='ft: lists the tools, runs one'
. "$(dirname "$0")/../lib.sh"

test_expect_success 'alone it lists the tools with their purposes' '
    ft >list 2>messages &&
    test_grep "^ft-cat  *print a stream" list && test ! -s messages &&
    test "$(wc -l <list)" = "$(ls "${FT_BIN:-$TOP/bin}" | grep -c "^ft-")"
'

test_expect_success 'ft TOOL runs ft-TOOL with its arguments and status' '
    ft cat --version >actual && ft-cat --version >expect && test_cmp expect actual &&
    test_expect_code 3 ft cat </dev/null &&
    echo "{\"text\":\"a\"}" | ft cat --from-text | ft cat >text && test_grep "\[\[\"ft-cat\",\"0.1.0\",\"--from-text\"\]\]" text
'

test_expect_success 'tools elsewhere on PATH are found' '
    mkdir -p other && printf "#!/bin/sh\necho another \"\$@\"\n" >other/ft-another && chmod +x other/ft-another &&
    PATH=$PATH:$PWD/other ft another a b >actual && echo "another a b" >expect && test_cmp expect actual
'

test_expect_success 'an unknown tool: one line that lists the known ones' '
    test_expect_code 2 ft nonsense 2>messages &&
    test_grep "^ft: unknown tool .nonsense.: known are.* cat" messages && test "$(wc -l <messages)" = 1 &&
    test_expect_code 2 ft ../x 2>messages && test_expect_code 2 ft --nonsense 2>messages
'

test_done
