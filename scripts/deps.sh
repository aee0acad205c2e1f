#!/bin/sh
# Installs what building and testing Weir needs and this Debian machine lacks. Says nothing and calls
# no package manager when nothing is missing. Starts no service.
#
# Usage: deps.sh [dev]    dev: also what make check, make sanitize and make fuzz need
set -eu

base="build-essential meson ninja-build pkg-config libcurl4-openssl-dev zlib1g-dev libzstd-dev
    libbrotli-dev liblzma-dev libbz2-dev libxxhash-dev libsqlite3-dev libssl-dev libpcre2-dev libmicrohttpd-dev
    python3-pytest nginx openssl ca-certificates
    ripgrep gzip xz-utils bzip2 zstd iproute2"
dev="clang clang-format clang-tidy libclang-rt-dev mandoc shellcheck
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"

case ${1-} in
'') wanted=$base ;;
dev) wanted="$base $dev" ;;
*)
    echo "usage: $0 [dev]" >&2
    exit 2
    ;;
esac

one_line() { # WORD...
    echo "$*"
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086
    echo "deps: this is no Debian system; Weir needs what these packages hold there:
    $(one_line $wanted)" >&2
    # Without dpkg there is no telling what is missing; the build will say if something is.
    command -v meson >/dev/null && exit 0
    exit 1
fi

# shellcheck disable=SC2086
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
    sed -n 's/ installed$//p') || true
missing=
for package in $wanted; do
    echo "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "deps: missing, and neither root nor sudo is at hand. As root, run:
    apt-get install$missing" >&2
    exit 1
fi

echo "deps: installing$missing" >&2

# The whole installation runs as root in one shell, which forbids package scripts to start a service
# (nginx would take port 80) with the means Debian has for that, /usr/sbin/policy-rc.d. A policy that
# is already there is left alone. A web server that we brought is not started at the next boot either.
# shellcheck disable=SC2086,SC2016
$as_root sh -c '
set -eu
log=$(mktemp)
policy=
tidy() {
    rm -f "$log"
    [ -z "$policy" ] || rm -f "$policy"
}
trap tidy EXIT
trap "exit 130" INT TERM
if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf "#!/bin/sh\nexit 101\n" >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
apt() {
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" \
        </dev/null >"$log" 2>&1
}
packages() {
    apt install -y --no-install-recommends "$@"
}
if ! packages "$@"; then # most often the package lists are old, or were never read
    if ! { apt update && packages "$@"; }; then
        cat "$log" >&2
        echo "deps: apt-get failed, see above; wanted: $*" >&2
        exit 1
    fi
fi
case " $* " in
*" nginx "*) update-rc.d nginx disable >/dev/null 2>&1 || true ;;
esac
' deps.sh $missing
