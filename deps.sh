#!/bin/sh
# deps.sh - what ft needs from the system: say what is on and what is missing, or install it with apt-get.
#
#   ./deps.sh check build [fast] [fetch] [test] [demo]     what is on and what is missing, as one apt-get line; exit 1 if something is
#   ./deps.sh install build [fast] [fetch] [test] [demo]   install what is missing, saying so; DEPS=0 only says
#   ./deps.sh config                        check build, then the linker's names for make (build/config.mk)
#
# A library is there when a program that uses it links with $CC, whoever installed it; package names are only needed to install. They are those of
# Debian 12 and 13, Ubuntu 22.04 and 24.04.
set -u
CC=${CC:-cc}

links () {
    printf '#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <%s>\nint main(void) { return 0; }\n' "$1" |
        $CC -xc - -o /dev/null "$2" 2>/dev/null
}

# msgpack's C library is called -lmsgpackc up to version 4, -lmsgpack-c from 6 on.
msgpack () {
    for name in msgpackc msgpack-c; do
        links msgpack.h -l$name && echo -l$name && return
    done
    return 1
}

# libmsgpack-dev became libmsgpack-c-dev: what apt knows decides, and where it knows nothing yet, the distribution.
msgpack_package () {
    for package in libmsgpack-c-dev libmsgpack-dev; do
        apt-cache show $package 2>/dev/null | grep -q . && echo $package && return
    done
    case $(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_ID:-}") in
    "debian 11" | "debian 12" | "ubuntu 22.04") echo libmsgpack-dev ;;
    *) echo libmsgpack-c-dev ;;
    esac
}

# have NAME PACKAGE COMMAND...: what is on, what is missing, and the packages that bring it.
have () {
    have_name=$1 have_package=$2
    shift 2
    case "$on$missing " in *" $have_name "*) return ;; esac
    if "$@" >/dev/null 2>&1; then
        on="$on $have_name"
    else
        missing="$missing $have_name"
        packages="$packages $have_package"
    fi
}

look () {
    on='' missing='' packages=''
    for set; do
        case $set in
        build)
            # gcc only recommends the C library's headers.
            if echo 'int main(void) { return 0; }' | $CC -xc - -o /dev/null 2>/dev/null; then
                on=" $CC"
            else
                missing=" $CC" packages=' gcc libc6-dev'
            fi
            have make make command -v make
            have libcsv libcsv-dev links csv.h -lcsv
            have msgpack "$(msgpack_package)" msgpack
            have openblas libopenblas-dev links cblas.h -lopenblas
            have jansson libjansson-dev links jansson.h -ljansson
            have utf8proc libutf8proc-dev links utf8proc.h -lutf8proc
            have pcre2 libpcre2-dev links pcre2posix.h -lpcre2-8
            have libjpeg libjpeg-dev links jpeglib.h -ljpeg
            have libspng libspng-dev links spng.h -lspng
            have libwebp libwebp-dev links webp/demux.h -lwebpdemux
            have giflib libgif-dev links gif_lib.h -lgif ;;
        fast)
            have onednn libdnnl-dev links dnnl.h -ldnnl ;;
        fetch)
            have libcurl libcurl4-openssl-dev links curl/curl.h -lcurl ;;
        test)
            have prove perl command -v prove
            have mandoc mandoc command -v mandoc
            have g++ g++ command -v g++
            have time time test -x /usr/bin/time
            have pip python3-pip pip_works ;;
        demo)
            have pip python3-pip pip_works ;;
        *)
            echo "deps.sh: '$set': known are build fast fetch test demo" >&2
            exit 2 ;;
        esac
    done
}

pip_works () {
    pip --version || python3 -m pip --version
}

apt () {
    if test "$(id -u)" = 0; then
        DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
    fi </dev/null
}

say_missing () {
    echo "missing:$missing"
    if command -v apt-get >/dev/null; then
        echo "    apt-get install$packages"
    else
        echo "    no apt-get here: install the packages that bring them"
    fi
}

# Lists of packages that are not there, or too old for what they name to be still there, are fetched first.
install () {
    look "$@"
    test -n "$missing" || return 0
    say_missing
    if test "${DEPS:-1}" = 0; then
        echo "DEPS=0: nothing is installed"
        return 0
    fi
    command -v apt-get >/dev/null || return 1
    if test "$(id -u)" != 0 && ! command -v sudo >/dev/null; then
        echo "neither root nor sudo: nothing is installed"
        return 1
    fi
    apt-cache show libcsv-dev 2>/dev/null | grep -q . || { apt update && look "$@"; } || return 1
    echo "\$ apt-get install -y --no-install-recommends$packages"
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $packages && return 0
    apt update && look "$@" && apt install -y --no-install-recommends $packages
}

check () {
    look "$@"
    echo "on:$on"
    test -n "$missing" || return 0
    say_missing
    return 1
}

verb=${1:-check}
test $# -gt 0 && shift
case $verb in
check) check "${@:-build}" ;;
install) install "${@:-build}" ;;
config)
    check build >&2 || { echo "ft cannot be built without them (make deps installs them)" >&2; exit 1; }
    echo "MSGPACK := $(msgpack)"
    # Faster products where it is.
    if links dnnl.h -ldnnl; then
        echo "ONEDNN := yes"
    else
        echo "oneDNN is not here: the products are OpenBLAS's (libdnnl-dev makes training about a tenth faster)" >&2
        echo "ONEDNN :="
    fi
    if links curl/curl.h -lcurl; then
        echo "CURL := yes"
    else
        echo "libcurl is not here: ft-ingest is built without --fetch (libcurl4-openssl-dev)" >&2
        echo "CURL :="
    fi ;;
*)
    echo "deps.sh: '$verb': known are check install config" >&2
    exit 2 ;;
esac
