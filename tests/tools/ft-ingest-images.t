#!/bin/sh
test_description='ft-ingest: images, in folders and named by rows'
. "$(dirname "$0")/../lib.sh"

SAMPLES=$TOP/tests/data/samples

# Documents of a file as text, without header, end and blanks: docs [OPTION...] FILE
docs () {
    ft-ingest "$@" >docs.ft 2>docs.err && ft-cat -q docs.ft >docs.txt && sed -e 1d -e '$d' docs.txt
}

# How it must fail: refuses STATUS PATTERN ARGUMENT...
refuses () {
    refuses_code=$1 refuses_pattern=$2
    shift 2
    test_expect_code "$refuses_code" ft-ingest -q "$@" >refused.ft 2>refused.err &&
    test_grep "$refuses_pattern" refused.err &&
    test "$(wc -l <refused.err)" -eq 1 &&
    test_expect_code 3 ft-cat -q --check refused.ft
}

# Two pixels each, by Pillow.
PNG=iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGNkZGJmYGAAAAAqAAjaWO5EAAAAAElFTkSuQmCC
GIF=R0lGODdhAgABAIEAAAAA/wAAAAAAAAAAACwAAAAAAgABAAAIBQABAAgIADs=
BMP=Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAADEDgAAxA4AAAAAAAAAAAAACQkJCQkJAAA=
WEBP=UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoCAAEAAUAmJaQAA3AA/v0IwAA=
picture () {
    eval "picture_code=\$$1"
    printf '%s' "$picture_code" | base64 -d >"$2"
}
mkdir data && picture PNG data/a.png && picture GIF data/b.gif && picture BMP data/c.bmp && picture WEBP data/d.webp

test_expect_success '--format images: labels by name, folders below by path, files by name, bytes compared; as ImageFolder' '
    mkdir -p set/cats/a-b set/cats/a/z set/Dogs set/cats/B &&
    for f in cats/a-b/1.png cats/a/2.PNG cats/a/z/3.png cats/10.png cats/9.png cats/B/4.png Dogs/x.png; do picture PNG set/$f; done &&
    echo notes >set/cats/notes.txt && docs --format images set >got &&
    for f in Dogs/x.png cats/10.png cats/9.png cats/B/4.png cats/a/2.PNG cats/a-b/1.png cats/a/z/3.png; do
        echo "{\"id\":\"set/$f\",\"uri\":\"set/$f\",\"modality\":\"image\",\"mime_type\":\"image/png\",\"tags\":{\"finetuner_label\":\"${f%%/*}\"}}"
    done >want &&
    test_cmp want got && test_grep "ft-ingest: set: 2 folders: labelled rows, all images" docs.err &&
    docs --format images set/ >got && test_cmp want got &&
    (cd set && docs --format images . >got) && sed "s,\"set/,\"./,g" want >here && test_cmp here set/got && rm -f set/got set/docs.*
'

test_expect_success 'the order is that of torchvision, on names that a locale and a walk would order otherwise' '
    tab=$(printf "\t") && golden=$TOP/tests/golden/data/imagefolder.txt && sort -r "$golden" | while IFS=$tab read -r path label; do
        mkdir -p "like/$(dirname "$path")" && picture GIF like/"$path" || return 1
    done && touch like/cats/notes.txt like/cats/a/notes.png.txt &&
    ft-ingest -q --format images like | ft-cat -q | sed -n "s,.*\"uri\":\"like/\([^\"]*\)\".*\"finetuner_label\":\"\([^\"]*\)\".*,\1$tab\2,p" >got &&
    test_cmp "$golden" got
'

test_expect_success 'a flat folder is unlabelled; beside folders pictures are left out, and that is said' '
    docs --format images data >got && test "$(wc -l <got)" -eq 4 && ! grep -q finetuner_label got &&
    test_grep "data: 0 folders: unlabelled rows" docs.err && test_grep "\"uri\":\"data/d.webp\",\"modality\":\"image\",\"mime_type\":\"image/webp\"" got &&
    picture PNG set/lost.png && docs -q --format images set >got && test "$(wc -l <got)" -eq 7 &&
    test_grep "set: 1 picture beside the folders has no label and is left out" docs.err && rm set/lost.png &&
    docs --format images --unlabeled set >got && ! grep -q finetuner_label got && test "$(wc -l <got)" -eq 7
