#!/bin/sh
test_description='a whole ViT-B/32 with random weights beside transformers in float64: embeddings, the loss, every gradient (tests/golden/clip/full.py)'
. "$(dirname "$0")/../lib.sh"

test -n "${FT_CHECK_FULL:-}" || test_skip_all 'in make check-full only'
python=${FT_PYTHON:-python3}
$python -c 'import PIL, numpy, open_clip, safetensors, torch, transformers' 2>/dev/null ||
    test_skip_all "$python (or what FT_PYTHON names) lacks Pillow, numpy, open_clip_torch, safetensors, torch or transformers"
test "$(awk '/^MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 6 || test_skip_all 'less than 6 GiB of memory free'

test_expect_success 'ViT-B/32, eight pairs' '
    $python "$TOP/tests/golden/clip/full.py" --keep full
'

test_done
