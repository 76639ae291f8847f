# SPDX-License-Identifier: Apache-2.0
#
# The short way to Meson and Ninja. `make help` lists the targets.

BUILD   ?= build
PREFIX  ?= /usr/local
# SAN=address,undefined or SAN=thread: a build folder of its own with these sanitizers
SAN     ?=
ONCE    ?=
QUICK   ?=
BENCH   ?= $(wildcard bench/http bench/edge bench/gateway bench/dns bench/transport bench/redirect)
SECONDS ?= 60

ifneq ($(SAN),)
comma := ,
BUILD := build-$(subst $(comma),-,$(SAN))
# gcc warns falsely through the instrumentation; tools/check builds without it and forgives nothing
SETUP := -Db_sanitize=$(SAN) -Dwerror=false
endif

.PHONY: all deps test demo bench check endurance never-drop fairness fuzz install clean help
.NOTPARALLEL:

all: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: | deps
	@meson setup --prefix=$(PREFIX) $(SETUP) $(BUILD)

deps:
	@tools/install-deps

test: all
	@tools/run-tests --build $(BUILD) $(if $(SAN),--sanitizers $(SAN)) $(TESTS)

demo: all
	@$(BUILD)/src/cli/causeway demo $(if $(ONCE),--once)

bench: all
	@tools/install-deps --bench
	@for script in $(BENCH); do \
	    CAUSEWAY_BUILD=$(BUILD) $$script $(if $(QUICK),--quick) || exit 1; \
	done

check: deps
	@tools/check

fuzz: deps
	@tools/fuzz --seconds $(SECONDS) $(FUZZ)

endurance: all
	@tests/endurance --build $(BUILD) --seconds $(SECONDS)

never-drop: all
	@tests/never_drop --build $(BUILD)

fairness: all
	@tools/fairness --build $(BUILD) $(if $(QUICK),--quick)

install: all
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-*

help:
	@echo 'make                 install what is missing (Debian), build into $(BUILD)/'
	@echo 'make demo            the whole network on this machine; ONCE=1 tells the story once and ends'
	@echo 'make test            unit, simulation and system tests; SAN=address,undefined or SAN=thread'
	@echo '                     TESTS="unit sim system", any of them, or test_NAME.py'
	@echo 'make check           format, tidy, headers, purity, warnings of both compilers'
	@echo 'make fuzz            every fuzzer for SECONDS=60; FUZZ=name for one'
	@echo 'make bench           speed beside named peers; QUICK=1, BENCH=bench/dns for one'
	@echo 'make fairness        share of a link beside real TCP, 810 cells, drawn in $(BUILD)/fairness/; QUICK=1 for a third'
	@echo 'make never-drop      100 reloads and 10 upgrades under 1,000 requests a second: nothing may fail'
	@echo 'make endurance       connections come and go over a lossy link for SECONDS=60; SAN=address for leaks'
	@echo 'make install         below PREFIX=/usr/local; DESTDIR is respected'
	@echo 'make clean           remove the build folders'
