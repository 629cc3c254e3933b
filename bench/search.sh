#!/bin/sh
# search.sh - exact search: the whole ft-search and ft-eval, their parts, and faiss's IndexFlatIP. `make bench-search` builds first and runs this.
#
#   COUNT=1000000 QUERIES=1000 DIM=384 K=20 THREADS=2 RUNS=3     the least seconds of RUNS count; all take turns
#   PEER_PYTHON=     a Python with faiss and numpy (default: that of ~/.cache/ft-peers)
#   PEER_CORE=       the OpenBLAS kernels that faiss is to use (default: SkylakeX where there is AVX-512; empty: OpenBLAS's own choice)
#
# Prints lines for people and scripts:
#
#   ft-search: N queries, X s whole, Z MB              from start to exit: the index read, the answers written
#   ft-eval: N queries, X s whole, Z MB                the same for the metrics: the whole ranking is looked at
#   ft: N queries, X s search, Y s read, W s ready, Z MB          index in memory, as ft-eval has it
#   faiss: N queries, X s search, Y s with add, Z MB              vectors in memory before, twice (numpy's and the index's)
#
# Why PEER_CORE: faiss's wheel brings an OpenBLAS that takes processors it does not know for the oldest one, and is then three to ten times
# slower. We are compared with its best.
set -eu
cd "$(dirname "$0")/.."
OUT=$PWD/build/bench/search.data
PATH=$PWD/bin:$PATH
COUNT=${COUNT:-1000000} QUERIES=${QUERIES:-1000} DIM=${DIM:-384} K=${K:-20} THREADS=${THREADS:-2} RUNS=${RUNS:-3}
PEER_PYTHON=${PEER_PYTHON:-$HOME/.cache/ft-peers/bin/python}
grep -qw avx512f /proc/cpuinfo && best=SkylakeX || best=
PEER_CORE=${PEER_CORE-$best}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
test -z "$PEER_CORE" || export OPENBLAS_CORETYPE="$PEER_CORE"
export THREADS
mkdir -p "$OUT"
rm -f "$OUT"/*.runs

# Made once for each size.
data () {
    test -f "$OUT/$1.npy" || { build/bench/search make "$2" "$DIM" "$3" "$OUT/$1.ft" && ft-export -q --force -o "$OUT/$1.npy" "$OUT/$1.ft"; }
}
index=index-$COUNT-$DIM queries=queries-$QUERIES-$DIM
data "$index" "$COUNT" 1
data "$queries" "$QUERIES" 2
"$PEER_PYTHON" -c 'import faiss, numpy' 2>/dev/null || { PEER_LESS=t; echo "no faiss here ($PEER_PYTHON): ours alone"; }

run=0
while test $run -lt "$RUNS"; do
    run=$((run + 1))
    /usr/bin/time -a -o "$OUT/ft-search.runs" -f '%e %M' \
        ft-search -q --index "$OUT/$index.ft" -k "$K" --threads "$THREADS" --force -o "$OUT/found.ft" <"$OUT/$queries.ft"
    /usr/bin/time -a -o "$OUT/ft-eval.runs" -f '%e %M' \
        ft-eval -q --index "$OUT/$index.ft" -k "$K" --threads "$THREADS" --force -o "$OUT/result" "$OUT/$queries.ft"
    build/bench/search time "$OUT/$index.ft" "$OUT/$queries.ft" "$K" "$THREADS" >>"$OUT/ft.runs"
    test -n "${PEER_LESS:-}" || "$PEER_PYTHON" bench/search.py "$OUT/$index.npy" "$OUT/$queries.npy" "$K" 1 >>"$OUT/faiss.runs"
done
for who in ft-search ft-eval; do
    sort -n "$OUT/$who.runs" | awk -v who=$who -v q="$QUERIES" 'NR == 1 { printf "%s: %d queries, %.2f s whole, %.0f MB\n", who, q, $1, $2 / 1024 }'
done
for who in ft faiss; do
    test ! -f "$OUT/$who.runs" || sort -n -k4,4 "$OUT/$who.runs" | head -n 1
done
