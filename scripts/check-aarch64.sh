#!/bin/bash
# Builds what differs from machine to machine, the fibers, for AArch64, and runs its tests in an
# emulator. Both ways of switching; with pointer authentication and branch targets, which the
# emulated processor has.
#
# Usage: check-aarch64.sh WORK-FOLDER    (run from the project's folder)
set -euo pipefail

work=$1
compiler=aarch64-linux-gnu-gcc
emulator=qemu-aarch64-static
for tool in "$compiler" "$emulator"; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: run scripts/deps.sh dev" >&2; exit 1; }
done

flags=(-std=gnu17 -O2 -Wall -Wextra -Werror -Wno-missing-field-initializers -fno-strict-aliasing
    -D_GNU_SOURCE -mbranch-protection=standard -static -pthread -Iinclude -iquotesrc/base
    -iquotesrc/core -iquotetests)
sources=(src/base/{buf,clock,error,heap,text}.c src/core/{fiber,loop,overflow,park,stack}.c)
wrap=()
for function in malloc calloc realloc strdup strndup free; do
    wrap+=("-Wl,--wrap=$function")
done

passed=0
run() { # TEST SWITCH ARGUMENT...
    local test=$1 switch=$2
    shift 2
    "$compiler" "${flags[@]}" "${sources[@]}" "src/core/switch_$switch" "src/core/${test}_test.c" "$@" \
        -lm -o "$work/${test}_test"
    timeout 300 "$emulator" -cpu max "$work/${test}_test" >"$work/tap" 2>&1 ||
        { cat "$work/tap"; echo "$test with switch_$switch failed"; return 1; }
    passed=$((passed + $(grep -c '^ok' "$work/tap")))
}

run fiber aarch64.S "${wrap[@]}"
run fiber ucontext.c "${wrap[@]}"
run stack aarch64.S
run park aarch64.S
run overflow aarch64.S
echo "check-aarch64: $passed tests passed in an emulator"
