# make demo    see FC work, end to end, on this machine
# make test    everything: checks and the whole test suite
# make check   linters, types, import contracts
# make bench   measurements, one line of JSON each
# make clean   remove what these made

# The first that runs and is new enough: a version manager may put names on PATH that only print an error.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DEMO_OPTIONS ?=

.PHONY: demo test test-again check format bench clean packages-run packages-test

demo: packages-run $(VENV)/.runtime
	$(BIN)/fcctl demo $(DEMO_OPTIONS)

test: packages-test check
	$(BIN)/python -m pytest -n auto --dist worksteal || $(MAKE) --no-print-directory test-again

# What failed beside the others is run once more, alone: a loaded machine is no fault of ours, and a real one shows
# again, with nothing else in its output.
test-again:
	@echo "=== the tests above that failed, once more and alone ==="
	$(BIN)/python -m pytest -n0 --last-failed --last-failed-no-failures none

check: packages-run $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: packages-run $(VENV)/.development
	@for file in benchmarks/bench_*.py; do PYTHONPATH=. $(BIN)/python $$file || exit 1; done

clean:
	chmod -R u+w fc-demo fc-data 2>/dev/null || true
	rm -rf $(VENV) fc-demo fc-data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

packages-run packages-test: packages-%:
	@[ -n "$(PYTHON)" ] || { echo "FC needs Python 3.11 or newer, and found none; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@PYTHON=$(PYTHON) .ci/packages $*

$(BIN)/python: | packages-run
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.development: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime
