#!/bin/sh
# bench.sh - speed and peak memory of whole commands, beside the peers where their environment is. `make bench` builds first and runs this.
#
#   ROWS=4096 PAIRS=1024 RUNS=3     texts, pairs, and how often; the median counts
#   PEER_PAIRS=256                  pairs a peer trains on, of the same: it is slow
#   DATA=DIR                        train.csv of text,label rows (default: ../shared/data/clinc150, else the demo's packages)
#   PEER_DIR= PEER_PYTHON=          scripts st-train.py and encode.py, and their Python
#   TABLE=1                         only the table again, of the runs that are there
#   IMAGES=                         (empty) without image models (bench/images.sh: four minutes)
#   SEARCH=1                        exact search among a million vectors too (bench/search.sh: three minutes and 3 GB of disk)
#
# Ours is timed from start to exit, saving included; a peer prints its own figure, with Python, the libraries and the model already loaded and
# nothing saved. The two take turns, and a ratio is the median of the ratios of neighbours: machines change their speed from minute to
# minute. Memory is the largest process's. Writes bench/RESULTS.md.
set -eu
cd "$(dirname "$0")/.."
ROOT=$PWD
OUT=$PWD/build/bench
PATH=$PWD/bin:$PATH
ROWS=${ROWS:-4096} PAIRS=${PAIRS:-1024} RUNS=${RUNS:-3} PEER_PAIRS=${PEER_PAIRS:-256}
PEER_DIR=${PEER_DIR:-$PWD/../shared/peers}
PEER_PYTHON=${PEER_PYTHON:-$HOME/.cache/ft-peers/bin/python}
# They hold OpenBLAS to slower kernels than the machine has.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
mkdir -p "$OUT"
test -n "${TABLE:-}" || rm -f "$OUT"/*.runs "$OUT"/*.command "$OUT/search.txt"

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
for list in labelled pairs; do
    ft-ingest -q --unlabeled --columns text=1 "$OUT/$list.csv" | ft-cat -q | sed -n 's/.*"text":"//; s/","tags".*//p' >"$OUT/$list.txt"
done
test -n "${PEER_LESS:-}" || "$PEER_PYTHON" -c 'import sentence_transformers' 2>/dev/null || PEER_LESS=t
test -z "${PEER_LESS:-}" || echo "no peers here ($PEER_PYTHON): ours alone"
ft-pull -q minilm >/dev/null
MODEL=${FT_HOME:-$HOME/.cache/ft}/models/minilm

# ---- runs: each adds a line "rate MB" to WORK.WHO.runs ------------------------------------------------------------------

# ours WORK TEXTS COMMAND
ours () {
    echo "$3" >"$OUT/$1.0ours.command"
    (cd "$OUT" && /usr/bin/time -f '%e %M' -o time sh -c "$3") 2>"$OUT/log" || { cat "$OUT/log"; exit 1; }
    awk -v n="$2" '{ printf "%.6f %.1f\n", n / ($1 > 0 ? $1 : 0.001), $2 / 1024 }' "$OUT/time" >>"$OUT/$1.ours.runs"
}

# peer WORK NAME SCRIPT ARGUMENT...: from the line it prints. Without a figure the run has none, so that neighbours stay neighbours.
peer () {
    work=$1 name=$2 script=$3
    shift 3
    test -z "${PEER_LESS:-}" || return 0
    echo "$script $*" >"$OUT/$work.1$name.command"
    (cd "$OUT" && "$PEER_PYTHON" "$PEER_DIR/$script" "$@") >"$OUT/log" 2>&1 || tail -n 5 "$OUT/log"
    sed -n 's,.* \([0-9.]*\) texts/s\, \([0-9.]*\) MB$,\1 \2,p' "$OUT/log" | grep . >>"$OUT/$work.$name.runs" || echo "- -" >>"$OUT/$work.$name.runs"
}

# figure WORK WHO NAME: from a line "NAME: ... X texts/s ..." or MB/s on standard input, the first.
figure () {
    awk -v name="$3:" '$1 == name { for (i = 3; i <= NF; i++) if ($i ~ /^(texts|MB)\/s/) { print $(i - 1), "-"; exit } }' >>"$OUT/$1.$2.runs"
}

# The three parts that have no model in them.
parts () {
    echo "bench-tokenizer minilm labelled.txt" >"$OUT/tokenize.0ours.command"
    "$ROOT/build/tests/data/bench-tokenizer" "$MODEL" "$OUT/labelled.txt" | figure tokenize ours ft
    if test -z "${PEER_LESS:-}"; then
        echo "tokenizing.py minilm labelled.txt" >"$OUT/tokenize.1tokenizers.command"
        "$PEER_PYTHON" bench/tokenizing.py "$MODEL" "$OUT/labelled.txt" | figure tokenize tokenizers tokenizers
    fi
    echo "bench-ingest" >"$OUT/ingest.0ours.command"
    "$ROOT/build/tests/data/bench-ingest" >"$OUT/log"
    sed '1,/^pairs/d' "$OUT/log" | figure ingest ours ft-ingest
    sed '1,/^pairs/d' "$OUT/log" | figure ingest libcsv libcsv
    echo "bench-stream" >"$OUT/stream.0ours.command"
    "$ROOT/build/tests/stream/bench-stream" >"$OUT/log"
    figure stream ours stream <"$OUT/log"
    figure stream copy copy <"$OUT/log"
}

