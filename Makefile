# SPDX-License-Identifier: Apache-2.0
#
# The short way to Meson and Ninja. `make help` lists the targets.

BUILD   ?= build
# what is installed and measured: without tests, and optimised across files, which takes minutes
RELEASE ?= build-release
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

.PHONY: all deps release test demo bench check endurance never-drop fairness fuzz install clean help
.NOTPARALLEL:

all: deps $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: | deps
	@meson setup --prefix=$(PREFIX) $(SETUP) $(BUILD)

deps:
	@tools/install-deps

$(RELEASE)/build.ninja: | deps
	@meson setup --prefix=$(PREFIX) -Db_lto=true -Dtests=false $(RELEASE)

release: deps $(RELEASE)/build.ninja
	@ninja -C $(RELEASE)

test: all
	@tools/run-tests --build $(BUILD) $(if $(SAN),--sanitizers $(SAN)) $(TESTS)

demo: all
	@$(BUILD)/src/cli/causeway demo $(if $(ONCE),--once)

bench: release
	@tools/install-deps --bench
	@for script in $(BENCH); do \
	    CAUSEWAY_BUILD=$(RELEASE) $$script $(if $(QUICK),--quick) || exit 1; \
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

install: release
	@meson install -C $(RELEASE) --no-rebuild

clean:
	rm -rf build build-*

help:
	@echo 'make                 install what is missing (Debian), build into $(BUILD)/'
	@echo 'make release         the same without tests, optimised across files, into $(RELEASE)/: what bench and install take'
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
