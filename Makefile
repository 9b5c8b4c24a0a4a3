# Everything a developer runs. `make demo` and `make test` set up a fresh machine by themselves: all they need is the
# Swift toolchain.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

SWIFT ?= swift
# One list of what is formatted and linted; folders that do not exist yet are left out.
SOURCES := $(wildcard Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources Benchmarks/Tests \
	Fuzz/Package.swift Fuzz/Sources Examples/Package.swift Examples/Sources Examples/Tests)
# How long each fuzzer runs.
SECONDS ?= 60
# Warnings of this package are errors wherever we build it ourselves.
STRICT := APUS_STRICT=1
# A crash in a test that expects one would otherwise spend seconds on a backtrace.
RUN := SWIFT_BACKTRACE=enable=no

.PHONY: help setup build demo test lint format sanitize torture damage fuzz coverage sabotage bench bench-peers examples docs clean

help: ## Shows this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

setup: ## Installs the system packages that are missing
	@.ci/setup

build: setup ## Builds the library and the command in release
	$(SWIFT) build -c release --product apus

demo: build ## Imports real data, is killed, recovers, verifies, exports, compares
	@"$$($(SWIFT) build -c release --show-bin-path)/apus" demo

test: setup ## Builds without warnings, lints, runs every test
	$(STRICT) $(SWIFT) build --build-tests
	@SWIFT="$(SWIFT)" Fuzz/check
	@SWIFT="$(SWIFT)" Examples/check
	@$(MAKE) --no-print-directory lint
	$(STRICT) $(RUN) $(SWIFT) test --skip-build

lint: ## Checks the format of every source file
	$(SWIFT) format lint --strict --recursive $(SOURCES)

format: ## Formats every source file
	$(SWIFT) format --in-place --recursive $(SOURCES)

sanitize: setup ## Runs the tests under ThreadSanitizer, then AddressSanitizer
	@.ci/sanitize thread
	@.ci/sanitize address

torture: setup ## Simulated crashes, failing calls, and processes killed on a real disk
	@.ci/torture

damage: setup ## Changes every byte of databases, cuts them to every length, and salvages what is left
	@.ci/damage

fuzz: setup ## Fuzzes every decoder and the engine, SECONDS= each (60)
	@Fuzz/run $(SECONDS)

coverage: setup ## Line coverage of the engine by folder; fails below 90 %
	@.ci/coverage 90

sabotage: setup ## Puts mistakes into a copy of the engine, one by one; the tests must notice each
	@.ci/sabotage

bench: setup ## Measures Apus alone: ENTRIES= (1000000) and REPETITIONS= (3) scale it
	@SWIFT="$(SWIFT)" Benchmarks/measure --engines apus

bench-peers: setup ## Installs the other engines and measures everything beside them
	@Benchmarks/install-peers
	@SWIFT="$(SWIFT)" Benchmarks/measure

examples: setup ## Builds the example application and compares its storage with SQLite
	@.ci/setup sqlite3
	@# Where the tests of this package are built: what they have built is not built again.
	$(STRICT) $(RUN) $(SWIFT) test --package-path Examples --scratch-path .build

docs: setup ## Builds the documentation into .build/documentation
	DOCC=1 $(SWIFT) package --allow-writing-to-directory .build/documentation generate-documentation \
	    --target Apus --target ApusStore --enable-experimental-combined-documentation \
	    --output-path .build/documentation

clean: ## Removes build output and the demo's work directory
	rm -rf .build .build-* Benchmarks/.build Fuzz/.build Examples/.build demo-work
