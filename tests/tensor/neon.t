#!/bin/sh
test_description='the kernels on 64-bit ARM: compiled for it, and run in an emulator'
. "$(dirname "$0")/../lib.sh"

test -n "${FT_CHECK_FULL:-}" || test_skip_all 'in make check-full only'
command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null ||
    test_skip_all 'needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user'

# OpenBLAS's header is not the cross compiler's; the library itself is loaded when it is called, and here there is none.
test_expect_success 'base and tensor compile' '
    mkdir include && for header in cblas.h openblas_config.h; do
        path=$(echo "#include <$header>" | ${CC:-cc} -E -xc - | sed -n "s,^# 1 \"\(.*/$header\)\".*,\1,p" | head -n 1)
        test ! -f "$path" || cp "$path" include || return 1
    done &&
    for file in "$TOP"/lib/base/*.c "$TOP"/lib/tensor/*.c "$TOP"/lib/tensor/*/*.c; do
        aarch64-linux-gnu-gcc -std=gnu11 -I"$TOP/lib" -idirafter include -D_GNU_SOURCE -ffp-contract=off -fno-math-errno \
            -fno-trapping-math -O2 -c "$file" -o "$(echo "${file#"$TOP/"}" | tr / _).o" || return 1
    done
'

test_expect_success 'what they compute is what plain C computes, with fused multiply-adds' '
    aarch64-linux-gnu-gcc -std=gnu11 -I"$TOP/lib" -D_GNU_SOURCE -ffp-contract=off -O2 "$TOP/tests/tensor/test-kernels.c" ./*.o -static -lm \
        -lpthread -o test-kernels &&
    aarch64-linux-gnu-objdump -d lib_tensor_cpu_level-baseline.c.o | grep -q fmla &&
    (cd "$TOP" && qemu-aarch64 "$OLDPWD/test-kernels") >out && test_grep "^1\.\." out && ! grep "^not ok" out
'

test_done
