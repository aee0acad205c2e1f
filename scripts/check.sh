#!/bin/bash
# What `make check` checks, each in turn, and all of it even if one fails; names those that did.
#
# Usage: check.sh BUILD-FOLDER    (built with gcc; run from the project's folder)
set -uo pipefail

build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()

step() { # NAME COMMAND...
    local name=$1 status=0
    shift
    "$@" >"$work/log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        printf 'check: %-9s ok%s\n' "$name" "$(tail -n 1 "$work/log" | sed -n 's/^check-[a-z]*: /  /p')"
    else
        failed+=("$name")
        printf 'check: %-9s FAILED\n' "$name"
        sed 's/^/    /' "$work/log"
    fi
}

tracked() { # PATTERN...
    git ls-files -- "$@"
}

format() {
    tracked '*.c' '*.h' '*.cc' | xargs -r clang-format --dry-run -Werror
}

# Of gcc's own warning options, clang is told only what it knows.
tidy() {
    local files
    # shellcheck disable=SC2016
    files=$(/usr/bin/python3 -c '
import json, os, sys
known = {os.path.relpath(os.path.join(e["directory"], e["file"])) for e in json.load(sys.stdin)}
print(*sorted(f for f in known if f.startswith(("src/", "cli/")) and f.endswith(".c")), sep="\n")
' <"$build/compile_commands.json")
    [ -n "$files" ] || return 1
    # One file a process: clang-tidy 14 takes the va_list of a second file for uninitialized.
    echo "$files" | xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p "$build" \
        --extra-arg=-Wno-unknown-warning-option --warnings-as-errors='*' 2>&1 |
        { grep -vE '^[0-9]+ warnings? (generated|treated as error)' || true; }
}

# gcc built it; clang must find nothing to warn about either. It need not make code for that: the thread
# sanitizer's build does.
clang_reads() {
    # shellcheck disable=SC2016
    /usr/bin/python3 -c '
import json, shlex, sys
for e in json.load(sys.stdin):
    given = shlex.split(e["command"])
    if given[given.index("-c") + 1].endswith(".c"):
        wanted = [w for w in given[1:] if w not in ("-MD", "-MQ", "-MF", "-o", "-c")]
        files = [given[given.index(o) + 1] for o in ("-MQ", "-MF", "-o") if o in given]
        wanted = [w for w in wanted if w not in files]
        print(shlex.join(["cd", e["directory"]]), "&& clang -fsyntax-only",
              "-Wno-unknown-warning-option", shlex.join(wanted))
' <"$build/compile_commands.json" | xargs -d '\n' -n 1 -P "$(nproc)" sh -c
}

# Each header alone, and a program that uses all their macros.
headers() {
    local header name bad=0
    for header in include/weir/*.h tests/system/install_program.c; do
        name=weir/${header##*/}
        printf '#include "%s"\nextern int alone;\n' "$name" >"$work/alone.c"
        [ "${header##*.}" = h ] || cp "$header" "$work/alone.c"
        cp "$work/alone.c" "$work/alone.cc"
        for compiler in gcc clang; do
            "$compiler" -std=c99 -pedantic-errors -Wall -Wextra -Wstrict-prototypes -Werror \
                -fsyntax-only -Iinclude "$work/alone.c" || bad=1
        done
        for compiler in g++ clang++; do
            "$compiler" -std=c++11 -pedantic-errors -Wall -Wextra -Werror \
                -fsyntax-only -Iinclude "$work/alone.cc" || bad=1
        done
    done
    for header in include/weir/*.h; do
        name=weir/${header##*/}
        grep -qF "'${name##*/}'" include/weir/meson.build ||
            { echo "$name is not installed"; bad=1; }
        [ "$name" = weir/weir.h ] || grep -qF "#include \"$name\"" include/weir/weir.h ||
            { echo "weir/weir.h does not include $name"; bad=1; }
    done
    return "$bad"
}

scripts() {
    { tracked '*.sh'; tracked .ci/run; } | xargs shellcheck -x
}

manuals() {
    local pages
    mandoc -T lint -W warning "$build"/man/*.[1-9] || return
    # What only points to another page (.so) is none.
    mapfile -t pages < <(grep -L '^\.so ' "$build"/man/man3/*.3)
    [ "${#pages[@]}" -gt 0 ] && mandoc -T lint -W warning "${pages[@]}"
}

# Words that would send a reader to nowhere: every file the documents point to must be there.
links() {
    local doc target bad=0
    while read -r doc; do
        while read -r target; do
            [ -e "$(dirname "$doc")/$target" ] || { echo "$doc points to $target"; bad=1; }
        done < <(grep -oP '\]\(\K[^)#: ]+(?=[)#])' "$doc")
    done < <(tracked '*.md')
    return "$bad"
}

step format format
step layers /usr/bin/python3 scripts/check-layers.py .
step symbols scripts/check-symbols.sh . "$build/src/libweir.so" "$build/src/libweir.a"
step security /usr/bin/python3 scripts/check-security.py .
step hardening scripts/check-hardening.sh "$build" "$build/weir" "$build/src/libweir.so" \
    "$build/src/libweir.a"
step headers headers
step scripts scripts
step manuals manuals
step links links
step aarch64 scripts/check-aarch64.sh "$work"
step clang clang_reads
step tidy tidy

if [ "${#failed[@]}" -gt 0 ]; then
    echo "check: failed: ${failed[*]}" >&2
    exit 1
fi
