#!/bin/sh
# The pages of man/ say what the tools do: their options are those of --help, their EXAMPLES run.
#
# In EXAMPLES a command is a line "$ ..." of a display. Comments before it say what is special about it:
#
#     .\" not run: network            never run here, and counted as skipped
#     .\" needs: python3 numpy        run where these programs are (behind python3: its modules)
#     .\" file: NAME                  no commands: the rest of the display is this file
#
# Commands of a page run one after another in a directory of samples (samples.sh), with a tiny model as
# `minilm`, and, unless the page makes it itself, with a `tuned`.
test_description='the manual: options, examples, form'
. "$(dirname "$0")/../lib.sh"

MAN=$TOP/man
BIN=$(dirname "$(command -v ft)")
test -x "$BIN/ft" || { echo "Bail out! no ft on PATH: run make first"; exit 1; }

# ---- what pages and tools say ----

section () {
    awk -v name="$2" '/^\.Sh / { in_it = substr($0, 5) == name; next } in_it' "$1"
}

# "-m, --model MODEL" a line, from an OPTIONS section and from --help.
page_options () {
    section "$1" OPTIONS | sed -n -e 's/^\.It Fl/Fl/' -e '/^Fl /{s/Fl /-/g; s/ \(Ar\|Cm\) / /g; s/ ,/,/g; p;}'
}

help_options () {
    "$BIN/$1" --help | sed -n 's/^  \(-[^ ].*\)/\1/p' | sed 's/   *.*//'
}

without_standard () {
    grep -v -x -e '-q, --quiet' -e '-v, --verbose' -e '-h, --help' -e '--version'
    true
}

# As in a SYNOPSIS: the letter where there is one.
shortened () {
    sed 's/^\(-[a-zA-Z]\), --[a-z-]*/\1/'
}

synopsis_options () {
    section "$1" SYNOPSIS | sed -n 's/^\.Op Fl/Fl/p' | grep -v -x 'Fl qv' | sed 's/Fl /-/; s/ \(Ar\|Cm\) / /'
    true
}

# What follows [OPTION...]: each Op opens a bracket, and all close at the line's end.
synopsis_operands () {
    section "$1" SYNOPSIS | grep -v -e '^\.Op Fl' -e '^\.Nm' | awk '{
        out = ""; open = 0
        for (i = 1; i <= NF; i++) {
            word = i == 1 ? substr($i, 2) : $i
            if (word == "Op") { out = out (out == "" ? "" : " ") "["; open++ }
            else if (word == "...") out = out word
            else if (word != "Ar") out = out (out == "" || out ~ /\[$/ ? "" : " ") word
        }
        while (open-- > 0) out = out "]"
        print out
    }'
}

help_operands () {
    "$BIN/$1" --help | sed -n "s/^usage: $1 \[OPTION\.\.\.\] *\(.\)/\1/p"
}

tools=$(cd "$BIN" && ls | grep -x -e ft -e 'ft-[a-z0-9-]*')

test_expect_success 'every tool has a page, every page a tool' '
    for t in $tools; do echo "$t.1"; done | sort >expect &&
    (cd "$MAN" && ls *.1) | sort >actual &&
    test_cmp expect actual
'

for t in $tools; do
    page=$MAN/$t.1
    test -f "$page" || continue
    test_expect_success "$t: OPTIONS are those of --help" '
        help_options $t | grep -e "^-" | sort >help &&
        if test $t = ft; then cat help; else without_standard <help; fi >expect &&
        page_options "$page" | sort >actual &&
        test_cmp expect actual
    '
    test_expect_success "$t: SYNOPSIS is that of --help" '
        help_options $t | without_standard | shortened | sort >expect &&
        synopsis_options "$page" | sort >actual &&
        test_cmp expect actual &&
        section "$page" SYNOPSIS | grep -q -x -F ".Op Fl qv" &&
        help_operands $t >expect &&
        synopsis_operands "$page" >actual &&
        test_cmp expect actual
    '
    test_expect_success "$t: the page begins with the purpose that --help begins with" '
        "$BIN/$t" --help | sed -n "1s/^$t - //p" >expect &&
        sed -n "s/^\.Nd //p" "$page" >actual &&
        test_cmp expect actual &&
        grep "^[a-z]" expect && ! grep "\.$" expect
    '
    test_expect_success "$t: the page has what every page has, two examples or more" '
        for s in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" EXAMPLES "SEE ALSO"; do
            section "$page" "$s" | grep -q . || { echo "no section $s"; return 1; }
        done &&
        test "$(section "$page" EXAMPLES | grep -c "^\\$ ")" -ge 2
    '
    test_expect_success "$t: the standard options, and examples, in --help" '
        help_options $t | without_standard >rest &&
        help_options $t >all &&
        test $(($(wc -l <all) - $(wc -l <rest))) -eq 4 &&
        test "$("$BIN/$t" --help | sed -n "/^e\.g\.$/,/^$/p" | grep -c "^  .*ft")" -ge 2
    '
done

test_expect_success 'the vocabulary of ft(7) is that of the tools' '
    for t in $tools; do help_options $t; done | tr " ," "\n\n" | grep "^-" | sort -u >expect &&
    page_options "$MAN/ft.7" | tr " ," "\n\n" | grep "^-" | sort -u >actual &&
    test_cmp expect actual
'