'

test_expect_success 'folders: what is wrong with them' '
    mkdir -p bad/full bad/hollow empty && picture PNG bad/full/1.png && echo x >bad/hollow/README &&
    refuses 3 "bad/hollow: no pictures in this folder" --format images bad &&
    docs --max-errors 1 --format images bad >got && test "$(wc -l <got)" -eq 1 && test_grep "bad/hollow" docs.err &&
    refuses 3 "empty: neither folders nor pictures" --format images empty &&
    refuses 4 "nowhere: No such file" --format images nowhere &&
    refuses 2 "expected folders, not standard input" --format images && refuses 4 "data: Is a directory: --format images" data &&
    refuses 2 "data: --labeled: no folders in it" --format images --labeled data &&
    refuses 2 "a folder holds labelled or unlabelled" --format images --pairs set &&
    refuses 2 "no columns" --format images --columns text=1 set &&
    refuses 2 "no column .x.: of a folder there are label and image" --format images --where x=1 set &&
    mkdir -p loop/a/b && picture PNG loop/a/1.png && ln -s ../../a loop/a/b/again &&
    refuses 3 "loop/a/b/again: a link to a folder that it is in" --format images loop &&
    mkdir odd && picture PNG "odd/$(printf "\\351").png" && refuses 3 "the name is not UTF-8" --format images odd
'

test_expect_success 'links are pictures as others are; two links to one folder give its pictures twice' '
    mkdir -p linked/x linked/y && picture PNG linked/x/1.png && ln -s ../x/1.png linked/y/2.png && ln -s ../x linked/y/far &&
    docs --format images linked | sed "s/.*\"id\":\"\([^\"]*\)\".*/\1/" >got &&
    printf "%s\n" linked/x/1.png linked/y/2.png linked/y/far/1.png >want && test_cmp want got
'

test_expect_success 'a picture that is none, or cut, or gone, is one bad record with its name' '
    mkdir -p broken/k cut && for at in 20 40 60; do head -c $at data/a.png >cut/a.png; refuses 3 "^ft-ingest: cut/a.png: PNG: " --format images cut || return 1; done &&
    picture PNG broken/k/1.png && echo "not a picture" >broken/k/2.png && : >broken/k/3.jpg && ln -s nowhere broken/k/4.gif &&
    mkfifo broken/k/5.png && picture GIF broken/k/6.png &&
    printf "GIF89a\377\377\377\377\0\0\0,\0\0\0\0\377\377\377\377\0\2\1\0\0;" >cut/a.png && refuses 3 "cut/a.png: .*pixels" --format images cut &&
    refuses 3 "^ft-ingest: broken/k/2.png: not a picture: expected JPEG, PNG, WebP, GIF or BMP$" --format images broken &&
    docs --max-errors 4 --format images broken >got && test "$(wc -l <got)" -eq 2 && test_grep "6.png\",\"modality\":\"image\",\"mime_type\":\"image/gif\"" got &&
    test_grep "broken/k/3.jpg: an empty file" docs.err && test_grep "broken/k/4.gif: No such file" docs.err && test_grep "5.png: not a regular file" docs.err &&
    test_grep "in=6 out=2 bad=4" docs.err && test_expect_code 1 ft-ingest -q --max-errors 3 --format images broken >out 2>err &&
    test_grep "broken/k/5.png: not a regular file: more than 3 bad records" err
'

