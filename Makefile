# Every verb of the project. Bare `make` prints them.
# A machine needs Python 3.11 or newer and make; each verb does the rest of its set-up itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MEMBERS := shared services/assignment services/licensing services/invitation services/mdm-push deploy/local

.DEFAULT_GOAL := help
.PHONY: help demo up box token test failures bench lint types openapi asyncapi manifests migrate replay

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

demo: $(READY) ## start everything here, tell the story step by step, check it, stop everything
	@$(BIN)/python -m local.main demo

up: $(READY) ## keep the same system running, with its URLs and a token; Ctrl-C stops it
	@$(BIN)/python -m local.main up

box: $(READY) ## run the simulators alone, for clients of your own (NAMES="apple apns" for some)
	@$(BIN)/python -m local.simulators $(NAMES)

token: $(READY) ## print a bearer token for the system that `make up` runs
	@$(BIN)/python -m local.main token

test: $(READY) ## run all tests but the fault tests (real PostgreSQL, a real broker)
	@$(BIN)/python -m pytest --ignore=tests/failures $(TESTS)

failures: $(READY) ## kill, freeze, cut and restart: the fault tests, on Apache Kafka and PostgreSQL
	@$(BIN)/python -m pytest tests/failures $(TESTS)

bench: $(READY) ## measure, print a table and write bench.json (ONLY=name,name for some, SIZE=10 for a tenth)
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(SIZE),--size $(SIZE))

lint: $(READY) ## check style, formatting and who imports whom
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache

types: $(READY) ## check types, strictly
	@$(BIN)/mypy

openapi: $(READY) ## write each service's OpenAPI document to docs/openapi
	@$(BIN)/python docs/openapi.py

asyncapi: $(READY) ## write the events' AsyncAPI document to docs/asyncapi.json
	@$(BIN)/python -m shared.asyncapi > docs/asyncapi.json

manifests: $(READY) ## render deploy/k8s and validate what comes out
	@$(BIN)/python deploy/k8s/validate.py

migrate: $(READY) ## bring SERVICE's database and topics to what this build needs (its environment says where)
	@$(BIN)/$(or $(SERVICE),$(error say which: make migrate SERVICE=licensing)) migrate

replay: $(READY) ## have SERVICE ask again for all that is open (WHAT=restored after a restore, WHAT=parked for dead letters)
	@$(BIN)/$(or $(SERVICE),$(error say which: make replay SERVICE=licensing)) replay --$(or $(WHAT),open)
