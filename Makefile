# Each target does all it needs: the environment is made on first use and again when the lock file changes.
#   make PYTHON=/path/to/python3.12 …    another interpreter (3.11 or newer)
#   make test ARGS="-k calibration"      arguments for pytest

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
PYTHON ?=
ARGS ?=
# Relative, so that a folder with spaces in its path works.
PY := .venv/bin/python
STAMP := .venv/.locked

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench prove

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv with the locked versions
	@echo "ready: .venv"

# An environment that was moved or whose interpreter is gone is made anew. `-qq`: only errors.
$(STAMP): requirements.lock pyproject.toml
	@$(PY) -c '' 2>/dev/null || { \
	  if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; else set -- python3 python3.14 python3.13 python3.12 python3.11 python; fi; \
	  found=; \
	  for candidate; do \
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found="$$candidate" && break; \
	  done; \
	  [ -n "$$found" ] || { echo "Python must be 3.11 or newer · got none among: $$* · install one, or: make PYTHON=/path/to/python" >&2; exit 2; }; \
	  echo "making .venv with the locked versions (some minutes, once)"; \
	  "$$found" -m venv --clear .venv; }
	@$(PY) -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## fit a network on the bundled Adult census table and write a report into demo/
	@$(PY) -m glia.data.bundled adult demo/adult.csv
	@.venv/bin/glia fit demo/adult.csv --target income --out demo
	@echo "The report: $(CURDIR)/demo/report.html (open it in a browser)"

# One thread per worker: two workers that each start as many threads as there are cores are slower than one. Bytecode
# is kept even where the environment says otherwise: tests start many processes, which would all compile Glia anew.
test: $(STAMP) ## run the tests
	@OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n 2 -m "not slow" $(ARGS)

check: $(STAMP) ## lint, format, types, and the rules of the house
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo 'files are not formatted: run .venv/bin/ruff format .' >&2; exit 1; }
	@$(PY) -m mypy
	@OMP_NUM_THREADS=1 $(PY) -m pytest tests/test_house.py

bench: $(STAMP) ## measure against peers: cost of a step, quality on real tables; results go to benchmarks/results/
	@$(PY) benchmarks/train_speed.py --out
	@$(PY) benchmarks/population_speed.py
	@$(PY) benchmarks/quality.py $(ARGS)

prove: $(STAMP) ## run the long proofs (tests marked slow)
	@$(PY) -m pytest -m slow $(ARGS)
