#!/usr/bin/env bash
# ft-sample.t - the tool: kinds, options, seeds, broken and aborted input, exit statuses. What batches promise is tested in test-sampler.c.
set -u
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
count=0 failed=0

# check TITLE COMMAND...: the command succeeds
check() {
    local title=$1; shift
    count=$((count + 1))
    if "$@"; then echo "ok $count - $title"; else echo "not ok $count - $title"; failed=1; fi
}

# status WANTED MESSAGE INPUT ARGUMENTS...: ft-sample ends with that status, and says that
status() {
    local wanted=$1 message=$2 input=$3; shift 3
    timeout 20 ft-sample "$@" <"$input" >"$dir/out" 2>"$dir/err"
    local got=$?
    if [ $got -ne "$wanted" ] || ! grep -qF -- "$message" "$dir/err"; then
        echo "# status $got, wanted $wanted; said: $(head -c 300 "$dir/err")"
        return 1
    fi
}

sample() { ft-sample -q "$@" 2>/dev/null; }

{ for label in a b c d e; do for i in 1 2 3 4 5 6; do echo "text $label$i,$label"; done; done; } >"$dir/labelled.csv"
for i in 1 2 3 4 5 6; do echo "query $i,answer $i"; done >"$dir/pairs.csv"
for i in 1 2 3 4; do echo "a $i,b $i,0.$i"; done >"$dir/scored.csv"
ft-ingest -q --labeled "$dir/labelled.csv" >"$dir/labelled" 2>/dev/null
ft-ingest -q --pairs "$dir/pairs.csv" >"$dir/pairs" 2>/dev/null
ft-ingest -q --scored "$dir/scored.csv" >"$dir/scored" 2>/dev/null

check "labelled documents: classes" status 0 "classes: 5 batches of 20 rows in 3 epochs" "$dir/labelled" --batch 20
check "pairs: pairs" status 0 "pairs: 9 batches of 2 rows in 3 epochs" "$dir/pairs" --batch 2
check "scored pairs: scored" status 0 "scored: 3 batches of 4 rows" "$dir/scored"
check "--triplets of labelled documents" status 0 "triplets: 4 batches of 8 rows in 1 epochs" "$dir/labelled" --triplets --batch 8 --epochs 1
check "--triplets of pairs" status 0 "triplets: 3 batches of 6 rows" "$dir/pairs" --triplets
check "--pairs of labelled documents" status 0 "pairs: 9 batches of 5 rows" "$dir/labelled" --pairs --batch 5
check "--random" status 0 "random: 2 batches of 16 rows in 1 epochs" "$dir/labelled" --random --batch 16 --epochs 1
check "--drop-last" status 0 "random: 1 batches of 16 rows in 1 epochs" "$dir/labelled" --random --batch 16 --epochs 1 --drop-last
check "the counts are the last line" status 0 "ft-sample: in=30 out=5 bad=0 secs=" "$dir/labelled" --batch 20
check "K raised, and said" status 0 "5 labels, fewer than the 64 places of a batch: 6 documents of each instead of 4, 30 rows" "$dir/labelled"

# The same seed, the same bytes; the history in the header names each command line, so the seed comes from the stream in one case.
sample --batch 8 --seed 3 <"$dir/labelled" >"$dir/a"
sample --batch 8 --seed 3 <"$dir/labelled" >"$dir/b"
sample --batch 8 --seed 4 <"$dir/labelled" >"$dir/c"
check "the same seed gives the same bytes" bash -c "test -s '$dir/a' && cmp -s '$dir/a' '$dir/b'"
check "another seed does not" bash -c "! cmp -s '$dir/a' '$dir/c'"
ft-ingest -q --labeled --seed 3 "$dir/labelled.csv" 2>/dev/null >"$dir/seeded"
sample --batch 8 <"$dir/seeded" | tail -c 1000 | head -c 900 >"$dir/inherited"
tail -c 1000 "$dir/a" | head -c 900 >"$dir/given"
check "the seed of the stream is inherited" bash -c "test -s '$dir/given' && cmp -s '$dir/inherited' '$dir/given'"
sample --batch 8 --seed 3 -o "$dir/file" "$dir/labelled"
check "-o writes a file" test -s "$dir/file"
check "and does not replace it" status 2 "$dir/file" "$dir/labelled" -o "$dir/file"
check "unless --force says so" status 0 "in=30" "$dir/labelled" -o "$dir/file" --force
check "several files are one corpus" status 0 "in=60" /dev/null "$dir/labelled" "$dir/labelled"

check "two kinds are refused" status 2 "--classes and --triplets" "$dir/labelled" --classes --triplets
check "classes without labels are refused" status 3 "no labels for --classes" "$dir/pairs" --classes
check "a batch of one pair is refused" status 2 "--batch 1" "$dir/pairs" --batch 1
check "a batch of one class is refused" status 2 "holds one class" "$dir/labelled" --batch 6 --per-class 6
check "no epoch at all is refused" status 2 "--epochs 0" "$dir/labelled" --epochs 0
check "an unknown option is refused" status 2 "--random" "$dir/labelled" --shuffle
check "batches are no documents" status 3 "documents" "$dir/a"
check "no stream" status 3 "no stream" /dev/null
check "text is no stream" status 3 "" "$dir/labelled.csv"
check "a full disk" bash -c "ft-sample -q <'$dir/labelled' >/dev/full 2>/dev/null; [ \$? -eq 4 ]"
check "a reader that leaves" bash -c "timeout 20 ft-sample -q --batch 8 --epochs 20000 <'$dir/labelled' 2>'$dir/err' | head -c 10 >/dev/null; [ \${PIPESTATUS[0]} -eq 141 ]"

# Every cut of a stream is an error, and so is what follows from it downstream.
printf 'p,x\nq,x\nr,y\ns,y\n' | ft-ingest -q --labeled - 2>/dev/null >"$dir/small"
size=$(stat -c %s "$dir/small") silent=
for ((n = 0; n < size; n++)); do
    head -c "$n" "$dir/small" | ft-sample -q >"$dir/out" 2>/dev/null && silent="$silent $n"
done
check "a stream of $size bytes, cut at every byte, never exits 0" test -z "$silent"
check "and whole it does" status 0 "classes: 3 batches of 8 rows" "$dir/small"

# An abort record: passed on, silently, with status 3.
printf 'one,two\n"open' | ft-ingest -q --labeled - 2>/dev/null >"$dir/aborted"
ft-sample -q <"$dir/aborted" 2>"$dir/err" | cat >"$dir/passed"; got=${PIPESTATUS[0]}
check "an abort upstream: status 3" test $got -eq 3
check "in between it says nothing" test ! -s "$dir/err"
check "and passes the message on" grep -qa ft-ingest "$dir/passed"

echo "1..$count"
exit $failed
