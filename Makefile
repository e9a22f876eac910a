# curserve: `make` prints the targets. Everything lives in .venv and build/; `make clean` removes both.
# Stamps keep a second run quiet and short; `make build` after an edit installs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# -qq: errors only (a warning about an index of the machine's own is not about us)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# What .venv holds already is used, and the build tree is kept: only what changed is compiled again.
FROM_TREE := --no-build-isolation --no-deps --config-settings=build-dir=build/pip
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

# Folders count too: their time moves when a file is added or removed.
SOURCES := $(shell find curserve shims interpose -name __pycache__ -prune -o \( -type f -o -type d \) -print) \
  pyproject.toml meson.build README.md LICENSE
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help build shell test check bench load asan fuzz parsers faults fresh image wheel clean
help:
	@echo 'make build               build curserve into .venv (.venv/bin/curserve)'
	@echo 'make shell DIR=~/project a shell in DIR where coding agents search through curserve'
	@echo 'make test [ARGS=…]       build, then run the tests (ARGS goes to pytest)'
	@echo 'make check               ruff, mypy and the import-direction test'
	@echo 'make bench               build, then measure against ripgrep'
	@echo 'make load [ARGS=…]       100 agents on 20 worktrees for ten minutes, half of them with the daemon killed'
	@echo 'make asan                the tests against a kernel built with address and undefined sanitizers'
	@echo 'make fuzz [N=…] [SEED=…] compare with ripgrep on N generated searches (20,000)'
	@echo 'make parsers [MINUTES=…] [ARGS=…] fuzz what reads the bytes of others, guided by coverage (needs clang)'
	@echo 'make faults              see that generated searches find faults seeded into a copy of the sources'
	@echo 'make fresh               the README, followed on a fresh Debian 12 (needs root and debootstrap)'
	@echo 'make image               the steps of deploy/Dockerfile, in chroots (needs root and debootstrap)'
	@echo 'make wheel               a wheel in dist/'
	@echo 'make clean               remove .venv, build and dist'

# --- build -----------------------------------------------------------------------------------------------------------
# No recipe before the shell reads the caller's stdin: it may be the script that the shell is to run.
$(VENV)/.venv-made: tools/system-packages
	@tools/system-packages '$(PYTHON)' </dev/null
	@$(BIN)/python -c pass 2>/dev/null || { echo 'making .venv'; '$(PYTHON)' -m venv --clear $(VENV); }
	@touch $@

$(VENV)/.requirements: $(VENV)/.venv-made pyproject.toml tools/requirements
	@echo 'installing Python packages into .venv'
	@mkdir -p build
	@$(BIN)/python tools/requirements build test > build/requirements.txt
	@$(PIP) install -r build/requirements.txt </dev/null
	@touch $@

