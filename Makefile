# Everything that people do with this repository. `make` alone lists it.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOX := $(BIN)/tox run --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check lint format types addon bench chaos lock clean

help:  ## list what can be made
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv/ with Flamenco and its developers' tools, versions and hashes locked

$(READY): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Flamenco needs Python 3.11: install it, or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV)/ (about 200 MB, half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup  ## render a short animation through a whole farm on this machine
	@$(BIN)/flamenco demo

run: setup  ## start a farm on this machine (Ctrl-C ends it)
	@$(BIN)/flamenco up --open

test: setup  ## prove everything: style, types, imports, and all tests with the real programs
	@$(BIN)/python tools/prepare_tests.py
	@$(TOX)

check: test  ## the same; what CI runs

lint: setup  ## style, import rules and generated files only
	@$(TOX) -e lint,imports

types: setup  ## mypy only
	@$(TOX) -e types

format: setup  ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

addon: setup  ## build dist/flamenco_addon-VERSION.zip for Blender
	@$(BIN)/python tools/build_addon.py

bench: setup  ## print the benchmarks' figures
	@$(BIN)/python -m benchmarks

chaos: setup  ## try what breaks farms, in full (ONLY=kills, SEED=, KILLS=, TASKS=, WORKERS=, CUTS=, HISTORIES=, …)
	@$(BIN)/python tools/chaos.py $(foreach name,ONLY SEED HISTORIES STEPS KILLS TASKS WORKERS CUTS CHANGES LINKS,\
		$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

lock: setup  ## pick the newest versions that pyproject.toml allows and lock them with hashes
	@$(BIN)/python tools/lock_requirements.py

clean:  ## remove what was built or installed here (not your farm's data)
	@rm -rf $(VENV) .venv-bpy .tox dist build demo
