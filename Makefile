# A thin front to the CMake presets (CMakePresets.json). `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help build demo test test-all soak bench install format clean

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
RELEASE := build/release/pythreads

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

build: ## The release executable, build/release/pythreads
	@packaging/install-dependencies build
	@cmake --preset release >build.log 2>&1 || { cat build.log; rm -f build.log; exit 1; }; rm -f build.log
	@cmake --build --preset release -j $(JOBS)

demo: build ## A hung service, and what pythreads says of it
	@docs/demo/run $(RELEASE)

test: ## All tests that fit 20 minutes on two cores, from a clean clone
	@packaging/install-dependencies build test
	@tests/run default

test-all: ## Every scenario on every interpreter; hours; goes on where it was stopped
	@packaging/install-dependencies build test
	@tests/run all

soak: build ## 1,000 dumps in a row of a program that checks itself
	@packaging/install-dependencies test
	@tests/run soak

bench: build ## Held time, whole time and memory, beside a bare program that only stops
	@packaging/install-dependencies test
	@tests/run bench

install: build ## Into PREFIX (/usr/local)
	@cmake --install build/release --prefix $(PREFIX)

format: ## clang-format over the tree
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean: ## Removes build/
	@rm -rf build
