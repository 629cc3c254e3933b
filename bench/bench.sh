#!/bin/sh
# bench.sh - speed and peak memory of whole commands, beside the peers where their environment is. `make bench` builds first and runs this.
#
#   ROWS=4096 PAIRS=1024 RUNS=3     texts, pairs, and how often; the median counts
#   DATA=DIR                        train.csv of text,label rows (default: ../shared/data/clinc150, else the demo's packages)
#   PEER_DIR= PEER_PYTHON= PEERS=   scripts st-train.py and encode.py, their Python, and which of st ort ov embed beside us
#
# Ours is timed from start to exit, saving included; a peer prints its own figure, with Python, the libraries and the model already loaded and
# nothing saved: ratios are against that. Both take turns, in one run. Memory is the largest process's. Writes bench/RESULTS.md.
set -eu
cd "$(dirname "$0")/.."
OUT=$PWD/build/bench
PATH=$PWD/bin:$PATH
ROWS=${ROWS:-4096} PAIRS=${PAIRS:-1024} RUNS=${RUNS:-3} PEERS=${PEERS:-st}
PEER_DIR=${PEER_DIR:-$PWD/../shared/peers}
PEER_PYTHON=${PEER_PYTHON:-$HOME/.cache/ft-peers/bin/python}
# They hold OpenBLAS to slower kernels than the machine has.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
mkdir -p "$OUT"
rm -f "$OUT"/*.runs "$OUT"/*.command

# ---- data ---------------------------------------------------------------------------------------------------------------

test -n "${DATA:-}" || { test -f ../shared/data/clinc150/train.csv && DATA=../shared/data/clinc150; } || DATA=
if test -n "$DATA"; then
    texts="$(basename "$DATA")"
    cp "$DATA/train.csv" "$OUT/all.csv"
else
    texts='package synopses'
    apt-cache dumpavail | LC_ALL=C awk -v dir="$OUT" -f pipelines/demo/packages.awk >/dev/null
    sed 1d "$OUT/train.csv" >"$OUT/all.csv"
fi
shuf -n "$ROWS" --random-source="$OUT/all.csv" "$OUT/all.csv" >"$OUT/labelled.csv"
: >"$OUT/all.csv"
for list in /var/lib/apt/lists/*_i18n_Translation-en*; do
    test ! -f "$list" || /usr/lib/apt/apt-helper cat-file "$list"
done | LC_ALL=C awk -f bench/pairs.awk >"$OUT/all.csv"
shuf -n "$PAIRS" --random-source="$OUT/all.csv" "$OUT/all.csv" >"$OUT/pairs.csv"
test -s "$OUT/pairs.csv" || echo "no descriptions of packages here (apt-get -o Acquire::Languages=en update fetches them): pairs are left out"
ROWS=$(wc -l <"$OUT/labelled.csv") PAIRS=$(wc -l <"$OUT/pairs.csv")
test -n "${PEER_LESS:-}" || "$PEER_PYTHON" -c 'import sentence_transformers' 2>/dev/null || PEER_LESS=t
test -z "${PEER_LESS:-}" || echo "no peers here ($PEER_PYTHON): ours alone"
ft-pull -q minilm >/dev/null

# ---- runs ---------------------------------------------------------------------------------------------------------------

# ours WORK TEXTS COMMAND: one line "texts/s MB" into WORK.ours.runs.
ours () {
    echo "$3" >"$OUT/$1.ours.command"
    (cd "$OUT" && /usr/bin/time -f '%e %M' -o time sh -c "$3") 2>"$OUT/log" || { cat "$OUT/log"; exit 1; }
    awk -v n="$2" '{ printf "%.6f %.1f\n", n / ($1 > 0 ? $1 : 0.001), $2 / 1024 }' "$OUT/time" >>"$OUT/$1.ours.runs"
}

# peer WORK NAME SCRIPT ARGUMENT...: likewise, from the line it prints.
peer () {
    work=$1 name=$2 script=$3
    shift 3
    test -z "${PEER_LESS:-}" || return 0
    echo "$script $*" >"$OUT/$work.$name.command"
    (cd "$OUT" && "$PEER_PYTHON" "$PEER_DIR/$script" "$@") >"$OUT/log" 2>&1 || { tail -n 5 "$OUT/log"; return 0; }
    sed -n 's,.* \([0-9.]*\) texts/s\, \([0-9.]*\) MB$,\1 \2,p' "$OUT/log" >>"$OUT/$work.$name.runs"
}

run=0
while test $run -lt "$RUNS"; do
    run=$((run + 1))
    echo "run $run of $RUNS"
    ours train-labelled "$ROWS" 'ft-ingest -q --labeled labelled.csv | ft-train -q --epochs 1 --batch 128 --force -o tuned'
    peer train-labelled st st-train.py labelled.csv fp32 triplet "$ROWS" 128
    ours embed-labelled "$ROWS" 'ft-ingest -q --labeled labelled.csv | ft-embed -q -m minilm --force -o embedded'
    for name in $PEERS; do peer embed-labelled "$name" encode.py "$name" labelled.csv; done
    test "$PAIRS" != 0 || continue
    ours train-pairs $((2 * PAIRS)) 'ft-ingest -q --pairs pairs.csv | ft-train -q --epochs 1 --batch 64 --force -o tuned'
    peer train-pairs st st-train.py pairs.csv fp32 mnrl "$PAIRS" 64
    ours embed-descriptions "$PAIRS" 'ft-ingest -q --unlabeled --columns text=2 pairs.csv | ft-embed -q -m minilm --force -o embedded'
    for name in $PEERS; do peer embed-descriptions "$name" encode.py "$name" pairs.csv:2; done
done
for run in 1 2 3 4 5 6 7 8 9; do
    ours one-sentence 1 'for i in 1 2 3 4 5 6 7 8 9 10; do echo "one sentence" | ft-ingest -q --unlabeled | ft-embed -q -m minilm >embedded; done'
done

# ---- the table ----------------------------------------------------------------------------------------------------------

# median WORK WHO COLUMN
median () {
    sort -n -k"$3,$3" "$OUT/$1.$2.runs" | awk -v c="$3" '{ v[NR] = $c } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

row () {
    test -s "$OUT/$1.ours.runs" || return 0
    alone=t
    for runs in "$OUT/$1".*.runs; do
        name=${runs#"$OUT/$1".} name=${name%.runs}
        test "$name" != ours && test -s "$runs" || continue
        alone=
        echo "$2|$name $(median "$1" ours 1) $(median "$1" "$name" 1) $(median "$1" ours 2) $(median "$1" "$name" 2)"
    done | awk -F'|' '{ split($2, v, " "); printf "| %s | %.0f | %s %.1f | %.1f | %.0f | %.0f | 1/%.1f |\n",
        $1, v[2], v[1], v[3], v[2] / v[3], v[4], v[5], v[5] / v[4] }' >"$OUT/row"
    test -s "$OUT/row" || printf '| %s | %.0f | - | - | %.0f | - | - |\n' "$2" "$(median "$1" ours 1)" "$(median "$1" ours 2)" >"$OUT/row"
    cat "$OUT/row"
}

{
    echo '# Speed and memory'
    echo
    echo "$(LC_ALL=C lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) CPUs; $(. /etc/os-release && echo "$PRETTY_NAME");" \
        "$(ft-train --version); ${CC:-cc} $(${CC:-cc} -dumpversion); MiniLM-L6, fp32; $ROWS texts ($texts), $PAIRS pairs; median of $RUNS runs."
    test -n "${PEER_LESS:-}" || "$PEER_PYTHON" -c 'import torch, transformers, sentence_transformers as s
print(f"Peers: torch {torch.__version__}, transformers {transformers.__version__}, sentence-transformers {s.__version__}.")' 2>/dev/null
    echo
    echo '| work | ours, texts/s | peer, texts/s | ratio | ours, MB | peer, MB | ratio |'
    echo '|---|---|---|---|---|---|---|'
    row train-labelled 'training, labelled texts, batch 128'
    row train-pairs 'training, synopsis and description, 64 pairs'
    row embed-labelled 'embedding, labelled texts'
    row embed-descriptions 'embedding, descriptions'
    echo
    echo "One sentence from start to embedding: $(median one-sentence ours 1 | awk '{ printf "%.0f", 100 / $1 }') ms," \
        "$(median one-sentence ours 2 | awk '{ printf "%.0f", $1 }') MB."
    echo
    echo 'Ours is the whole command from start to exit, saving included; the peer, its own figure once Python, its libraries and the model are'
    echo 'loaded, nothing saved. Memory is the largest process. By `make bench`:'
    echo
    for command in "$OUT"/*.command; do
        echo "    $(cat "$command")"
    done
} >"$OUT/RESULTS.md"
cp "$OUT/RESULTS.md" bench/RESULTS.md
cat bench/RESULTS.md
