#!/bin/sh
test_description='texts with images: no text and no image twice in a batch; column order, addresses, files that are not there'
. "$(dirname "$0")/../lib.sh"

PNG=iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGNkZGJmYGAAAAAqAAjaWO5EAAAAAElFTkSuQmCC
GIF=R0lGODdhAgABAIEAAAAA/wAAAAAAAAAAACwAAAAAAgABAAAIBQABAAgIADs=

# Of each batch a line "batch<TAB>content" for every text and image; none may come twice.
contents () {
    ft-cat -q --full "$1" | sed -n 's/^{"batch":\([0-9]*\),.*"documents":\(.*\)\],"roles".*/\1 \2/p' | awk '{
        n = $1
        rest = $0
        while (match(rest, /"(text|uri)":"[^"]*"|"blob":{[^}]*}/)) {
            print n "\t" substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
        }
    }'
}
no_twice () {
    contents "$1" >contents && test -s contents && sort contents | uniq -d >twice && cat twice && test ! -s twice
}

# 40 images of up to three captions, each caption of up to two images: a chain would join all, so every third image has captions of its own.
captions () {
    awk 'BEGIN {
        for (i = 0; i < 40; i++) {
            n = 1 + i % 3
            for (c = 0; c < n; c++)
                print "caption " (i % 3 == 1 && c == 1 ? "shared by " int(i / 6) : i " " c) ",https://x.test/" i ".jpg"
        }
    }'
}

test_expect_success 'several captions an image, several images a caption: neither twice in a batch, and every pair once an epoch' '
    captions >captions.csv && test "$(wc -l <captions.csv)" -eq 79 && ft-ingest -q captions.csv >documents &&
    for batch in 2 8 16; do
        for seed in 1 2; do
            ft-sample -q --pairs --batch $batch --seed $seed --epochs 2 documents >batches && no_twice batches &&
            test "$(wc -l <contents)" -eq $((2 * 2 * 79)) && test "$(sort contents | cut -f2 | grep -c "caption 2 1")" -eq 2 || return 1
        done
    done &&
    ft-sample -q --batch 8 --random documents >batches && ! no_twice batches
'

test_expect_success 'columns may be in either order, the same in all rows: the same documents, the same batches' '
    sed "s/\(.*\),\(.*\)/\2,\1/" captions.csv >swapped.csv && ! cmp -s captions.csv swapped.csv && ft-ingest swapped.csv >again 2>err &&
    test_grep "images in column 1" err && ft-cat -q documents | sed "1d;s/captions.csv//" >one && ft-cat -q again | sed "1d;s/swapped.csv//" | sed "\$d" >two &&
    sed "\$d" one >one.rows && test_cmp one.rows two && ft-sample -q --seed 1 --batch 8 again >batches && ft-sample -q --seed 1 --batch 8 documents >batches.one &&
    contents batches >two && contents batches.one >one && test -s one && test_cmp one two
'

test_expect_success 'images by their bytes where these are carried, by address where not' '
    mkdir pictures && for f in a b; do printf %s $PNG | base64 -d >pictures/$f.png || return 1; done && printf %s $GIF | base64 -d >pictures/c.gif &&
    printf "one,a.png\ntwo,b.png\nthree,c.gif\n" >pictures/p.csv && (cd pictures && ft-ingest -q p.csv) >by-path &&
    (cd pictures && ft-ingest -q --blob p.csv) >by-bytes && for how in path bytes; do
        ft-sample -q --batch 2 --epochs 9 by-$how >batches && no_twice batches && ft-cat -q --full batches | grep "^{\"batch\"" >$how.text &&
        test "$(grep -o "\"one\"" $how.text | wc -l)" -eq 9 && { grep -c "\"one\".*\"two\"\|\"two\".*\"one\"" $how.text >$how.together || true; } || return 1
    done && test "$(cat bytes.together)" -eq 0 && test "$(cat path.together)" -gt 0
'

test_expect_success 'rows as Finetuner had them: addresses of the web, short texts that repeat; none is opened' '
    cat >shop.csv <<-\EOF &&
	https://images.shop.test/images/I/61rPdz._AC_SY355_.jpg,micro sd
	https://images.shop.test/images/I/71o-T8._AC_SX355_.jpg,ebook-reader
	https://images.shop.test/images/I/61I0btd%2BLyL._AC_SY355_.jpg,ebook-reader
	https://images.shop.test/images/I/51Twu._AC_SX342_.jpg,buchlampen
	https://images.shop.test/images/I/51gmU._AC_SX342_.jpg,"klemmleuchten, hüllen"
	https://images.shop.test/images/I/51gmU._AC_SX342_.jpg,lampe
	EOF
    ft-ingest --text-image shop.csv >shop 2>err && test_grep "images in column 1" err && ft-cat -q shop >text &&
    test_grep "{\"id\":\"shop.csv:3\",\"chunks\":\[{\"text\":\"ebook-reader\",\"modality\":\"text\",\"tags\":{\"role\":\"anchor\"}},{\"uri\":\"https://images.shop.test/images/I/61I0btd%2BLyL._AC_SY355_.jpg\",\"modality\":\"image\",\"tags\":{\"role\":\"positive\"}}\]}" text &&
    test_grep "\"text\":\"klemmleuchten, hüllen\"" text && ft-sample --batch 4 shop >batches 2>err && no_twice batches && test "$(wc -l <contents)" -eq 36
'

test_expect_success 'a picture that is not there, or a row the other way round, is a bad row of its line: none, or as many as --max-errors allows' '
    printf "one,a.png\ntwo,lost.png\nthree,b.png\nb.png,four\n" >pictures/bad.csv && cd pictures && columns="--text-image --columns text=1,image=2" &&
    test_expect_code 3 ft-ingest -q $columns bad.csv >out 2>err && cat err && test_grep "bad.csv:2: " err && test_grep "lost.png" err && test "$(wc -l <err)" -eq 1 &&
    test_expect_code 1 ft-ingest -q $columns --max-errors 1 bad.csv >out 2>err && cat err && test_grep "bad.csv:4: " err &&
    ft-ingest $columns --max-errors 2 bad.csv >out 2>err && cat err && test_grep "in=4 out=2 bad=2" err && ft-sample -q --batch 2 out >batches && no_twice batches
'

test_done
