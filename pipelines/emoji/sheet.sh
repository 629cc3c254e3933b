#!/bin/sh
# sheet.sh - a picture of what words find: a row a query, its nearest pictures before, then after; those that were held out have a blue frame.
#
#   sheet.sh FONT LEARNED.csv BEFORE.json AFTER.json SHEET.png    the .json as ft-search -k 8 --json writes them, the same queries in both
#
# Needs ImageMagick's convert; FONT is a file, for the queries. LEARNED.csv has rows text,image.
set -e
font=$1 learned=$2 before=$3 after=$4 sheet=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A line a row: COLOR=PATH of each match, those of before and after with a - between, and then the query.
join () {
    LC_ALL=C awk '
        FILENAME == ARGV[1] { sub(/.*,/, ""); learned[$0] = 1; next }
        {
            count = split($0, part, /"(query|text|uri)": "/)
            line = ""
            for (i = 2; i <= count; i++)
                sub(/".*/, "", part[i])
            for (i = 3; i <= count; i++)
                line = line (part[i] in learned ? "white=" : "dodgerblue=") part[i] " "
        }
        FILENAME == ARGV[2] { first[FNR] = line }
        FILENAME == ARGV[3] { print first[FNR] "- " line part[2] }
        ' "$learned" "$before" "$after"
}

tile () {
    printf '( %s -resize 48x48 -background white -gravity center -extent 48x48 -alpha remove -bordercolor %s -border 3 -bordercolor white -border 2 ) ' \
        "$2" "$1"
}

row=0
join | while read -r line; do
    row=$((row + 1))
    query=${line##*.png }
    { printf -- '-size 12x58 xc:white '
      for match in ${line%"$query"}; do
          case $match in
          -) printf -- '-size 12x58 xc:white ' ;;
          *) tile "${match%%=*}" "${match#*=}" ;;
          esac
      done
      echo "+append $work/matches.png"
    } | xargs convert
    convert -font "$font" -pointsize 15 -size 160x58 -background white -gravity east caption:"$query" "$work/matches.png" +append \
        "$work/$(printf %04d $row).png"
    rm "$work/matches.png"
done
convert "$work"/0*.png -append "$sheet"
