# shellcheck shell=sh
# Sourced before the tests of a sanitizer build: the first finding ends the program that has it, so
# that no test can pass over one. The thread sanitizer has a process that ends with threads sleep for
# a second first, to see what they do meanwhile; worker processes do so by the hundred, and a
# twentieth is enough.
here=$(pwd)
export ASAN_OPTIONS="abort_on_error=0:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$here/tests/lsan.supp:print_suppressions=0"
export TSAN_OPTIONS="halt_on_error=1:atexit_sleep_ms=50:second_deadlock_stack=1:suppressions=$here/tests/tsan.supp"
