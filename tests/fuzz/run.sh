#!/bin/bash
# Lets libFuzzer search for FUZZ_SECONDS (60), at the lowest priority, so that fuzzers run where others
# wait. New inputs stay in a folder that is thrown away; an input that breaks the target is kept beside
# it. A small one is printed too, since often the output is all that is left of a run: base64 -d >INPUT
# brings it back, FUZZER INPUT tries it.
#
# FUZZ_SEED (0) is what its choices begin from; 0: each time another.
#
# One input may take long, as a busy machine leaves little to who is last.
set -eu

fuzzer=$1
corpus=$2
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR=$work # what a fuzzer leaves when it is ended goes, too
trap 'rm -rf "$work"' EXIT
mkdir "$work/found"
touch "$work/start"

if "$(dirname "$0")/../../scripts/behind.sh" 19 "$fuzzer" \
    -max_total_time="${FUZZ_SECONDS:-60}" -timeout=120 -rss_limit_mb=2048 -max_len=65536 \
    -seed="${FUZZ_SEED:-0}" -print_final_stats=1 -artifact_prefix="$fuzzer-" "$work/found" "$corpus"; then
    exit 0
fi
for input in "$fuzzer"-*; do
    if [ "$input" -nt "$work/start" ] && [ "$(wc -c <"$input")" -le 4096 ]; then
        echo "$input, in base64:"
        base64 "$input"
    fi
done >&2
exit 1 # libFuzzer's own 77 would mean "skipped" to Meson
