#!/bin/sh
# Lets libFuzzer search for FUZZ_SECONDS (10). New inputs stay in a folder that is thrown away; an
# input that breaks the target is kept beside the build and named in the output.
set -eu

fuzzer=$1
corpus=$2
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT

"$fuzzer" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$(dirname "$fuzzer")/" "$found" "$corpus" ||
    exit 1 # libFuzzer's own 77 would mean "skipped" to Meson
