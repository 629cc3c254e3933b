#!/bin/sh
# sheet.sh - a picture of what is found: a row a query, its nearest before, then after; green frames have the query's label, red ones another.
#
#   sheet.sh LABELS.csv BEFORE.json AFTER.json ROWS SHEET.png     the .json as ft-search -k 8 --json writes them, the same queries in both
#
# Needs ImageMagick's convert. The rows are spread evenly over the queries.
set -e
labels=$1 before=$2 after=$3 rows=$4 sheet=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A line a row: the query, then COLOUR=PATH of each match, those of before and after with a - between.
join () {
    LC_ALL=C awk -v rows="$rows" '
        FILENAME == ARGV[1] { split($0, cell, ","); label[cell[1]] = cell[2]; next }
        {
            count = split($0, part, /"(query|text|uri)": "/)
            for (i = 2; i <= count; i++)
                sub(/".*/, "", part[i])
            line = ""
            for (i = 3; i <= count; i++)
                line = line " " (label[part[i]] == label[part[2]] ? "green" : "red") "=" part[i]
        }
        FILENAME == ARGV[2] { first[FNR] = part[2] line; queries = FNR }
        FILENAME == ARGV[3] { second[FNR] = line }
        END {
            for (row = 0; row < rows && row < queries; row++) {
                n = int((row + .5) * queries / (rows < queries ? rows : queries)) + 1
                print first[n] " -" second[n]
            }
        }' "$labels" "$before" "$after"
}

tile () {
    printf '( %s -resize 48x48 -background white -gravity center -extent 48x48 -alpha remove -bordercolor %s -border 3 -bordercolor white -border 2 ) ' \
        "$2" "$1"
}

row=0
join | while read -r query matches; do
    row=$((row + 1))
    { tile grey "$query"
      printf -- '-size 12x58 xc:white '
      for match in $matches; do
          case $match in
          -) printf -- '-size 12x58 xc:white ' ;;
          *) tile "${match%%=*}" "${match#*=}" ;;
          esac
      done
      echo "+append $work/$(printf %04d $row).png"
    } | xargs convert
done
convert "$work"/*.png -append "$sheet"
