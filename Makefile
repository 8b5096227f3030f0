# A thin front to the CMake presets (CMakePresets.json). `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help build quick cross-aarch64 static static-aarch64 deb rpm image wheel formula packages demo pictures test test-aarch64 \
  test-all test-threads test-packages table soak soak-truth fuzz fuzz-flipped bench install format clean

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
LOOKS ?= 100000
RELEASE := build/release/pythreads
QUICK := build/quick/pythreads
# Where the packages are laid: known only to who gives them away.
RELEASES ?= https://pythreads.invalid/releases

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

build: ## The release executable, build/release/pythreads
	@packaging/install-dependencies build
	@cmake --preset release >build.log 2>&1 || { cat build.log; rm -f build.log; exit 1; }; rm -f build.log
	@cmake --build --preset release -j $(JOBS)

cross-aarch64: ## The executable for aarch64, cross-built: build/aarch64/pythreads
	@packaging/install-dependencies cross-aarch64
	@packaging/cross-aarch64 -j $(JOBS) --target pythreads

static: ## One executable that needs no library, packed, and what is needed to link it anew: build/packages
	@packaging/install-dependencies build static
	@packaging/static build/static -j $(JOBS)

static-aarch64: ## The same for aarch64, cross-built
	@packaging/install-dependencies cross-aarch64 static
	@packaging/static build/aarch64-static -j $(JOBS)

deb: build ## A package for this Debian or Ubuntu: build/packages/pythreads_*.deb
	@packaging/install-dependencies deb
	@packaging/cpack DEB build/release

rpm: static ## A package for any distribution with rpm: build/packages/pythreads-*.rpm
	@packaging/install-dependencies rpm
	@packaging/cpack RPM build/static

image: static ## An image FROM scratch, made without an engine: build/packages/pythreads.oci and .oci.tar
	@packaging/image build/packages/pythreads.oci build/static $(wildcard build/aarch64-static)

wheel: static ## A wheel for every Linux, and the source distribution: build/packages/pythreads-*.whl
	@packaging/install-dependencies wheel
	@packaging/wheel build/static $(wildcard build/aarch64-static)

formula: static ## For Homebrew on Linux, of the static packages: build/packages/pythreads.rb; RELEASES is their URL
	@packaging/formula $(RELEASES)

packages: deb rpm image wheel formula ## All of them, for this machine's architecture

quick: ## The executable, little optimised and soon there: build/quick/pythreads
	@packaging/install-dependencies build
	@cmake --preset quick >build.log 2>&1 || { cat build.log; rm -f build.log; exit 1; }; rm -f build.log
	@cmake --build --preset quick -j $(JOBS) --target pythreads

# Nobody waits for link-time optimisation to see it once.
demo: $(if $(wildcard $(RELEASE)),build,quick) ## A hung service, and what pythreads says of it
	@docs/demo/run $(if $(wildcard $(RELEASE)),$(RELEASE),$(QUICK))

pictures: build ## README.md's dump of the demo and the picture of its graph, anew
	@packaging/install-dependencies pictures
	@docs/demo/pictures $(RELEASE)

test: ## All tests that fit 20 minutes on two cores, from a clean clone
	@packaging/install-dependencies build test
	@tests/run default

test-all: ## Every scenario on every interpreter; hours; goes on where it was stopped
	@packaging/install-dependencies build test cross-aarch64 test-aarch64
	@tests/run all

test-aarch64: ## Unit tests and lock scenarios on aarch64, in an emulated machine with a kernel of its own
	@packaging/install-dependencies test cross-aarch64 test-aarch64
	@tests/aarch64/run

test-packages: ## Every package in a clean root of its own
	@packaging/install-dependencies build static deb rpm wheel test-packages
	@tests/run packages

table: build ## docs/interpreters.md anew: what is read on each interpreter, in each way of running it
	@packaging/install-dependencies test
	@tests/run table

soak: build ## 1,000 dumps in a row of a program that checks itself
	@packaging/install-dependencies test
	@tests/run soak

soak-truth: build ## LOOKS (100,000) at healthy programs on every interpreter: not one is called a deadlock; at dead ones: each is
	@packaging/install-dependencies test
	@/usr/bin/python3 -B tests/soak/truth.py --pythreads $(RELEASE) --looks $(LOOKS)

test-threads: ## What has threads of its own, under ThreadSanitizer
	@packaging/install-dependencies build test
	@tests/run threads

fuzz: ## Each parser fuzzed for FUZZ_SECONDS (60), coverage-guided; FUZZ_DRIVERS names some of them
	@packaging/install-dependencies build test fuzz
	@tests/run fuzz

fuzz-flipped: ## LOOKS (100,000) at recorded targets of every interpreter with words of them flipped at random
	@packaging/install-dependencies build test
	@tests/run flipped $(LOOKS)

bench: build ## docs/benchmark.md anew: held time, whole time, memory, beside a bare stop and other programs
	@packaging/install-dependencies test
	@tests/run bench

install: build ## Into PREFIX (/usr/local)
	@cmake --install build/release --prefix $(PREFIX)

format: ## clang-format over the tree
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean: ## Removes build/
	@rm -rf build
