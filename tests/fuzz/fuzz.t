#!/bin/sh
# Every fuzz-*.c, some inputs each; make check-full builds them with sanitizers and gives each FT_FUZZ_SECONDS.
test_description='damaged input: errors, never a crash'
. "$(dirname "$0")/../lib.sh"

runs=400
test -z "$FT_FUZZ_SECONDS" || runs=1000000000

# A crash has a status of its own; 124 is the time that was up. Paths of some targets lead from the top of the tree.
fuzz () {
    (cd "$TOP" && timeout -k 5 "${FT_FUZZ_SECONDS:-20}" "$1" $runs "${FT_FUZZ_SEED:-1}")
    fuzz_rc=$?
    test $fuzz_rc -eq 0 || test $fuzz_rc -eq 124
}

for target in "$TOP"/tests/fuzz/fuzz-*.c; do
    target=$(basename "$target" .c)
    test_expect_success "$target" 'fuzz "${FT_BUILD:-$TOP/build}/tests/fuzz/$target"'
done
test_done
