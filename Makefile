# Two commands do everything on a machine with Python >= 3.11 and make:
#   make demo    simulate a field, write it as DL4 files, fit it, compare with the truth
#   make test    lint, format and the whole test suite
# Also: make bench (gpudl4 and gammapy side by side), make bench-docs (every table of the documents), make coverage, make format, make clean; for CUDA
# kernels (docs/kernels.md) make tables, make kernels-table, make mutate (MUTATE_ARGS=cash.cu: only this file).
# Another interpreter: make demo PYTHON=python3.12; more processes for the tests: make test JOBS=4

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo-output
JOBS ?= 2

export NUMBA_CACHE_DIR ?= $(abspath $(VENV))/numba-cache
export MPLBACKEND ?= Agg
export PIP_DISABLE_PIP_VERSION_CHECK = 1

LINTED := gpudl4 kernels tests benchmarks docs/examples

.PHONY: demo test lint format bench bench-docs coverage tables kernels-table mutate clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 6

demo: $(VENV)/installed-plot
	@$(BIN)/gpudl4 demo --output $(OUT) --overwrite

test: $(VENV)/installed-test lint
	@$(BIN)/python -m pytest -p no:cacheprovider -q -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/installed-test
	@$(BIN)/ruff check --no-cache $(LINTED)
	@$(BIN)/ruff format --no-cache --check $(LINTED)

format: $(VENV)/installed-test
	@$(BIN)/ruff check --no-cache --fix $(LINTED)
	@$(BIN)/ruff format --no-cache $(LINTED)

bench: $(VENV)/installed-test
	@$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

# Every table of docs/performance.md and docs/memory.md; BENCH_ARGS="--only scaling limits": these only.
bench-docs: $(VENV)/installed-test
	@$(BIN)/python benchmarks/all.py $(BENCH_ARGS)

# Pulls and coverage of fits of simulated datasets, the table of docs/coverage.md; COVERAGE_ARGS="--number 200": fewer fits.
coverage: $(VENV)/installed-test
	@$(BIN)/python benchmarks/pulls.py $(COVERAGE_ARGS)

# CUDA kernels: columns of the tables for CUDA, what each kernel needs of a GPU, tests on kernels with something taken away.
tables: $(VENV)/installed-test
	@$(BIN)/python -m tests.kernels.tables_header

kernels-table: $(VENV)/installed-test
	@$(BIN)/python -m tests.kernels.nvrtc

mutate: $(VENV)/installed-test
	@$(BIN)/python -m tests.kernels.mutants.run $(MUTATE_ARGS)

# The virtual environment, and one stamp per extra; a stamp older than pyproject.toml installs again.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gpudl4 needs Python >= 3.11; '$(PYTHON)' is older or missing. Choose one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing gpudl4[$*] into $(VENV) (first time: a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

# A command that fails half way must not leave a stamp or a broken environment behind.
.DELETE_ON_ERROR:

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis demo-output bench-output
	find gpudl4 kernels tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
