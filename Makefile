# make run: everything from nothing to a predictor.  make test-unit: quick tests.  make test: all tests.  make help: the rest.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
STAMP_EXTRAS := .venv/.installed-extras
STAMP_DEV := .venv/.installed-dev
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-strip-extras --group build pyproject.toml

.PHONY: help run ui extras test test-unit lint bench lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 11

run: $(STAMP) ## install what is needed, then integrate, describe, train, predict, report
	$(BIN)/matstrata run

ui: $(STAMP) ## open the Dagster UI
	$(BIN)/matstrata ui

extras: $(STAMP_EXTRAS) ## add what molecules, OPTIMADE and the Materials Project need

test: $(STAMP_DEV) ## run all tests
	$(BIN)/python -m pytest -n 2

test-unit: $(STAMP_DEV) ## run the tests that start no command, no server and no browser: a minute
	$(BIN)/python -m pytest -n 2 -m unit

lint: $(STAMP_DEV) ## style, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP_DEV) ## compare our speed with our peers'
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: $(STAMP_DEV) ## pin all dependencies again, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) -o requirements.txt
	$(COMPILE) --all-extras -c requirements.txt -o requirements-extras.txt
	$(COMPILE) --all-extras --group dev -c requirements-extras.txt -o requirements-dev.txt

clean: ## remove the environment and the caches; the store stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Matstrata needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import xgboost' # on macOS it says here that it wants 'brew install libomp'
	@touch $@

$(STAMP_EXTRAS): requirements-extras.txt $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-extras.txt
	@touch $@

$(STAMP_DEV): requirements-dev.txt $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-dev.txt
	@touch $@