run=0
test -z "${TABLE:-}" || run=$RUNS
while test $run -lt "$RUNS"; do
    run=$((run + 1))
    echo "run $run of $RUNS"
    for p in fp32 bf16; do
        st=st ov=ov
        test $p = fp32 || st=st-bf16 ov=ov-bf16
        ours train-labelled-$p "$ROWS" \
            "ft-ingest -q --labeled labelled.csv | ft-train -q --precision $p --loss triplet --epochs 1 --batch 128 --force -o tuned"
        peer train-labelled-$p st st-train.py labelled.csv $p triplet "$ROWS" 128
        for name in $ov $st; do
            ours embed-labelled-$p "$ROWS" "ft-ingest -q --labeled labelled.csv | ft-embed -q --precision $p -m minilm --force -o embedded"
            peer embed-labelled-$p "$name" encode.py "$name" labelled.csv
        done
        test "$PAIRS" != 0 || continue
        ours train-pairs-$p $((2 * PAIRS)) \
            "ft-ingest -q --pairs pairs.csv | ft-train -q --precision $p --epochs 1 --batch 64 --force -o tuned"
        peer train-pairs-$p st st-train.py pairs.csv $p mnrl "$PEER_PAIRS" 64
        for name in $ov $st; do
            ours embed-descriptions-$p "$PAIRS" \
                "ft-ingest -q --unlabeled --columns text=2 pairs.csv | ft-embed -q --precision $p -m minilm --force -o embedded"
            peer embed-descriptions-$p "$name" encode.py "$name" pairs.csv:2
        done
    done
    parts
done
for run in 1 2 3 4 5 6 7 8 9; do
    test -z "${TABLE:-}" || break
    ours one-sentence 1 'for i in 1 2 3 4 5 6 7 8 9 10; do echo "one sentence" | ft-ingest -q --unlabeled | ft-embed -q -m minilm >embedded; done'
done
test -z "${SEARCH:-}" || test -n "${TABLE:-}" || bench/search.sh | tee "$OUT/search.txt"

# ---- the table ----------------------------------------------------------------------------------------------------------

. bench/table.sh

{
    echo '# Speed and memory'
    echo
    echo "$(LC_ALL=C lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) CPUs; $(. /etc/os-release && echo "$PRETTY_NAME");" \
        "$(ft-train --version); ${CC:-cc} $(${CC:-cc} -dumpversion); MiniLM-L6; $ROWS texts ($texts), $PAIRS pairs; median of $RUNS runs."
    test -n "${PEER_LESS:-}" || "$PEER_PYTHON" -c 'import torch, transformers, sentence_transformers as s, openvino as o, tokenizers as t
print(f"Peers: st is sentence-transformers {s.__version__} on torch {torch.__version__} and transformers {transformers.__version__}; "
      f"ov is OpenVINO {o.__version__.split(chr(45))[0]}; tokenizers {t.__version__}, one thread beside one of ours.")' 2>/dev/null
    echo
    columns
    for p in fp32 bf16; do
        st=st ov=ov
        test $p = fp32 || st=st-bf16 ov=ov-bf16
        row train-labelled-$p "training, labelled texts, triplet, batch 128, $p" texts/s st
        row train-pairs-$p "training, synopsis and description, infonce, 64 pairs, $p" texts/s st
        row embed-labelled-$p "embedding, labelled texts, $p" texts/s $ov $st
        row embed-descriptions-$p "embedding, descriptions, $p" texts/s $ov $st
    done
    row tokenize "tokenizing, one thread" texts/s tokenizers
    row ingest "ft-ingest, pairs of 500 bytes and more" MB/s libcsv
    row stream "stream, documents of 60 bytes, encode and decode in one thread" MB/s copy
    echo
    echo "One sentence from start to embedding: $(median 1 <"$OUT/one-sentence.ours.runs" | awk '{ printf "%.0f", 100 / $1 }') ms," \
        "$(median 2 <"$OUT/one-sentence.ours.runs" | awk '{ printf "%.0f", $1 }') MB."
    if test -s "$OUT/search.txt"; then
        echo
        echo 'Exact search, 1,000,000 vectors of 384 numbers, 1,000 queries, k 20, two threads; the least of three (`make bench-search`):'
        echo
        sed 's/^/    /' "$OUT/search.txt"
    fi
    echo
    echo 'Ours is the whole command from start to exit, saving included; a peer, its own figure once Python, its libraries and the model are'
    echo 'loaded, nothing saved. Ratios are medians of the ratios of runs beside each other. Memory is the largest process. By `make bench`:'
    echo
    for command in "$OUT"/*.command; do
        echo "    $(cat "$command")"
    done
} >"$OUT/RESULTS.md"
# What bench/images.sh wrote last time stays until it writes anew.
sed -n '/^## Images$/,$p' bench/RESULTS.md | awk 'NR == 1 { print "" } { print }' >>"$OUT/RESULTS.md"
cp "$OUT/RESULTS.md" bench/RESULTS.md
test -n "${IMAGES-t}" && bench/images.sh >/dev/null
cat bench/RESULTS.md
