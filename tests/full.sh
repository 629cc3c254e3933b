#!/bin/sh
# full.sh - what `make check-full` runs: all tests under one circumstance after another, the most of each (FT_CHECK_FULL=1) at the end. Each
# step ends in prove's own summary, and the last line says which steps failed. FULL_STEPS="sanitizers ..." runs only those.
set -u
cd "$(dirname "$0")/.." || exit
make="${MAKE:-make} --no-print-directory -j${JOBS:-$(nproc)} run-check"
units='$(TESTS)'
failed=''

# step NAME [VARIABLE=VALUE...] MAKE... : a step that fails does not keep the next from being taken.
step () {
    name=$1
    shift
    case " ${FULL_STEPS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    printf '\n== %s: %s\n' "$name" "$*"
    env "$@" || failed="$failed $name"
}

unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE FT_CPU FT_BLAS

# An allocation of exabytes is to be refused, as without a sanitizer, and what becomes of the refusal is what is tested.
step sanitizers FT_FUZZ_SECONDS="${FT_FUZZ_SECONDS:-30}" TEST_SECONDS=1200 \
    ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 $make BUILD=build-asan SANITIZE=address,undefined

# What this CPU cannot run falls back to what it can; oneDNN, where it is, is held to the same.
for level in plain:DEFAULT baseline:SSE41 avx2:AVX2 avx512:DEFAULT; do
    step ${level%:*} FT_CPU=${level%:*} ONEDNN_MAX_CPU_ISA=${level#*:} $make T="$units"
done

# OpenBLAS chooses its kernels by these, and its rounding with them.
step openblas FT_BLAS=openblas $make
for core in Haswell Prescott; do
    step $core FT_BLAS=openblas OPENBLAS_CORETYPE=$core OPENBLAS_L2_SIZE=262144 $make
done

step everything FT_CHECK_FULL=1 TEST_SECONDS=1200 $make

test -z "$failed" || { echo "failed:$failed"; exit 1; }
