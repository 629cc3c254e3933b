# table.sh - rows of bench/RESULTS.md, for bench.sh and images.sh: of runs that took turns, "rate MB" a line in $OUT/WORK.WHO.runs ("-": none).

# columns: the head of a table.
columns () {
    echo '| work | ours | peer | ratio | ours, MB | peer, MB | ratio |'
    echo '|---|---|---|---|---|---|---|'
}

# median COLUMN: of the lines of standard input that have a number there.
median () {
    awk -v c="$1" '$c != "-" { print $c }' | sort -n | awk '{ v[NR] = $1 } END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2; else print "-" }'
}

# neighbours WORK PEER: ours and the peer's of the same run side by side. Where ours ran once for each of two peers, every second one is this one's.
neighbours () {
    all=$(wc -l <"$OUT/$1.ours.runs") theirs=$(wc -l <"$OUT/$1.$2.runs")
    awk -v each=$((all / theirs)) -v skip="$3" 'each < 2 || (NR - 1) % each == skip' "$OUT/$1.ours.runs" | paste -d ' ' - "$OUT/$1.$2.runs" |
        awk '{ print $0, ($3 > 0 ? $1 / $3 : "-") }'
}

# row WORK TITLE UNIT PEER...
row () {
    test -s "$OUT/$1.ours.runs" || return 0
    work=$1 title=$2 unit=$3 turn=0 done=
    shift 3
    for name; do
        if test -s "$OUT/$work.$name.runs"; then
            neighbours "$work" "$name" $turn >"$OUT/pairs"
            done=t
            echo "$(median 1 <"$OUT/pairs") $(median 3 <"$OUT/pairs") $(median 5 <"$OUT/pairs") $(median 2 <"$OUT/pairs") $(median 4 <"$OUT/pairs")" |
                awk -v title="$title" -v unit="$unit" -v name="$name" '
                    function rate(r) { return sprintf(r < 100 ? "%.1f" : "%.0f", r) }
                    function memory(m) { return m == "-" ? "-" : sprintf("%.0f", m) }
                    { printf "| %s | %s %s | %s %s | **%.2f** | %s | %s | %s |\n", title, rate($1), unit, name, rate($2), $3, memory($4), memory($5),
                      $4 == "-" || $5 == "-" ? "-" : sprintf("1/%.1f", $5 / $4) }'
        fi
        turn=$((turn + 1))
    done
    test -n "$done" || printf '| %s | %.0f %s | - | - | %.0f | - | - |\n' "$title" "$(median 1 <"$OUT/$work.ours.runs")" "$unit" \
        "$(median 2 <"$OUT/$work.ours.runs")"
}
