#!/bin/sh
# The icons' pictures and labels, without the themes.
test_description='pipelines/icons/pictures.awk'
. "$(dirname "$0")/../lib.sh"

# icon SUM THEME/PATH, as sha256sum writes it
icon () {
    printf '%s  usr/share/icons/%s.png\n' "$1" "$2"
}

files () {
    # the nearest to 64 of 48 and more
    icon a16 one/16x16/actions/save && icon a48 one/48x48/actions/save && icon a64 one/64x64/actions/save && icon a96 one/96x96/actions/save
    icon b16 two/actions/16/save && icon b48 two/actions/48/save && icon b128 two/actions/128/save
    # small in one theme: alone in the other
    icon c32 one/32x32/apps/tiny && icon c48 two/apps/48/tiny
    # a link, and its name that more themes have
    icon d1 one/48x48/places/folder && icon d1 one/48x48/places/inode-directory && icon d2 two/places/48/folder
    # in no other theme; symbolic; a strip of an animation; a name that CSV would have to quote
    icon e1 one/48x48/apps/single
    icon f1 one/48x48/apps/dark-symbolic && icon f2 two/apps/48/dark-symbolic
    icon g1 one/48x48/animations/spin && icon g2 two/animations/48/spin
    icon h1 one/48x48/apps/a,b && icon h2 two/apps/48/a,b
    i=0
    while test $i -lt 200; do
        i=$((i + 1))
        icon x$i one/48x48/apps/name-$i && icon y$i two/apps/48/name-$i
        # a third theme shows each two names by one picture
        icon z$((i / 2)) three/48/apps/name-$i
    done
}

pictures () {
    mkdir -p "$1" && LC_ALL=C awk -v dir="$1" -f "$TOP/pipelines/icons/pictures.awk"
}

files >files
sed '1!G;h;$!d' files >backwards

test_expect_success 'one picture a theme and name, the size nearest to 64, labels of two pictures and more' '
    pictures one <files &&
    sort one/*.csv | grep -v "^image" | grep -v name- >found &&
    printf "%s\n" usr/share/icons/one/48x48/places/folder.png,folder usr/share/icons/one/64x64/actions/save.png,save \
        usr/share/icons/two/actions/48/save.png,save usr/share/icons/two/places/48/folder.png,folder >expect &&
    test_cmp expect found
'

test_expect_success 'names are held out, and with them those of the same pictures' '
    for f in train val test; do
        test "$(head -1 one/$f.csv)" = image,label && sed 1d one/$f.csv | sed -n "s/.*,name-//p" | awk "{ print int(\$1 / 2) }" | sort -u >$f.names || return 1
        test "$(wc -l <$f.names)" -gt 5 || return 1
    done &&
    sort train.names val.names test.names | uniq -d >both && test_cmp /dev/null both &&
    test "$(wc -l <train.names)" -gt "$(wc -l <test.names)" && test "$(wc -l <test.names)" -gt "$(wc -l <val.names)"
'

test_expect_success 'whatever the order of the files, the same' '
    pictures two <backwards && for f in train val test; do test_cmp one/$f.csv two/$f.csv || return 1; done
'

test_expect_success 'nothing that two themes have: said' '
    icon a one/48x48/apps/x | test_expect_code 1 pictures three 2>err && test_grep "no picture" err
'

test_expect_success 'make knows what to do' '
    MAKEFLAGS= MAKELEVEL= make -nB -C "$TOP/pipelines/icons" >plan && test_grep "ft-train -m lite0" plan && test_grep "ft-eval.*--before lite0" plan
'

test_done
