SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= tiphys
.DEFAULT_GOAL := help

.PHONY: help setup system test-system dashboard bytecode check fmt test e2e bench oracle demo demo-clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

# One line per missing package: what, and why.  Nothing is installed that is there already.
system:
	@PYTHON="$(PYTHON)" tools/system-packages.sh

test-system:
	@PYTHON="$(PYTHON)" tools/system-packages.sh tests

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | system $(BIN)/python
	@echo "installing tiphys and its Python packages into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# The pages of `tiphys dashboard`: built again only when their sources change.
dashboard: system ## build the dashboard's pages (needs npm)
	@tools/build-dashboard.sh

# Bytecode beforehand: where PYTHONDONTWRITEBYTECODE is set, every start would compile everything.
bytecode: $(VENV)/.installed
	@$(BIN)/python -m compileall -q src

setup: $(VENV)/.installed dashboard bytecode ## make .venv and install the project into it

check: setup ## format, lint, types, import directions
	$(BIN)/ruff format --check src tests tools bench
	$(BIN)/ruff check src tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@[ ! -d dashboard/node_modules ] || npm --prefix dashboard run --silent check

fmt: setup ## format in place
	$(BIN)/ruff format src tests tools bench
	$(BIN)/ruff check --fix src tests tools bench

test: setup test-system ## the tests that every change must pass (root parts need root)
	$(BIN)/pytest

demo: setup ## start a cluster, deploy hello-node, expose it, call it
	@$(BIN)/python tools/demo.py --profile $(PROFILE)

demo-clean: setup ## delete that cluster: nothing stays outside the checkout
	@$(BIN)/tiphys delete -p $(PROFILE)
	@$(BIN)/python tools/purge.py

e2e: setup test-system ## whole clusters, real kubectl, real containers, crash tests
	$(BIN)/pytest tests -m "e2e or slow"

bench: setup ## numbers for docs/performance.md
	$(BIN)/python -m bench

oracle: setup ## replay the recorded answers of kube-apiserver on ours
	$(BIN)/python tools/oracle.py
