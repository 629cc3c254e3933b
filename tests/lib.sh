# lib.sh - shell tests in git's manner, with TAP on standard output.
#
# A test is a script tests/DIR/NAME.t, run by `prove tests/...` or alone (`./tests/tools/ft-cat.t -v`):
#
#     #!/bin/sh
#     test_description='ft-cat: streams as text and back'
#     . "$(dirname "$0")/../lib.sh"
#
#     test_expect_success 'text and back' '
#         ft-cat stream >text &&
#         ft-cat --from-text text >again &&
#         cmp stream again
#     '
#     test_done
#
# Bodies run in a directory of their own ($TRASH, removed when all went well), with the tree's bin/ first on PATH, chained by &&.
# $TOP is the top of the tree; FT_BIN names another bin/ (make sets it). Options of a script: -v shows what bodies print, -i stops at the
# first failure, -k keeps the directory.
#
# The status of a command before a pipe is lost in sh; `stage NAME COMMAND...` in its place keeps it for `stage_code NAME STATUS`.

TOP=$(cd "$(dirname "$0")" && while ! test -f tests/lib.sh; do cd .. || exit; test "$PWD" != / || exit; done && pwd)
test -n "$TOP" || { echo "Bail out! no tests/lib.sh above $0"; exit 1; }
PATH=${FT_BIN:-$TOP/bin}:$PATH
TRASH=$(mktemp -d "${TMPDIR:-/tmp}/ft-test-XXXXXX") || exit 1
FT_HOME=$TRASH.home
LC_ALL=C
export TOP PATH TRASH FT_HOME LC_ALL
unset FT_CPU

test_count=0 test_failures=0 test_verbose= test_immediate= test_keep= test_finished=
for test_option; do
    case $test_option in
    -v) test_verbose=t ;;
    -i) test_immediate=t ;;
    -k) test_keep=t ;;
    *) echo "Bail out! unknown option '$test_option': known are -v -i -k"; exit 2 ;;
    esac
done

test_at_exit () {
    test -n "$test_finished" || echo "Bail out! the script ended before test_done"
    cd / || exit
    if test -n "$test_finished$test_immediate" && test "$test_failures" -eq 0 && test -z "$test_keep"; then
        rm -rf "$TRASH" "$TRASH.home" "$TRASH.log"
    else
        echo "# kept: $TRASH"
    fi
}
trap test_at_exit EXIT
trap 'exit 130' INT TERM
cd "$TRASH" || exit 1

# A function of its own, so that `|| return 1` in a body's loop ends the body and not test_expect_success before it has counted.
test_body () {
    eval "$1"
}

# test_expect_success TITLE BODY
test_expect_success () {
    test_count=$((test_count + 1))
    if test -n "$test_verbose"; then
        printf '# ---- %s\n' "$1"
        test_body "$2" </dev/null >"$TRASH.log" 2>&1
        test_rc=$?
        sed 's/^/#   /' "$TRASH.log"
    else
        test_body "$2" </dev/null >"$TRASH.log" 2>&1
        test_rc=$?
    fi
    cd "$TRASH" || exit 1
    if test "$test_rc" -eq 0; then
        printf "ok %d - %s\n" "$test_count" "$1"
        return 0
    fi
    test_failures=$((test_failures + 1))
    printf "not ok %d - %s\n" "$test_count" "$1"
    printf '%s\n' "$2" | sed 's/^/# /'
    test -n "$test_verbose" || tail -n 40 "$TRASH.log" | sed 's/^/#   /'
    test -z "$test_immediate" || exit 1
    return 0
}

# test_skip TITLE REASON: a test that cannot run here, said aloud.
test_skip () {
    test_count=$((test_count + 1))
    echo "ok $test_count - $1 # SKIP $2"
}

# test_skip_all REASON: the whole script cannot run here.
test_skip_all () {
    echo "1..0 # SKIP $1"
    test_finished=t
    exit 0
}

test_done () {
    echo "1..$test_count"
    test_finished=t
    test "$test_failures" -eq 0
    exit $?
}

# test_expect_code STATUS COMMAND...: it must end with this very status.
test_expect_code () {
    test_want=$1
    shift
    "$@"
    test_got=$?
    test "$test_got" -eq "$test_want" && return 0
    echo "exit status $test_got, expected $test_want: $*"
    return 1
}

# test_cmp EXPECT ACTUAL
test_cmp () {
    diff -u "$1" "$2"
}

# test_grep PATTERN FILE: says what the file holds when nothing matches.
test_grep () {
    grep -e "$1" "$2" >/dev/null && return 0
    echo "no line of $2 matches '$1':"
    cat "$2"
    return 1
}

test_no_file () {
    test ! -e "$1" && return 0
    echo "$1 exists"
    return 1
}

# limit_memory KILOBYTES: of address space, for the rest of the (sub)shell. Not under AddressSanitizer, which maps terabytes.
limit_memory () {
    grep -q __asan_init "$(command -v ft-cat)" || ulimit -v "$1"
}

# stage NAME COMMAND...: run it, keep its status and its messages (NAME.err). For commands inside pipes.
stage () {
    stage_name=$1
    shift
    "$@" 2>"$stage_name.err"
    echo $? >"$stage_name.rc"
}

# stage_code NAME STATUS
stage_code () {
    test "$(cat "$1.rc")" = "$2" && return 0
    echo "stage $1: exit status $(cat "$1.rc"), expected $2"
    cat "$1.err"
    return 1
}

# What a damaged stream must lead to: a failure that the tool noticed, neither success nor a crash (126 and more).
test_rejects () {
    test "$1" -ne 0 && test "$1" -lt 126 && return 0
    echo "exit status $1 $2"
    return 1
}

# test_cut_every_byte STREAM COMMAND: COMMAND (a shell text that reads standard input) must fail on STREAM cut at any byte, without
# a crash, and succeed on the whole. Keep the stream small: the command runs once for each of its bytes. test_before, when set, is
# run before each, to remove what the command made.
test_cut_every_byte () {
    cut_size=$(($(wc -c <"$1"))) cut_at=0
    while test "$cut_at" -lt "$cut_size"; do
        eval "${test_before:-:}"
        head -c "$cut_at" "$1" >cut.tmp
        (eval "$2") <cut.tmp >cut.out 2>cut.err
        test_rejects $? "when cut at byte $cut_at of $cut_size" || { cat cut.err; return 1; }
        cut_at=$((cut_at + 1))
    done
    eval "${test_before:-:}"
    (eval "$2") <"$1" >cut.out 2>cut.err && return 0
    echo "fails on the whole stream"
    cat cut.err
    return 1
}

# flip_bit FILE OFFSET BIT: the file with one bit changed, on standard output.
flip_bit () {
    flip_byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    head -c "$2" "$1"
    printf "\\$(printf %o $((flip_byte ^ (1 << $3))))"
    tail -c +$(($2 + 2)) "$1"
}

# test_flip_every_byte STREAM COMMAND: likewise for one bit flipped in each byte, another one in the next.
test_flip_every_byte () {
    flip_size=$(($(wc -c <"$1"))) flip_at=0
    while test "$flip_at" -lt "$flip_size"; do
        eval "${test_before:-:}"
        flip_bit "$1" "$flip_at" $((flip_at % 8)) >cut.tmp
        (eval "$2") <cut.tmp >cut.out 2>cut.err
        test_rejects $? "with bit $((flip_at % 8)) of byte $flip_at flipped" || { cat cut.err; return 1; }
        flip_at=$((flip_at + 1))
    done
}