test_expect_success 'paths in a CSV are relative to its folder; labelled, pairs, triplets, unlabelled, texts with images in either order' '
    printf "image,label\na.png,x\n./b.gif,y\n" >data/l.csv && docs data/l.csv >got &&
    cat >want <<-\EOF &&
	{"id":"data/l.csv:2","uri":"data/a.png","modality":"image","mime_type":"image/png","tags":{"finetuner_label":"x"}}
	{"id":"data/l.csv:3","uri":"data/b.gif","modality":"image","mime_type":"image/gif","tags":{"finetuner_label":"y"}}
	EOF
    test_cmp want got && test_grep "header image,label: labelled rows$" docs.err &&
    printf "a.png,b.gif\nb.gif,c.bmp\n" >data/p.csv && docs data/p.csv | head -1 >got &&
    cat >want <<-\EOF &&
	{"id":"data/p.csv:1","chunks":[{"uri":"data/a.png","modality":"image","mime_type":"image/png","tags":{"role":"anchor"}},{"uri":"data/b.gif","modality":"image","mime_type":"image/gif","tags":{"role":"positive"}}]}
	EOF
    test_cmp want got && test_grep "2 columns, no header: pairs, images in columns 1, 2$" docs.err &&
    printf "a.png,b.gif,c.bmp\n" | (cd data && docs -) >got && test_grep "\"uri\":\"c.bmp\".*\"role\":\"negative\"" got &&
    mkfifo data/pipe && { printf "image\ndata/a.png\n" >data/pipe & } && docs data/pipe >got && test_grep "\"uri\":\"data/a.png\"" got &&
    printf "a.png\nd.webp\n" >data/u.csv && docs data/u.csv >got && test_grep "\"uri\":\"data/d.webp\"" got &&
    test_grep "1 column, no header: unlabelled rows, images in column 1" docs.err &&
    printf "a cat,a.png\na dog,b.gif\na cat too,a.png\n" >data/t.csv && docs data/t.csv >one &&
    test_grep "texts with images, images in column 2" docs.err &&
    cat >want <<-\EOF &&
	{"id":"data/t.csv:1","chunks":[{"text":"a cat","modality":"text","tags":{"role":"anchor"}},{"uri":"data/a.png","modality":"image","mime_type":"image/png","tags":{"role":"positive"}}]}
	EOF
    head -1 one >got && test_cmp want got && test "$(wc -l <one)" -eq 3 &&
    docs --text-image data/t.csv >got && test_cmp one got &&
    printf "a.png,a cat\nb.gif,a dog\na.png,a cat too\n" >data/t.csv && docs data/t.csv >got && test_cmp one got &&
    docs --text-image data/t.csv >got && test_cmp one got && docs --columns image=1,text=2 data/t.csv >got && test_cmp one got &&
    printf "image,caption\na.png,a cat\n" >data/h.csv && docs --columns text=caption data/h.csv | sed s/h.csv:2/t.csv:1/ >got && test_cmp want got &&
    printf "{\"text\":\"a cat\",\"image\":\"a.png\"}\n" >data/t.jsonl && docs --text-image data/t.jsonl | sed s/jsonl/csv/ >got && test_cmp want got &&
    printf "a,b\nc,d\n" >data/x.csv && refuses 2 "column 1 or column 2, which holds the images" --text-image data/x.csv &&
    refuses 2 "text-image: 1 column, expected 2 (text, image)" --text-image data/u.csv
'

test_expect_success 'a picture is no file of rows' '
    refuses 2 "data/a.png: a picture: expected rows that name pictures, or with --format images a folder" data/a.png
'

test_expect_success 'a column named for a text is text, whatever is in it' '
    printf "text,label\na.png,x\nb.gif,y\n" >data/n.csv && docs data/n.csv >got && test_grep "\"text\":\"a.png\"" got &&
    printf "a.png\nb.gif\n" >data/n.csv && docs --columns text=1 data/n.csv >got && test_grep "\"text\":\"a.png\"" got
'

test_expect_success 'file: and data: addresses; of the web they stay as they are' '
    printf "uri\nfile://%s/data/a.png\nfile:%%61.png\n\"data:image/png;base64,$PNG\"\nhttps://example.com/x\n" "$PWD" >data/f.csv && docs data/f.csv >got &&
    test_grep "\"uri\":\"$PWD/data/a.png\",\"modality\":\"image\",\"mime_type\":\"image/png\"" got && test_grep "\"uri\":\"data/a.png\"" got &&
    test_grep "\"uri\":\"https://example.com/x\",\"modality\":\"image\"}" got &&
    sed -n 3p got >line && ! grep -q uri line && test_grep "\"id\":\"data/f.csv:4\",\"blob\"" line && test_grep "\"mime_type\":\"image/png\"" line &&
    ft-ingest -q data/f.csv | ft-cat -q --full | grep -o "\"blob\":{[^}]*}" | grep -o "[A-Za-z0-9+/=]*\"}" | tr -d "\"}" | base64 -d >bytes && cmp bytes data/a.png &&
    printf "uri\nfile://host/a.png\n" >data/f.csv && refuses 3 "f.csv:2: file://host/a.png: a file of another machine" data/f.csv &&
    printf "uri\nfile:a%%zz.png\n" >data/f.csv && refuses 3 "f.csv:2: .*two hexadecimal digits" data/f.csv &&
    printf "uri\n\"data:image/png;base64,@@@@\"\n" >data/f.csv && refuses 3 "f.csv:2: data:image/png;base64,@@@@: a data: address: base64" data/f.csv &&
    printf "uri\n\"data:image/png;base64,aGVsbG8=\"\n" >data/f.csv && refuses 3 "f.csv:2: .*not a picture" data/f.csv &&
    printf "image\n\"data:,hello\"\n" >data/f.csv && refuses 3 "f.csv:2: data:,hello: not a picture" data/f.csv
