# Two commands: `make book` reads and builds, `make test` checks everything. `make help` lists the others.

PYTHON ?= python3
# Without a PYTHON of the caller's own, an environment that another supported Python made is good enough.
ANY_PYTHON := $(if $(filter file,$(origin PYTHON)),--any-python)
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
JAX_BIN := $(subst .venv,.venv-jax,$(BIN))
COMPILE := compile --quiet --universal --python-version 3.11 --fork-strategy fewest --emit-build-options --no-annotate

.DEFAULT_GOAL := help
.PHONY: help environment book test portability lab chapters pages study-pages spread benchmarks fuzz hero logo lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo "  With another Python: PYTHON=python3.12 make book"

environment: ## make .venv from requirements.txt, or reuse it
	@$(PYTHON) -m tools.environment .venv requirements.txt $(ANY_PYTHON)

book: environment ## build the site into _build/html (with UNETBOOK_DATA set: with real images)
	@$(BIN)/python -m tools.book

test: environment ## the whole check: style, book, tests, pages, every chapter re-executed
	@$(BIN)/python -m tools.check test

portability: environment ## changed chapters on an imitated CPU (every one: ALL=1), the package on JAX in .venv-jax
	@$(PYTHON) -m tools.environment .venv-jax requirements-jax.txt $(ANY_PYTHON)
	@$(BIN)/python -m tools.check portability $(JAX_BIN)/python $(if $(ALL),--all)

lab: environment ## open JupyterLab, where a chapter's .md and .ipynb stay in step
	@$(BIN)/python -m tools.lab

chapters: environment ## execute what changed (one: ONLY=02-architecture, all the same: FORCE=1)
	@$(BIN)/python -m tools.chapters $(if $(ONLY),--only $(ONLY)) $(if $(FORCE),--force)

pages: environment ## how long each page is, beside what it may be
	@$(BIN)/python -m tools.pages

study-pages: environment ## write the pages on how each study was checked, from results/
	@$(BIN)/python -m tools.study_pages

spread: environment ## measure how much the promised numbers vary, for their tolerances (ONLY=02-architecture)
	@$(BIN)/python -m tools.spread $(if $(ONLY),--only $(ONLY))

benchmarks: environment ## speed against peers, into results/benchmarks.json (on a quiet machine)
	@$(BIN)/python -m benchmarks

fuzz: environment ## files and arrays changed at random, 500 times each kind (COUNT=5000: more)
	@UNETBOOK_FUZZ=$(or $(COUNT),500) $(BIN)/python -m pytest -q tests/unetbook/test_fuzz.py

hero: environment ## draw the picture of the README again
	@$(BIN)/python -m tools.hero

logo: environment ## draw the mark of the book again
	@$(BIN)/python -m tools.logo

lock: ## remake requirements.txt and requirements-jax.txt from their short lists
	@$(PYTHON) -m venv _build/lock
	@_build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	_build/lock/bin/uv pip $(COMPILE) requirements.in -o requirements.txt
	_build/lock/bin/uv pip $(COMPILE) requirements-jax.in -c requirements.txt -o requirements-jax.txt

clean: ## remove what was built, and the environments
	rm -rf _build .venv .venv-jax .pytest_cache .ruff_cache
