# A short front for Meson and Ninja. In a fresh clone on Debian 12, `make demo` and `make test` need
# nothing else: they install what is missing first (scripts/deps.sh).
#
#   make            build; the command is then build/weir
#   make demo       200 API calls one by one, 16 at a time and all at once, measured
#   make test       build, then all unit and system tests
#   make check      format, static analysis, layers, symbols, headers, scripts, man pages
#   make sanitize   the tests under address, undefined-behaviour and thread sanitizers
#   make reliability  the tests that kill, starve and cut off runs, in their long forms
#                   (ONLY='test_kill.py -k resumed': some of them)
#   make soak       five million items through one run; nothing may grow (SOAK='--items 200000')
#   make fuzz       every fuzzer for FUZZ_SECONDS (60) seconds, from FUZZ_SEED (0: another each time)
#   make plots      the plot and table of docs/gate.md, from the simulation
#   make bench      measure against the peers (bench/README.md)
#   make install    into PREFIX (/usr/local), below DESTDIR if given
#   make clean

PREFIX = /usr/local
BUILDTYPE = debugoptimized
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0

# Debian's own Meson, whatever else stands first in PATH.
MESON := $(firstword $(wildcard /usr/bin/meson) meson)
NINJA := $(firstword $(wildcard /usr/bin/ninja) ninja)

# What gcc warns of under its own instrumentation is often no fault, so sanitizer builds don't end with
# a warning; make and make check, with gcc and clang, do.
#
# Of what a debugger wants, sanitizers need lines only, which saves a quarter of the compiler's time.
#
# The sanitizers of this age lose their way when the kernel places mappings too freely; setarch -R
# turns that off where it is allowed (it is not in every container).
NO_ASLR = $(shell setarch -R true 2>/dev/null && echo '--wrapper "setarch -R"')
QUICK = -Doptimization=1 -Dc_args=-g1
TEST = $(MESON) test --no-rebuild --print-errorlogs

all: build/build.ninja
	@$(NINJA) -C build

build/weir: build/build.ninja
	@$(NINJA) -C build weir

build/build.ninja:
	@command -v $(MESON) >/dev/null || { echo 'Meson is missing: run scripts/deps.sh' >&2; exit 1; }
	@$(MESON) setup build --prefix=$(PREFIX) --buildtype=$(BUILDTYPE)

deps:
	@scripts/deps.sh

deps-dev:
	@scripts/deps.sh dev

demo: deps
	@$(MAKE) --no-print-directory build/weir
	@build/weir demo

test: deps
	@$(MAKE) --no-print-directory all
	@$(NINJA) -C build meson-test-prereq
	@$(TEST) -C build

check: deps-dev
	@$(MAKE) --no-print-directory all
	@scripts/check.sh build

sanitize: sanitize-address sanitize-thread

sanitize-address: deps-dev
	@[ -e build-asan/build.ninja ] || $(MESON) setup build-asan --buildtype=debug \
	    $(QUICK) -Dwerror=false -Db_sanitize=address,undefined
	@$(NINJA) -C build-asan all meson-test-prereq
	@. scripts/sanitizers.sh; $(TEST) -C build-asan $(NO_ASLR) --timeout-multiplier 5

sanitize-thread: deps-dev
	@[ -e build-tsan/build.ninja ] || CC=clang $(MESON) setup build-tsan --buildtype=debug \
	    $(QUICK) -Dwerror=false -Db_sanitize=thread -Db_lundef=false
	@$(NINJA) -C build-tsan all meson-test-prereq
	@. scripts/sanitizers.sh; $(TEST) -C build-tsan $(NO_ASLR) --timeout-multiplier 5

reliability: deps
	@$(MAKE) --no-print-directory all
ifndef ONLY
	@$(NINJA) -C build job_crew_resume_test job_outputs_crash_test
	@WEIR_LONG=1 build/job_outputs_crash_test
	@WEIR_LONG=1 build/job_crew_resume_test
endif
	@ONLY="$(ONLY)" $(NINJA) -C build reliability

fuzz: deps-dev
	@[ -e build-fuzz/build.ninja ] || CC=clang $(MESON) setup build-fuzz --buildtype=debug \
	    $(QUICK) -Dwerror=false -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true
	@$(NINJA) -C build-fuzz fuzzers
	@. scripts/sanitizers.sh; FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) \
	    $(TEST) -C build-fuzz --suite fuzz $(NO_ASLR) --timeout-multiplier 0

soak: build/weir
	@/usr/bin/python3 scripts/soak.py $(SOAK)

plots: build/build.ninja
	@$(NINJA) -C build src/job/gate_plot
	@build/src/job/gate_plot svg > docs/gate.svg
	@build/src/job/gate_plot table > build/gate-table.md
	@sed -i -e '/^<!-- make plots/r build/gate-table.md' -e '/^| server/,/^$$/{/^$$/!d}' docs/gate.md

bench: deps
	@$(MAKE) --no-print-directory all
	@/usr/bin/python3 bench/run.py

install: build/build.ninja
	@$(MESON) configure build -Dprefix=$(PREFIX)
	@$(NINJA) -C build
	@DESTDIR='$(DESTDIR)' $(MESON) install -C build --no-rebuild --quiet
	@[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || true

clean:
	@rm -rf build build-asan build-tsan build-fuzz

# Ninja knows whether it is up to date.
.PHONY: build/weir all deps deps-dev demo test check reliability sanitize sanitize-address \
    sanitize-thread fuzz soak plots bench install clean
