#!/bin/sh
# Runs a command behind others: it takes what they leave of the processor, the less the higher LEVEL
# is (1 to 19, as of nice). In a session of its own: Linux shares the processor out among sessions
# first (sched_autogroup), where nice alone would make no difference.
#
# Usage: behind.sh LEVEL COMMAND...
set -eu

level=$1
shift
# shellcheck disable=SC2016
exec setsid sh -c '
echo "$0" 2>/dev/null >/proc/self/autogroup || true
exec nice -n "$0" "$@"
' "$level" "$@"
