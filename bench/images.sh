#!/bin/sh
# images.sh - ResNet-50, EfficientNet-B0 and CLIP's two towers (ViT-B/32), embedding and training, beside timm's and transformers' in torch where they are.
# `make bench-images` builds first and runs this.
#
#   BATCH=16 RUNS=3 SECONDS_EACH=2     images a step; how often, the median counts; seconds of a run, two steps at least
#   THREADS=2 BATCH_NORM='keep train'  of both; keep: batch norms go by running statistics, as in ft-train by default; train: by the batch's, as in torch
#   MODELS=, PRECISIONS=               some of them
#   PEER_PYTHON=                       a Python with torch and timm (default: that of ~/.cache/ft-peers)
#   TABLE=1                            only the table again, of the runs that are there
#
# Both sides are timed inside, once they are warm, over tensors in memory: no decoding, no files (bench/images.c, images.py). The two take turns, each
# in a process of its own, and a ratio is the median of the ratios of neighbours. Writes the part "Images" of bench/RESULTS.md.
set -eu
cd "$(dirname "$0")/.."
OUT=$PWD/build/bench/images.data
BATCH=${BATCH:-16} RUNS=${RUNS:-3} SECONDS_EACH=${SECONDS_EACH:-2} THREADS=${THREADS:-2} BATCH_NORM=${BATCH_NORM:-keep train}
MODELS=${MODELS:-resnet50 efficientnet_b0 clip} PRECISIONS=${PRECISIONS:-fp32 bf16}
PEER_PYTHON=${PEER_PYTHON:-$HOME/.cache/ft-peers/bin/python}
export THREADS
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
. bench/table.sh
mkdir -p "$OUT"
test -n "${TABLE:-}" || rm -f "$OUT"/*.runs
test -n "$(find "$OUT" -name '*.runs')" || test -z "${TABLE:-}" || exit 0
test -n "${PEER_LESS:-}" || "$PEER_PYTHON" -c 'import timm, torch, transformers' 2>/dev/null || { PEER_LESS=t; echo "no torch and timm here ($PEER_PYTHON): ours alone"; }

# figure WORK WHO COMMAND...: from the line it prints. A peer without a figure has had its turn all the same.
figure () {
    runs=$OUT/$1.$2.runs who=$2
    shift 2
    "$@" >"$OUT/log" 2>&1 || { tail -n 5 "$OUT/log"; test "$who" != ours || exit 1; }
    sed -n 's,.* \([0-9.]*\) images/s\, \([0-9.]*\) MB$,\1 \2,p' "$OUT/log" | grep . >>"$runs" || echo "- -" >>"$runs"
}

# CLIP has no batch norms.
norms () {
    if test "$1" = clip; then echo keep; else echo "$BATCH_NORM"; fi
}

run=0
test -z "${TABLE:-}" || run=$RUNS
while test $run -lt "$RUNS"; do
    run=$((run + 1))
    echo "images, run $run of $RUNS"
    for model in $MODELS; do
        test -f "$OUT/$model/model.safetensors" || build/bench/images make "$model" "$OUT/$model"
        for p in $PRECISIONS; do
            figure "embed-$model-$p" ours build/bench/images embed "$OUT/$model" "$p" "$BATCH" "$SECONDS_EACH" "$THREADS"
            test -n "${PEER_LESS:-}" || figure "embed-$model-$p" torch "$PEER_PYTHON" bench/images.py embed "$model" "$p" "$BATCH" "$SECONDS_EACH"
            for norm in $(norms "$model"); do
                figure "$norm-$model-$p" ours build/bench/images train "$OUT/$model" "$p" "$BATCH" "$SECONDS_EACH" "$THREADS" "$norm"
                test -n "${PEER_LESS:-}" ||
                    figure "$norm-$model-$p" torch "$PEER_PYTHON" bench/images.py train "$model" "$p" "$BATCH" "$SECONDS_EACH" "$norm"
            done
        done
    done
done

title () {
    case $1 in resnet50) echo ResNet-50 ;; efficientnet_b0) echo EfficientNet-B0 ;; clip) echo 'CLIP ViT-B/32' ;; *) echo "$1" ;; esac
}

{
    sed '/^## Images$/,$d' bench/RESULTS.md | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
    echo
    echo '## Images'
    echo
    echo "$(LC_ALL=C lscpu | sed -n 's/^Model name: *//p' | head -n 1), $THREADS threads; random weights; a batch of $BATCH images of 224 x 224 that are" \
        "pixels already; median of $RUNS runs."
    test -n "${PEER_LESS:-}" || "$PEER_PYTHON" -c 'import timm, torch, transformers
print(f"The peer is timm {timm.__version__}, for CLIP transformers {transformers.__version__}, on torch {torch.__version__}, channels last, bf16 by autocast.")'
    echo
    columns
    for p in $PRECISIONS; do
        for kind in embed $BATCH_NORM; do
            for model in $MODELS; do
                case $kind-$model in
                    embed-*) name=embedding ;; *-clip) name=training ;; keep-*) name='training, running statistics' ;; *) name="training, batch's statistics" ;;
                esac
                test "$kind-$model" = train-clip || row "$kind-$model-$p" "$(title "$model"), $name, $p" images/s torch
            done
        done
    done
    echo
    echo 'Of CLIP what is counted are pairs of an image and a text of 16 tokens, as many as images in a batch of the others.'
    echo 'Both are timed inside, from the second step on. Embedding: from pixels (ours 8-bit, torch its floats, normalised before) to the pooled vector.'
    echo 'Training: forward, softmax both ways over the cosines of pairs, backward, AdamW with decay; batch norms go by their running statistics, which is'
    echo "the default of ft-train, or by the batch's own, which is torch's; ours then by those of as many images as go through at once. ft-train keeps what"
    echo 'activations fit into its 2 GiB and makes the rest again. By `make bench-images`:'
    echo
    echo "    images embed|train resnet50|efficientnet_b0 fp32|bf16 $BATCH $SECONDS_EACH $THREADS"
    echo "    images.py embed|train resnet50|efficientnet_b0 fp32|bf16 $BATCH $SECONDS_EACH"
} >"$OUT/RESULTS.md"
cp "$OUT/RESULTS.md" bench/RESULTS.md
sed -n '/^## Images$/,$p' bench/RESULTS.md
