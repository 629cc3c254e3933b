#!/bin/sh
# What is missing is found and installed under the names of the distribution at hand; a compiler, an apt and a root of paper play the system.
test_description='deps.sh'
. "$(dirname "$0")/../lib.sh"

mkdir -p fake
# Links whatever is not in $LACKS.
cat >fake/cc <<\EOF
#!/bin/sh
cat >/dev/null
for argument; do case " $LACKS " in *" $argument "*) exit 1 ;; esac; done
EOF
# Knows the packages in $KNOWN; an update makes $LATER known.
cat >fake/apt-cache <<\EOF
#!/bin/sh
for known in $KNOWN $(cat "$TRASH/updated" 2>/dev/null); do test "$2" != "$known" || echo "Package: $2"; done
EOF
cat >fake/apt-get <<\EOF
#!/bin/sh
echo "$*" >>"$TRASH/apt.log"
case "$*" in *" update") echo "$LATER" >"$TRASH/updated" ;; esac
EOF
printf '#!/bin/sh\necho 0\n' >fake/id
chmod +x fake/*

# deps VERB SET...: in that world.
deps () {
    rm -f apt.log updated
    PATH=$TRASH/fake:$PATH CC=cc "$TOP/deps.sh" "$@"
}

# world LACKS KNOWN LATER
world () {
    LACKS=$1 KNOWN=$2 LATER=$3
    export LACKS KNOWN LATER
    unset DEPS
}

test_expect_success 'all there: nothing to do, nothing said' '
    world -lmsgpack-c "" "" &&
    deps check build >out && test_grep "^on: cc make libcsv msgpack openblas jansson utf8proc pcre2 libjpeg libspng libwebp giflib$" out &&
    deps install build >out && test_cmp /dev/null out && test_no_file apt.log
'

test_expect_success 'the linker is told the name that msgpack has' '
    world -lmsgpack-c "" "" && deps config >out && test_grep "^MSGPACK := -lmsgpackc$" out &&
    world -lmsgpackc "" "" && deps config >out && test_grep "^MSGPACK := -lmsgpack-c$" out
'

test_expect_success 'oneDNN is used where it is, and missed aloud where it is not' '
    world "" "" "" && deps config >out && test_grep "^ONEDNN := yes$" out &&
    world -ldnnl "" "" && deps config >out 2>err && test_grep "^ONEDNN :=$" out && test_grep "oneDNN is not here" err
'

test_expect_success 'so is libcurl' '
    world "" "" "" && deps config >out && test_grep "^CURL := yes$" out &&
    world -lcurl "" "" && deps config >out 2>err && test_grep "^CURL :=$" out && test_grep "libcurl is not here: ft-ingest is built without --fetch" err &&
    world -lcurl "libcsv-dev" "" && deps install fetch >out && test_grep "install -y --no-install-recommends libcurl4-openssl-dev$" apt.log
'

test_expect_success 'what is missing is one apt-get line, and an end' '
    world "-lcsv -lmsgpackc -lmsgpack-c -lopenblas" "libcsv-dev libmsgpack-c-dev libmsgpack-dev" "" &&
    test_expect_code 1 deps config >out 2>err &&
    test_cmp /dev/null out &&
    test_grep "^missing: libcsv msgpack openblas$" err &&
    test_grep "^ *apt-get install libcsv-dev libmsgpack-c-dev libopenblas-dev$" err
'

test_expect_success 'older releases have libmsgpack-dev' '
    world "-lmsgpackc -lmsgpack-c" "libcsv-dev libmsgpack-dev" "" &&
    deps install build >out && test_grep "install -y --no-install-recommends libmsgpack-dev$" apt.log &&
    test_grep "^. apt-get install .* libmsgpack-dev$" out && test "$(wc -l <apt.log)" = 1
'

test_expect_success 'no lists of packages: they are fetched first, then names are chosen' '
    world "-lmsgpackc -lmsgpack-c" "" "libcsv-dev libmsgpack-c-dev" &&
    deps install build >out &&
    test_grep "update" apt.log && test_grep "install .* libmsgpack-c-dev$" apt.log && test "$(wc -l <apt.log)" = 2
'

test_expect_success 'DEPS=0 installs nothing, and says so' '
    world -lcsv libcsv-dev "" && export DEPS=0 &&
    deps install build >out && test_grep "DEPS=0" out && test_grep "libcsv-dev" out && test_no_file apt.log
'

test_expect_success 'other words are refused' '
    test_expect_code 2 deps check everything && test_expect_code 2 deps nonsense
'

test_done
