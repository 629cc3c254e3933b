# mean.awk - results of several seeds in, their means out: headings (==), ways (modality) and tables as ft-eval prints them.

/^==/ {
    heading = $0
    next
}

/^modality/ {
    way = $2
    next
}

NF >= 4 && !/^metric/ {
    key = heading ", " way
    if (!(key in rows))
        keys[++count] = key
    if (!((key, $1) in times))
        metric[key, ++rows[key]] = $1
    times[key, $1]++
    before[key, $1] += $2
    after[key, $1] += $3
}

END {
    for (k = 1; k <= count; k++) {
        print keys[k]
        for (i = 1; i <= rows[keys[k]]; i++) {
            at = keys[k] SUBSEP metric[keys[k], i]
            b = before[at] / times[at]
            a = after[at] / times[at]
            printf "%-14s %10.4f %8.4f %+8.4f\n", metric[keys[k], i], b, a, a - b
        }
    }
}
