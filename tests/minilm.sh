# minilm.sh - after lib.sh, in tests of the real model: `ft-pull minilm` fetches it once for all of them into build/ft-home (FT_HOME), and
# where it cannot be had the script is skipped, saying so on standard error too. FT_MINILM=DIR takes a model that is there already.

minilm_home=$TOP/build/ft-home
mkdir -p "$minilm_home" || exit 1
(
    flock 9
    test -f "$minilm_home/models/minilm/model.safetensors" || test -f "$minilm_home/unreachable" ||
        FT_HOME=$minilm_home ft-pull ${FT_MINILM:+--as} minilm ${FT_MINILM:+"$FT_MINILM"} >"$minilm_home/pull.log" 2>&1 ||
        mv "$minilm_home/pull.log" "$minilm_home/unreachable"
) 9>"$minilm_home/lock"
if test -f "$minilm_home/unreachable"; then
    echo "$0: SKIPPED: ft-pull minilm: $(tail -n 1 "$minilm_home/unreachable")" >&2
    test_skip_all "no MiniLM: $(tail -n 1 "$minilm_home/unreachable")"
fi
FT_HOME=$minilm_home
