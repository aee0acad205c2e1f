#!/bin/sh
# Fails unless libweir.so exports exactly the functions that include/weir declares, and unless every
# global symbol of libweir.a begins with weir_ or wi_, so that linking it clashes with nobody.
#
# Usage: check-symbols.sh PROJECT-FOLDER LIBWEIR.SO LIBWEIR.A
set -eu
export LC_ALL=C

root=$1
shared=$2
static=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# The preprocessor takes comments and macros away; what is followed by "(" then is a function.
# A pointer type is none, nor is what it returns: "weir_status (*weir_map_input)(".
for header in "$root"/include/weir/*.h; do
    echo "#include \"weir/${header##*/}\""
done | "${CC:-cc}" -E -P -I"$root/include" -x c - |
    grep -oE '(^|[^A-Za-z0-9_])weir_[a-z0-9_]+ *\(([^*]|$)' | grep -oE 'weir_[a-z0-9_]+' |
    sort -u >"$work/declared"

nm -D --defined-only "$shared" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
nm -g --defined-only "$static" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$work/global"

report() { # TITLE FILE
    if [ -s "$2" ]; then
        echo "check-symbols: $1:" >&2
        sed 's/^/    /' "$2" >&2
        failed=1
    fi
}

comm -23 "$work/declared" "$work/exported" >"$work/missing"
comm -13 "$work/declared" "$work/exported" >"$work/extra"
# (The address sanitizer adds a symbol of its own for each global.)
grep -vE '^(__odr_asan\.)?(weir|wi)_' "$work/global" >"$work/foreign" || true
report "declared in include/weir, not exported" "$work/missing"
report "exported, not declared in include/weir" "$work/extra"
report "global in the static library, neither weir_ nor wi_" "$work/foreign"
if ! [ -s "$work/declared" ] || ! [ -s "$work/global" ]; then
    echo "check-symbols: found no functions at all in the headers or the static library" >&2
    failed=1
fi
[ "$failed" = 0 ] || exit 1
echo "check-symbols: $(wc -l <"$work/exported") functions exported, all of them declared"