# But ft-ingest's --pairs are rows and ft-sample's batches; and the few below, which the tools' own work colours.
test_expect_success 'an option that several tools have has the same words in all' '
    for t in $tools; do
        test $t = ft-ingest ||
        "$BIN/$t" --help |
            sed -n "/^e\.g\./q; /^  --*[a-z]/{N;s/\n  *\([^- ]\)/  \1/;P;D;}" | sed "s/^  //; s/ \[[^]]*\]$//"
    done | sort -u >lines &&
    sed "s/   *.*//" lines | sort | uniq -d |
        grep -v -x -e "-m, --model .*" -e "-o, --output .*" -e "-k N" -e "--force" -e "--limit N" -e "--seed S" \
            -e "--max-errors N" -e "--epochs N" -e "--prompt .*" -e "--index FILE" -e "--json" >several
    cat several
    test ! -s several
'

# ---- examples ----

# "file<TAB>NAME<TAB>LINE", "run<TAB>needs<TAB>COMMAND" or "skip<TAB>reason<TAB>COMMAND" a line.
examples_of () {
    section "$1" EXAMPLES | awk '
        function plain(text) { gsub(/\\&/, "", text); gsub(/\\-/, "-", text); gsub(/\\e/, "\\", text); return text }
        /^\.Bd/ { display = 1; file = ""; next }
        /^\.Ed/ { display = 0; file = ""; next }
        !display { next }
        /^\.\\" not run: / { skip = substr($0, 14); next }
        /^\.\\" needs: / { needs = substr($0, 12); next }
        /^\.\\" file: / { file = substr($0, 11); next }
        /^\./ { next }
        file != "" { print "file\t" file "\t" plain($0); next }
        /^\$ / {
            print (skip != "" ? "skip\t" skip : "run\t" (needs == "" ? "-" : needs)) "\t" plain(substr($0, 3))
            skip = needs = ""
        }'
}

lacking () {
    first=$1
    command -v "$first" >/dev/null || { echo "$first"; return; }
    shift
    for module; do
        "$first" -c "import $module" 2>/dev/null || { echo "$first's $module"; return; }
    done
}

mkdir -p "$FT_HOME/models" && cp -R "$TOP/tests/golden/model/mean" "$FT_HOME/models/minilm" &&
    cp -RL "$TOP/tests/golden/scorer/plain" "$FT_HOME/models/ms-marco" || exit 1

test_expect_success 'samples, and a tuned model' '
    mkdir samples && cd samples && . "$TOP/tests/man/samples.sh" &&
    ft-ingest train.csv | ft-train -o tuned
'

run_example () {
    (cd "$1" && timeout 120 sh -c "$2")
    rc=$?
    test "$rc" -eq 0 || { echo "exit status $rc"; return 1; }
}

for page in "$MAN"/*.[157]; do
    name=$(basename "$page")
    examples_of "$page" >"$TRASH/$name.list"
    cp -R "$TRASH/samples" "$TRASH/$name"
    ! grep -q -e '-o tuned' "$TRASH/$name.list" || rm -rf "$TRASH/$name/tuned"
    while IFS='	' read -r what detail text <&3; do
        title="$name: \$ $(printf %s "$text" | tr -d '\\#')"
        case $what in
        file) printf '%s\n' "$text" >>"$TRASH/$name/$detail" ;;
        skip) test_skip "$title" "$detail" ;;
        run)
            lack=
            test "$detail" = - || lack=$(lacking $detail)
            if test -n "$lack"; then
                test_skip "$title" "$lack is not here"
            else
                test_expect_success "$title" 'run_example "$TRASH/$name" "$text"'
            fi ;;
        esac
    done 3<"$TRASH/$name.list"
done

# Commands of README.md's ```sh blocks, in their order.
cp -R "$TRASH/samples" "$TRASH/README.md" && rm -rf "$TRASH/README.md/tuned"
sed -n '/^```sh$/,/^```$/p' "$TOP/README.md" | grep '^ft' >"$TRASH/README.list"
while IFS= read -r text <&3; do
    test_expect_success "README.md: $text" 'run_example "$TRASH/README.md" "$text"'
done 3<"$TRASH/README.list"

test_expect_success 'README.md has commands to run' 'test "$(wc -l <README.list)" -ge 2'

# ---- form ----

test_expect_success 'files that the READMEs name are there' '
    grep -o -h "\`[a-zA-Z/_.0-9*-]*\`" "$TOP/README.md" "$TOP/lib/README.md" | tr -d "\`" |
        grep -E "^(lib|tests|tools|man|pipelines)/" | grep -v NAME | sort -u >named &&
    test -s named &&
    while read -r file; do
        ls -d "$TOP"/$file >/dev/null || echo "$file" >>lost
    done <named
    test_no_file lost
'

if command -v mandoc >/dev/null; then
    for page in "$MAN"/*.[157]; do
        test_expect_success "$(basename "$page"): mandoc has nothing to say" 'mandoc -T lint -W warning "$page"'
    done
else
    test_skip 'mandoc has nothing to say' 'mandoc is not here'
fi

# What man(1) shows on most machines; a reference that it dislikes can swallow the rest of a page.
if command -v groff >/dev/null; then
    for page in "$MAN"/*.[157]; do
        test_expect_success "$(basename "$page"): groff shows all of its sections" '
            sed -n "s/^\.Sh //p" "$page" >expect &&
            groff -mdoc -Tascii -P-cbou "$page" 2>/dev/null | grep -x "[A-Z][A-Z ]*" >actual &&
            test_cmp expect actual
        '
    done
else
    test_skip 'groff shows all of their sections' 'groff is not here'
fi
test_done