'

test_expect_success 'a picture that several rows name is as one that they name alone, in pairs and where it is broken' '
    printf "image,label\na.png,x\ngone.png,y\na.png,z\n./a.png,u\ngone.png,v\n\"data:image/png;base64,$PNG\",w\n\"data:image/png;base64,$PNG\",w\n" >data/s.csv &&
    docs --blob --max-errors 2 data/s.csv >got && test "$(grep -c "\"uri\":\"data/a.png\",\"blob\":.*\"modality\":\"image\",\"mime_type\":\"image/png\"" got)" -eq 3 &&
    test "$(wc -l <got)" -eq 5 && tail -2 got | sed "s/s.csv:[0-9]*//" | uniq | wc -l >lines && test "$(cat lines)" -eq 1 && tail -1 got >line && ! grep -q uri line && grep -q blob line &&
    test_grep "s.csv:3: data/gone.png: No such" docs.err && test_grep "s.csv:6: data/gone.png: No such" docs.err &&
    printf "a.png,b.gif\nb.gif,a.png\na.png,a.png\nb.gif,gone.png\n" >data/s.csv && docs --max-errors 1 data/s.csv >got &&
    test "$(grep -o "data/a.png\",\"modality\":\"image\",\"mime_type\":\"image/png" got | wc -l)" -eq 4 && test "$(wc -l <got)" -eq 3 && test_grep "s.csv:4: data/gone.png" docs.err
'

test_expect_success 'a path that cannot be opened is a bad record, in its place' '
    printf "image,label\na.png,x\ngone.png,y\nb.gif,z\nc.bmp\n" >data/m.csv && refuses 3 "data/m.csv:3: data/gone.png: No such file or directory$" data/m.csv &&
    docs --max-errors 2 data/m.csv >got && test "$(wc -l <got)" -eq 2 &&
    grep -n "m.csv:3: data/gone\|m.csv:5: 1 field" docs.err | cut -d: -f1 >order && test "$(wc -l <order)" -eq 2 && sort -n order | test_cmp - order
'

test_expect_success '--root: paths are relative to it and stay in it' '
    mkdir -p jail/in && picture PNG jail/in/a.png && ln -s in/a.png jail/good.png && ln -s "$PWD/jail/in/a.png" jail/whole.png &&
    ln -s ../data/a.png jail/bad.png && ln -s ../data jail/out &&
    printf "image\nin/a.png\ngood.png\nin/../in/a.png\nwhole.png\n" >list.csv && docs --root jail list.csv >got && test_grep "\"uri\":\"jail/in/../in/a.png\"" got &&
    test "$(wc -l <got)" -eq 4 &&
    for bad in bad.png ../data/a.png out/b.gif in/../../data/a.png; do
        printf "image\n$bad\n" >list.csv && refuses 3 "list.csv:2: jail/$bad: leads out of --root jail$" --root jail list.csv || return 1
    done &&
    printf "image\n$PWD/jail/in/a.png\n" >list.csv && refuses 3 "list.csv:2: /.*: an absolute path, expected one in --root jail" --root jail list.csv &&
    printf "image\nfile://$PWD/jail/in/a.png\n" >list.csv && refuses 3 "an absolute path" --root jail list.csv &&
    refuses 2 "^ft-ingest: --root: nowhere: No such file" --root nowhere list.csv && refuses 2 "root: list.csv: not a folder" --root list.csv list.csv &&
    docs --root . --format images data >got && test "$(wc -l <got)" -eq 4 && refuses 3 "data/a.png: leads out of --root jail" --root jail --format images data
