#!/bin/sh
# The demo's data: from package metadata to CSV, without apt.
test_description='pipelines/demo/packages.awk'
. "$(dirname "$0")/../lib.sh"

# package NAME SECTION SYNOPSIS
package () {
    printf 'Package: %s\nVersion: 1\nDepends: a, b\nDescription: %s\nDescription-md5: 0\nTag: x,\n y\nSection: %s\nSize: 1\n\n' "$1" "$3" "$2"
}

metadata () {
    i=0
    while test $i -lt 250; do
        i=$((i + 1))
        package a$i universe/games "game number $i"
        package b$i doc "page number $i"
        test $i -gt 100 || package c$i web "server, \"quoted\" $i"
        test $i -gt 99 || package d$i rare "rare thing $i"
    done
    package twin games "GAME number 7"
    printf 'Package: bare\nVersion: 1\n\n'
}

split () {
    LC_ALL=C awk -v dir="$1" -f "$TOP/pipelines/demo/packages.awk"
}

metadata >metadata
mkdir one two

test_expect_success 'sections of 100 synopses that say something; the rest is for searching' '
    split one <metadata >out &&
    test "$(cat out)" = "699 packages, 2 sections" &&
    sed 1d one/train.csv | sed "s/.*,//" | sort | uniq -c | tr -s " " >sizes &&
    sed 1d one/test.csv | sed "s/.*,//" | sort | uniq -c | tr -s " " >>sizes &&
    printf " 150 games\n 80 web\n 40 games\n 20 web\n" >expect &&
    test_cmp expect sizes &&
    test "$(sed 1d one/packages.csv | wc -l)" = 699
'

test_expect_success 'no synopsis in both, upper and lower case as one' '
    cat one/train.csv one/test.csv | grep -v "^text,label" | tr A-Z a-z | sort | uniq -d >both &&
    test_cmp /dev/null both &&
    ! grep GAME one/packages.csv
'

test_expect_success 'whatever the order, the same packages' '
    awk "BEGIN { RS = \"\" } { r[NR] = \$0 } END { for (i = NR; i > 0; i--) if (r[i] !~ /twin/) print r[i] \"\n\" }" metadata | split two &&
    for f in train test packages; do
        sort one/$f.csv >one.sorted && sort two/$f.csv >two.sorted && test_cmp one.sorted two.sorted || return 1
    done
'

test_expect_success 'ft-ingest reads them' '
    ft-ingest one/train.csv | ft-cat >train.json &&
    test "$(grep -c "\"finetuner_label\": *\"games\"" train.json)" = 150 &&
    grep -q "server, ..quoted" train.json &&
    ft-ingest one/packages.csv | ft-cat | grep "\"id\": *\"c7\""
'

test_expect_success 'no metadata: said' '
    test_expect_code 1 split two </dev/null 2>err &&
    test_grep "apt-get update" err
'

test_done
