#!/bin/sh
# Sets up what weir is measured against, from packages: nginx as the server; wrk, Go's net/http,
# aiohttp on uvloop and a bare libcurl loop as the peers of weir fetch; GNU parallel as that of weir
# exec; ripgrep, GNU grep and DuckDB as those of weir scan, with a slow file system; Go's channels, libuv
# and Python as those of the executors. Everything built here goes to build/bench. What is there already
# is left alone; a peer that cannot be set up is named and skipped.
set -u
cd "$(dirname "$0")/.." || exit 2
out=build/bench
mkdir -p "$out"
PATH=$PATH:/usr/local/go/bin
failed=

have() {
    command -v "$1" >/dev/null 2>&1
}

# Another program of that name comes with moreutils.
gnu_parallel() {
    parallel --version 2>/dev/null | grep -q '^GNU parallel'
}

missing() {
    echo "peers: no $1: $2" >&2
    failed="$failed $1"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian packages whose command is not there yet.
packages=
have nginx || [ -x /usr/sbin/nginx ] || packages="$packages nginx-light"
have wrk || packages="$packages wrk"
gnu_parallel || packages="$packages parallel"
have go || packages="$packages golang-go"
have cc || packages="$packages gcc libc6-dev"
pkg-config --exists libcurl 2>/dev/null || packages="$packages pkg-config libcurl4-openssl-dev"
have rg || packages="$packages ripgrep"
have fusermount3 || packages="$packages fuse3"
pkg-config --exists fuse3 2>/dev/null || packages="$packages pkg-config libfuse3-dev"
pkg-config --exists zlib 2>/dev/null || packages="$packages pkg-config zlib1g-dev"
pkg-config --exists libuv 2>/dev/null || packages="$packages pkg-config libuv1-dev"
/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
if [ -n "$packages" ]; then
    as_root apt-get update -q >"$out/apt.log" 2>&1
    for package in $packages; do
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "$package" >>"$out/apt.log" 2>&1 ||
            echo "peers: cannot install $package, see $out/apt.log" >&2
    done
fi

# newer TARGET SOURCE: the target is up to date.
newer() {
    [ -n "$(find "$1" -newer "$2" 2>/dev/null)" ]
}

newer $out/measure bench/measure.c ||
    cc -O2 -std=gnu17 -D_GNU_SOURCE -o $out/measure bench/measure.c || {
    echo "peers: bench/measure.c, which takes the measurements, does not build" >&2
    exit 2
}

newer $out/curl_multi bench/curl_multi.c ||
    cc -O2 -std=gnu17 -D_GNU_SOURCE -o $out/curl_multi bench/curl_multi.c -lcurl ||
    missing curl_multi "bench/curl_multi.c does not build"

newer $out/peer_libuv bench/peer_libuv.c ||
    cc -O2 -std=gnu17 -D_GNU_SOURCE -o $out/peer_libuv bench/peer_libuv.c -luv ||
    missing libuv "bench/peer_libuv.c does not build"

{ newer $out/scan_files bench/scan_files.c && newer $out/scan_files bench/log_lines.h; } ||
    cc -O2 -std=gnu17 -D_GNU_SOURCE -o $out/scan_files bench/scan_files.c -lz ||
    missing "files to scan" "bench/scan_files.c does not build"

# shellcheck disable=SC2046 # several words
{ newer $out/slowfs bench/slowfs.c && newer $out/slowfs bench/log_lines.h; } ||
    cc -O2 -std=gnu17 -D_GNU_SOURCE -o $out/slowfs bench/slowfs.c -pthread \
        $(pkg-config --cflags --libs fuse3) ||
    missing "slow file system" "bench/slowfs.c does not build"

# Only the Go that is installed: its tools must not fetch another one.
for name in peer_go peer_go_tasks; do
    newer $out/$name bench/$name/main.go ||
        (cd bench/$name && GOTOOLCHAIN=local GOFLAGS=-mod=mod go build -o ../../$out/$name .) ||
        missing go "bench/$name does not build"
done

if ! $out/venv/bin/python -c 'import aiohttp, duckdb, uvloop' 2>/dev/null; then
    { /usr/bin/python3 -m venv $out/venv && $out/venv/bin/pip install -q aiohttp duckdb uvloop; } \
        >$out/pip.log 2>&1 || missing "aiohttp or DuckDB" "see $out/pip.log"
fi

have rg || missing ripgrep "not installed"
have wrk || missing wrk "not installed"
gnu_parallel || missing parallel "not installed"
[ -z "$failed" ] || echo "peers: the bench goes on without:$failed" >&2