'

test_expect_success '--blob: the bytes go along, and the path stays' '
    printf "image\na.png\n" >data/o.csv && ft-ingest -q --blob data/o.csv >one.ft && ft-cat -q --full one.ft >text && test_grep "\"uri\":\"data/a.png\"" text &&
    grep -o "\"blob\":{[^}]*}" text | grep -o "[A-Za-z0-9+/=]*\"}" | tr -d "\"}" | base64 -d >bytes && cmp bytes data/a.png
'

test_expect_success '--where, --limit, --rate: rows of images are rows' '
    docs --format images --where label=Dogs set >got && test "$(wc -l <got)" -eq 1 && docs --format images --where image!=Dogs/x.png set >got && test "$(wc -l <got)" -eq 6 &&
    docs --format images --limit 3 set >got && test "$(wc -l <got)" -eq 3 && test_grep "in=3 out=3 bad=0" docs.err &&
    { echo image,label; for i in $(seq 1 400); do picture PNG data/n$i.png; echo n$i.png,$((i % 3)); done; } >data/many.csv &&
    docs data/many.csv >whole && test "$(wc -l <whole)" -eq 400 && docs --rate 0:.7 data/many.csv >most && docs --rate .7:1 data/many.csv >rest &&
    sort most rest >both && sort whole >want && test_cmp want both && test "$(wc -l <rest)" -gt 80 && test "$(wc -l <rest)" -lt 160 &&
    docs --where label=1 data/many.csv >got && test "$(wc -l <got)" -eq 134
'

test_expect_success 'the same bytes for any number of threads; nothing read behind --limit' '
    ft-ingest -q --force --threads 1 -o one.ft data/many.csv && ft-ingest -q --threads 3 -o three.ft data/many.csv && ft-cat -q one.ft | sed "1d;\$d" >one && ft-cat -q three.ft | sed "1d;\$d" >three && test -s one &&
    cmp one three && { cat data/many.csv; echo gone.png,1; } >data/more.csv && docs --limit 400 data/more.csv >got && test "$(wc -l <got)" -eq 400 &&
    test_grep "in=400 out=400 bad=0" docs.err
'


# 700 names of a picture of a megabyte: BMP, 601 by 601.
test_expect_success 'bytes that travel along lie in memory a window at a time' '
    { printf "BM\142\213\020\0\0\0\0\0\066\0\0\0\050\0\0\0\131\2\0\0\131\2\0\0\1\0\030\0" && head -c 1084228 /dev/zero; } >data/big.bmp &&
    { echo image; for i in $(seq 1 700); do ln -s big.bmp data/big$i.bmp; echo big$i.bmp; done; } >data/big.csv &&
    (limit_memory 400000 && ft-ingest --blob --threads 2 data/big.csv 2>err | wc -c >size) && test_grep "in=700 out=700" err && test "$(cat size)" -gt 700000000
'

# Cut at each byte: what goes downstream is whole or an error.
cut_csv () {
    size=$(($(wc -c <data/whole.csv))) at=0
    while test $at -le $size; do
        head -c $at data/whole.csv >data/cut.csv
        ft-ingest -q "$@" data/cut.csv >t.ft 2>err; rc=$?
        case $rc in
        0) ft-cat -q --check t.ft >out || return 1 ;;
        2|3) test_grep "cut.csv\|--text-image" err || return 1 ;;
        *) echo "exit status $rc at byte $at"; return 1 ;;
        esac
        at=$((at + 1))
    done
    test $rc -eq 0
}

test_expect_success 'a list of images, and one of vectors, cut at any byte end in 0, 2 or 3' '
    printf "text,image,x\n\"a \"\"b\"\"\",a.png,1\nc,\"data:image/gif;base64,$GIF\",\n\"d\",file:b.gif,3\n" >data/whole.csv && cut_csv --text-image --blob &&
    printf "id,x,y,label\na,1,2.5,u\n\"b\",-3e1,4,v\n" >data/whole.csv && cut_csv --vectors
'

test_done
