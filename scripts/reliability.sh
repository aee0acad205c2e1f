#!/bin/sh
# Runs the system tests that have a long form, in that, or those that ONLY says in pytest's words
# (ONLY='test_kill.py -k resumed'); for `make reliability`, in Meson's environment.
#
# Usage: reliability.sh PYTEST...
set -eu

cd "$(dirname "$0")/../tests/system"
export WEIR_LONG=1
if [ -n "${ONLY-}" ]; then
    eval "set -- \"\$@\" $ONLY"
else
    # shellcheck disable=SC2046 # plain names
    set -- "$@" $(grep -l WEIR_LONG test_*.py)
fi
exec "$@"
