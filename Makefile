# Every verb of the project. Bare `make` prints them.
# A machine needs Python 3.11 or newer and make; each verb does the rest of its set-up itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MEMBERS := shared services/assignment services/licensing services/invitation services/mdm-push deploy/local

.DEFAULT_GOAL := help
.PHONY: help

help: ## print the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): requirements.txt $(MEMBERS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "This Python has no venv. On Debian and Ubuntu this mends it: apt-get install python3-venv"; exit 1; }
	@echo "first set-up: a virtual environment with the pinned requirements (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

.PHONY: test failures lint types openapi asyncapi

test: $(READY) ## run all tests but the fault tests (real PostgreSQL, a real broker)
	@$(BIN)/python -m pytest --ignore=tests/failures $(TESTS)

lint: $(READY) ## check style, formatting and who imports whom
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache

types: $(READY) ## check types, strictly
	@$(BIN)/mypy
