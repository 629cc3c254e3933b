# world.sh - what the tests of the pipe stand on: a tiny BERT with dropout, small made-up corpora, and short names for the three ways to train.
#
# A test sources it after tests/lib.sh. FT_CHECK_FULL=1 asks for the long variants: every byte instead of every seventh, ten kills instead of three.
# Random moments come from $FT_SEED (printed; set it to repeat a failure).

full=${FT_CHECK_FULL:+t}
# Nothing here may hang: whatever takes longer has, and ends with status 124. On a busy machine 20 seconds were too few.
limit='timeout -k 5 60'
test -z "$FT_SANITIZE" || limit='timeout -k 5 120'

# Dropout on, in the configuration's own words, so that a change of the golden model cannot turn it off unseen.
cp -rL "$TOP/tests/golden/model/mean" model || exit 1
chmod -R u+w model
sed -i 's/\("hidden_dropout_prob"\|"attention_probs_dropout_prob"\): [0-9.]*/\1: 0.1/' model/config.json

# corpus KIND ROWS SEED: words of the model's vocabulary; a label (or an answer) goes with some of the words.
corpus () {
    awk -v kind="$1" -v rows="$2" -v seed="$3" 'BEGIN {
        srand(seed)
        n = split("the cat sat on mat dog bird edit photo music play web what is my balance can you tell me time in new many word it", word, " ")
        if (kind == "labelled") print "text,label"
        for (i = 0; i < rows; i++) {
            label = i % 6
            a = word[1 + label * 4]
            b = word[2 + label * 4]
            for (k = int(rand() * 7); k >= 0; k--) {
                a = a " " word[1 + int(rand() * n)]
                b = b " " word[1 + int(rand() * n)]
            }
            a = a " " i
            b = b " " i " it"
            if (kind == "labelled") printf "%s,topic%d\n", a, label
            if (kind == "pairs") printf "%s\t%s\n", a, b
            if (kind == "triplets") printf "%s\t%s\t%s\n", a, b, word[1 + (label + 1) % 6 * 4] " " i
            if (kind == "scored") printf "%s\t%s\t0.%d\n", a, b, i % 10
        }
    }'
}

# documents KIND ROWS SEED >STREAM
documents () {
    case $1 in
    labelled) corpus "$@" >documents.tmp && ft-ingest -q --labeled documents.tmp ;;
    *) corpus "$@" >documents.tmp && ft-ingest -q --format tsv --"$1" documents.tmp ;;
    esac
}

# new_run DIR OPTION...: a run that nothing has trained yet, as the pipe wants it.
new_run () {
    new_run_directory=$1
    shift
    $limit ft-train -q -m model -o "$new_run_directory" --steps 0 "$@"
}

# least COMMAND...: the --memory that training asks for where it has none, and a little more, in which nothing can be kept.
least () {
    "$@" -q --memory 1 -o least-refused 2>least.err
    test $? -eq 2 && sed -n 's/.* takes at least \([0-9]*\): .*/\1/p' least.err | awk '{ memory = $1 + 8 } END { if (!NR) exit 1; print memory "M" }'
}

# piped RUN STREAM OPTION...: the three filters; options are ft-update's. Statuses and messages are left by stage().
piped () {
    piped_run=$1 piped_stream=$2
    shift 2
    stage embed $limit ft-embed -q -m "$piped_run" "$piped_stream" |
        stage loss $limit ft-loss -q -m "$piped_run" |
        stage update $limit ft-update -q -m "$piped_run" "$@" >steps
    cat embed.err loss.err update.err
    test "$(cat embed.rc loss.rc update.rc | tr -d '\n')" = 000
}

# same RUN RUN...: the models are the same bytes.
same () {
    same_first=$1
    shift
    for same_other; do
        cmp "$same_first/model.safetensors" "$same_other/model.safetensors" || return 1
    done
}

# The opposite; both must be there.
differ () {
    test -s "$1/model.safetensors" && test -s "$2/model.safetensors" && ! cmp -s "$1/model.safetensors" "$2/model.safetensors"
}

FT_SEED=${FT_SEED:-$(date +%s)}
echo "# FT_SEED=$FT_SEED"
# random_below N: dash has no RANDOM; Park and Miller's generator instead.
random_below () {
    FT_SEED=$(((FT_SEED % 2147483646 + 1) * 48271 % 2147483647))
    random=$((FT_SEED % $1))
}

# killable NAME COMMAND...: like stage, under the time limit, and NAME.pid says whom to kill.
killable () {
    rm -f "$1.pid"
    killable_name=$1
    shift
    stage "$killable_name" $limit sh -c 'echo $$ >"$0.pid.new"; mv "$0.pid.new" "$0.pid"; exec "$@"' "$killable_name" "$@"
}

# The process of a killable stage, once it has started.
pid_of () {
    pid_tries=0
    until test -s "$1.pid"; do
        sleep .01
        test $((pid_tries += 1)) -lt 1000 || return 1
    done
    cat "$1.pid"
}

# background NAME COMMAND...: killable, going on by itself; job is what to wait for.
background () {
    rm -f "$1.pid" "$1.rc"
    killable "$@" &
    job=$!
}

# piped_killable RUN STREAM OPTION...: piped, but in the background, so that somebody may be killed.
piped_killable () {
    rm -f embed.pid loss.pid update.pid
    pk_run=$1 pk_stream=$2
    shift 2
    { killable embed ft-embed -q -m "$pk_run" "$pk_stream" | killable loss ft-loss -q -m "$pk_run" |
        killable update ft-update -q -m "$pk_run" "$@" >steps; } &
    job=$!
}

# No stage may have needed the time limit's help.
nobody_hung () {
    for stage_name; do
        test "$(cat "$stage_name.rc")" -ne 124 || { echo "$stage_name hung"; return 1; }
    done
}

applied () {
    wc -l <"$1/run/log.jsonl"
}
