# sweep.awk - results of a sweep as a table, best first; below it the means over seeds, where `seed` is an axis.
#
#   awk -f sweep.awk -v axes='loss lr seed' -v metrics='knn@20 map' RESULT...
#
# A result has lines "axis<TAB>NAME<TAB>VALUE" and "metric<TAB>NAME<TAB>VALUE". A metric that a result lacks is shown as -.
BEGIN { FS = "\t"; n_axes = split(axes, axis, " "); n_metrics = split(metrics, metric, " ") }

FNR == 1 { runs++ }
$1 == "axis" { value[runs, $2] = $3 }
$1 == "metric" { score[runs, $2] = $3; known[runs, $2] = 1 }

function wide(a,    w, r) {
    w = length(a)
    for (r = 1; r <= runs; r++)
        if (length(value[r, a]) > w)
            w = length(value[r, a])
    return w
}

function head(skip,    i) {
    for (i = 1; i <= n_axes; i++)
        if (axis[i] != skip)
            printf "%-*s  ", width[axis[i]], axis[i]
    for (i = 1; i <= n_metrics; i++)
        printf "%*s", skip == "" ? 10 : 18, metric[i]
    print skip == "" ? "" : "  seeds"
}

# order[1..count] by score[., m], largest first; equal ones stay as they come.
function sort_by(m, count,    i, j, r) {
    for (i = 2; i <= count; i++) {
        r = order[i]
        for (j = i - 1; j >= 1 && score[order[j], m] + 0 < score[r, m] + 0; j--)
            order[j + 1] = order[j]
        order[j + 1] = r
    }
}

END {
    for (i = 1; i <= n_axes; i++) {
        width[axis[i]] = wide(axis[i])
        seeded = seeded || axis[i] == "seed"
    }
    for (r = 1; r <= runs; r++)
        order[r] = r
    sort_by(metric[1], runs)
    head("")
    for (k = 1; k <= runs; k++) {
        r = order[k]
        for (i = 1; i <= n_axes; i++)
            printf "%-*s  ", width[axis[i]], value[r, axis[i]]
        for (i = 1; i <= n_metrics; i++)
            printf "%10s", (r, metric[i]) in known ? sprintf("%.4f", score[r, metric[i]]) : "-"
        print ""
    }
    if (!seeded)
        exit
    for (k = 1; k <= runs; k++) {
        r = order[k]
        key = ""
        for (i = 1; i <= n_axes; i++)
            if (axis[i] != "seed")
                key = key SUBSEP value[r, axis[i]]
        if (!(key in group))
            first[group[key] = ++groups] = r
        g = group[key]
        seeds[g]++
        for (i = 1; i <= n_metrics; i++) {
            sum[g, i] += score[r, metric[i]]
            squares[g, i] += score[r, metric[i]] ^ 2
        }
    }
    for (g = 1; g <= groups; g++) {
        order[g] = runs + g
        for (i = 1; i <= n_axes; i++)
            value[runs + g, axis[i]] = value[first[g], axis[i]]
        for (i = 1; i <= n_metrics; i++)
            score[runs + g, metric[i]] = sum[g, i] / seeds[g]
    }
    sort_by(metric[1], groups)
    printf "\nmean over seeds (deviation)\n"
    head("seed")
    for (k = 1; k <= groups; k++) {
        g = order[k] - runs
        for (i = 1; i <= n_axes; i++)
            if (axis[i] != "seed")
                printf "%-*s  ", width[axis[i]], value[order[k], axis[i]]
        for (i = 1; i <= n_metrics; i++) {
            mean = score[order[k], metric[i]]
            variance = seeds[g] > 1 ? (squares[g, i] - seeds[g] * mean ^ 2) / (seeds[g] - 1) : 0
            printf "%18s", sprintf("%.4f (%.4f)", mean, variance > 0 ? sqrt(variance) : 0)
        }
        printf "%7d\n", seeds[g]
    }
}
