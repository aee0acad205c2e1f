#!/bin/bash
# Fails unless the command and the library have what docs/security.md says of the build, read from the
# files themselves: a flag that a compiler doesn't know, or that something takes back, leaves no trace
# in a build that succeeds.
#
# Usage: check-hardening.sh BUILD-FOLDER WEIR LIBWEIR.SO LIBWEIR.A
set -euo pipefail
export LC_ALL=C

build=$1 command=$2 shared=$3 static=$4
failed=0
checks=0

expect() { # WHAT COMMAND...
    checks=$((checks + 1))
    if ! "${@:2}"; then
        echo "check-hardening: lost: $1" >&2
        failed=1
    fi
}

has() { # PATTERN TEXT
    grep -qE "$1" <<<"$2"
}

lacks() { # PATTERN TEXT
    ! has "$@"
}

same() { # NUMBER NUMBER
    [ "$1" = "$2" ] && [ "$1" -gt 0 ]
}

linked() { # FILE
    local file=$1 name=${1##*/} segments dynamic symbols
    segments=$(readelf -lW "$file")
    dynamic=$(readelf -dW "$file")
    symbols=$(readelf --dyn-syms -W "$file")
    expect "$name: loaded anywhere" has 'Elf file type is DYN' "$segments"
    expect "$name: relocations are read-only" has 'GNU_RELRO' "$segments"
    expect "$name: all functions are bound at the beginning" has 'BIND_NOW|FLAGS_1.*NOW' "$dynamic"
    expect "$name: no stack is executable" has 'GNU_STACK .* RW +0x' "$segments"
    expect "$name: nothing is both writable and executable" lacks ' (RWE|WE) ' "$segments"
    expect "$name: code has pages of its own" lacks 'LOAD +0x0+ .* R E ' "$segments"
    expect "$name: code is not relocated" lacks 'TEXTREL' "$dynamic"
    expect "$name: libraries come from where the system has them" lacks 'R(UN)?PATH' "$dynamic"
    expect "$name: stacks have canaries" has ' __stack_chk_fail' "$symbols"
    expect "$name: copies know their bounds" has ' __(mem|str|v?sn?printf|read|recv)[a-z_]*_chk' "$symbols"
}

# Every object, those written in assembly too. (The whole is marked only where the C library's own
# objects are.)
objects() {
    local all sections notes
    all=$(ar t "$static" | grep -c '\.o$')
    sections=$(readelf -SW "$static" 2>/dev/null)
    notes=$(readelf -nW "$static" 2>/dev/null)
    expect "libweir.a: no object asks for an executable stack" \
        same "$(grep -cE '\.note\.GNU-stack +PROGBITS +[0-9a-f ]+ +0 ' <<<"$sections")" "$all"
    case $(readelf -hW "$command") in
    *X86-64*)
        expect "libweir.a: branches lead to marked places (IBT)" \
            same "$(grep -cE 'x86 feature:.*IBT' <<<"$notes")" "$all"
        ;;
    *AArch64*)
        expect "libweir.a: branches lead to marked places (BTI)" \
            same "$(grep -cE 'AArch64 feature:.*BTI' <<<"$notes")" "$all"
        ;;
    esac
}

# What leaves no mark in a file: every unit of ours was compiled with it.
compiled() {
    local units flag
    units=$(grep '"command"' "$build/compile_commands.json" | grep -E -- '-c (\.\./)*[^ ]*(src|cli)/')
    for flag in -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fPI[CE]; do
        expect "every file is compiled with $flag" \
            same "$(grep -cE -- " '?$flag" <<<"$units")" "$(wc -l <<<"$units")"
    done
}

linked "$command"
expect "${command##*/}: is a position-independent program" \
    has 'FLAGS_1.*PIE' "$(readelf -dW "$command")"
linked "$shared"
objects
compiled
[ "$failed" = 0 ] || exit 1
echo "check-hardening: $checks properties"