$(VENV)/.installed: $(VENV)/.requirements $(SOURCES)
	@echo 'building curserve'
	@touch $@.started
	@# Compile first where the tree is configured: the compiler's words are easier to read than pip's account of them.
	@test ! -e build/pip/build.ninja || \
	  out=$$(PATH="$(CURDIR)/$(BIN):$$PATH" ninja -C build/pip --quiet </dev/null 2>&1) || { echo "$$out"; exit 1; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install $(FROM_TREE) . </dev/null
	@mv -f $@.started $@

build: $(VENV)/.installed
	@:

# --- use -------------------------------------------------------------------------------------------------------------
# The shell's own exit status is no failure of make's: it is not reported (make would print an error for it, and has no
# way to pass it on anyway). What keeps the shell from starting is. Use `.venv/bin/curserve shell DIR` for the status.
# make's own variables and DIR are taken out again: the shell is the user's, not a recipe.
shell: build
	@test -d "$${DIR:-.}" || { echo "curserve: no such folder: $$DIR" >&2; exit 1; }
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u MAKEFILES -u MAKE_TERMOUT -u MAKE_TERMERR \
	  -u GNUMAKEFLAGS -u MAKE_COMMAND -u DIR -u PYTHONDONTWRITEBYTECODE \
	  $(BIN)/curserve shell "$${DIR:-.}" || true
shell: export DIR := $(DIR)

# --- prove -----------------------------------------------------------------------------------------------------------
# The package is the installed one: the checkout's own folder of that name has no kernel in it, so no Python of a test
# may find it by being started here.
INSTALLED := PYTHONSAFEPATH=1
test: build
	@$(INSTALLED) $(BIN)/python -m pytest $(ARGS)

$(VENV)/.check-tools: $(VENV)/.requirements
	@echo 'installing ruff and mypy into .venv'
	@$(BIN)/python tools/requirements check > build/requirements-check.txt
	@$(PIP) install -r build/requirements-check.txt </dev/null
	@touch $@

check: build $(VENV)/.check-tools
	@$(BIN)/ruff check --quiet curserve tests tools bench
	@$(BIN)/mypy curserve
	@if [ -e tests/test_imports.py ]; then $(INSTALLED) $(BIN)/python -m pytest tests/test_imports.py; fi

bench: build
	@$(INSTALLED) $(BIN)/python -c 'import runpy, sys; sys.path.append("."); \
	  runpy.run_module("bench", run_name="__main__", alter_sys=True)' $(ARGS)

load: build
	@$(INSTALLED) $(BIN)/python -c 'import runpy, sys; sys.path.append("."); \
	  runpy.run_module("bench.load", run_name="__main__", alter_sys=True)' $(ARGS)

fuzz: build
	@PYTHONPATH=tests $(INSTALLED) $(BIN)/python tests/fuzzing.py --cases $(or $(N),20000) --seed $(or $(SEED),1) $(ARGS)

# clang and atheris are for this alone.
$(VENV)/.fuzz-tools: $(VENV)/.requirements
	@tools/system-packages '$(PYTHON)' fuzz </dev/null
	@$(BIN)/python tools/requirements fuzz > build/requirements-fuzz.txt
	@$(PIP) install -r build/requirements-fuzz.txt </dev/null
	@touch $@

parsers: build $(VENV)/.fuzz-tools
	@PYTHONPATH=tests $(INSTALLED) $(BIN)/python tests/fuzz_parsers.py --minutes $(or $(MINUTES),1) $(ARGS)

faults: build
	@PYTHONPATH=tests $(INSTALLED) $(BIN)/python tests/seeded_faults.py $(ARGS)

# A second build tree, installed beside the first one's packages, whose kernel carries the sanitizers. Leaks of the
# interpreter itself are not ours, so leak detection is off.
ASAN_SITE = $(CURDIR)/build/asan-site
asan: build
	@echo 'building the kernel with sanitizers'
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	  test -e build/asan/build.ninja || meson setup build/asan -Db_sanitize=address,undefined -Db_lundef=false \
	    -Db_ndebug=false -Doptimization=1 -Dpython.purelibdir=/ -Dpython.platlibdir=/ --prefix=/ >/dev/null </dev/null; \
	  meson setup --reconfigure build/asan >/dev/null </dev/null && ninja -C build/asan --quiet && \
	  meson install -C build/asan --destdir '$(ASAN_SITE)' --quiet
	@ln -sf '$(CURDIR)/$(BIN)/rg' '$(ASAN_SITE)/curserve/shims/real-rg'
	@ASAN_OPTIONS=detect_leaks=0:handle_segv=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so)" PYTHONPATH='$(ASAN_SITE)' \
	  $(INSTALLED) $(BIN)/python -m pytest $(ARGS)

fresh:
	@tests/fresh-debian.sh

image: build
	@CURSERVE_TEST_IMAGE=1 $(INSTALLED) $(BIN)/python -m pytest tests/test_deploy.py -k image_is_built $(ARGS)

wheel: $(VENV)/.requirements
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) wheel $(FROM_TREE) -w dist . </dev/null
	@ls dist/*.whl

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find curserve tests tools bench -name __pycache__ -prune -exec rm -rf {} +
