# Everything a contributor does, on a machine that has Python 3.11 or newer (with venv and pip), git and make.
# Each target first sets up what it needs in $(VENV), quietly, and only when pyproject.toml or constraints.txt changed.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
SEEDS ?= 1000
FIRST ?= 0
JOBS ?= 2
WORKERS ?= 3

BIN := $(VENV)/bin
# Halves of what there is, so that what a module sets up is rarely set up twice
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
comma := ,
SETUP := pyproject.toml constraints.txt
# mypy cannot see through the import hook of an editable install; these links have the installed names (see pyproject.toml)
LINKS := .make/packages

# Who has forbidden Python to keep what it compiled waits for it again in each process, and tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: demo test check lint torture planted simulate snapshots pictures bench clean help

demo: $(VENV)/.ready  ## open the explorer on real records, with a live writer
	@$(BIN)/blockdb-tui --demo $(ARGS)

test: $(VENV)/.ready-dev  ## run the quick tests
	@$(PYTEST) $(ARGS)

check: lint test  ## all that must pass before a commit: lint and test

lint: $(VENV)/.ready-dev $(LINKS)  ## style, types and the import contract
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

torture: $(VENV)/.ready-dev  ## run the long tests: kills, flipped bytes, hostile input
	@$(PYTEST) -m torture --timeout 7200 $(ARGS)

planted: $(VENV)/.ready-dev  ## plant bugs in copies of the engine, and see that the tests find them
	@$(PYTEST) -m "" --timeout 7200 tests/planted $(ARGS)

simulate: $(VENV)/.ready-dev  ## run whole clusters in simulated time, with faults: SEEDS=100000 FIRST=0 JOBS=2
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST) --jobs $(JOBS)

snapshots: $(VENV)/.ready-dev  ## take the screens' snapshots anew; look at the difference before you commit it
	@$(PYTEST) -n 0 tests/tui --snapshot-update $(ARGS)
	@$(PYTEST) -n 0 -m torture tests/tui -k "scene or picture or matrix" --snapshot-update

pictures: $(VENV)/.ready-dev  ## take the documentation's pictures anew, from the application itself
	@$(BIN)/python docs/pictures/make.py

bench: $(VENV)/.ready-bench  ## compare with RocksDB, LevelDB, LMDB and SQLite; ARGS="--only get scan"
	@$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove what the other targets made
	rm -rf $(VENV) .make build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ── setting up ───────────────────────────────────────────────────────────────────────────────────────────────────

define require_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "BlockDB needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1 | head -n 1)."; \
	echo "Name one that is: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
endef

define install
@echo "Setting up $(VENV) (once; a minute or so) ..." >&2
@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is incomplete: install python3-venv." >&2; exit 1; }
@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '$(1)' --constraint constraints.txt
@touch $@ $(VENV)/.ready
endef

$(VENV)/.ready: $(SETUP)
	$(require_python)
	$(call install,.[client$(comma)server])

$(VENV)/.ready-dev: $(SETUP)
	$(require_python)
	$(call install,.[dev])

$(VENV)/.ready-bench: $(SETUP)
	$(require_python)
	$(call install,.[bench])

$(LINKS): Makefile
	@mkdir -p $@
	@ln -sfn ../../repl $@/blockdb_repl
	@ln -sfn ../../tui $@/blockdb_tui
	@ln -sfn ../../themes $@/blockdb_themes
	@touch $@
