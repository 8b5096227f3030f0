# A thin front to the CMake presets (CMakePresets.json). `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help build cross-aarch64 demo test test-aarch64 test-all table soak bench install format clean

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
RELEASE := build/release/pythreads

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

build: ## The release executable, build/release/pythreads
	@packaging/install-dependencies build
	@cmake --preset release >build.log 2>&1 || { cat build.log; rm -f build.log; exit 1; }; rm -f build.log
	@cmake --build --preset release -j $(JOBS)

cross-aarch64: ## The executable for aarch64, cross-built: build/aarch64/pythreads
	@packaging/install-dependencies cross-aarch64
	@packaging/cross-aarch64 -j $(JOBS) --target pythreads

demo: build ## A hung service, and what pythreads says of it
	@docs/demo/run $(RELEASE)

test: ## All tests that fit 20 minutes on two cores, from a clean clone
	@packaging/install-dependencies build test
	@tests/run default

test-all: ## Every scenario on every interpreter; hours; goes on where it was stopped
	@packaging/install-dependencies build test cross-aarch64 test-aarch64
	@tests/run all

test-aarch64: ## Unit tests and lock scenarios on aarch64, in an emulated machine with a kernel of its own
	@packaging/install-dependencies test cross-aarch64 test-aarch64
	@tests/aarch64/run

table: build ## docs/interpreters.md anew: what is read on each interpreter, in each way of running it
	@packaging/install-dependencies test
	@tests/run table

soak: build ## 1,000 dumps in a row of a program that checks itself
	@packaging/install-dependencies test
	@tests/run soak

bench: build ## docs/benchmark.md anew: held time, whole time, memory, beside a bare stop and other programs
	@packaging/install-dependencies test
	@tests/run bench

install: build ## Into PREFIX (/usr/local)
	@cmake --install build/release --prefix $(PREFIX)

format: ## clang-format over the tree
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean: ## Removes build/
	@rm -rf build
