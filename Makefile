# `make demo` and `make test` do all the set-up they need; both are quick the second time.
.DEFAULT_GOAL := help
.PHONY: help demo up test test-thorough test-all lint audit foreign-clients bench prove mutate real-host package bicep bicep-snapshots lock setup clean
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Kept whatever the shell asks for: else each of the many processes that tests start compiles everything again.
unexport PYTHONDONTWRITEBYTECODE
# Some tests wait for others' clocks: one process more than there are processors.
WORKERS = $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(READY) ## the virtual environment with the pinned packages

$(READY): requirements-dev.lock requirements-worker.lock local/setup.sh
	@bash local/setup.sh $(VENV)
	@touch $@

demo: $(READY) ## from "expires soon" to "rotated and proven", on this machine
	@$(BIN)/python -m local demo

up: $(READY) ## the same stack, left running
	@$(BIN)/python -m local up

test: $(READY) ## the tests, but for the slowest, which guard what changes rarely
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not thorough" $(ARGS)

test-thorough: $(READY) ## those slowest ones alone
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m thorough $(ARGS)

test-all: $(READY) ## every test, and that a deployment grants the rights they used and no others
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(READY) ## format, lint, types, policy, known weaknesses
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/python -m rotation.policy check policy.toml
	@$(BIN)/python -m local.audit

audit: $(READY) ## known weaknesses of the deployed packages, where there is a network
	@$(BIN)/python -m local.audit $(ARGS)

foreign-clients: $(READY) ## Key Vault's SDKs of three languages, az, and the clients of ARM and Graph, at the stand-ins
	@$(BIN)/python -m tests.foreign_clients $(ARGS)

bench: $(READY) ## ratios, measured side by side
	@$(BIN)/python -m bench

prove: $(READY) ## crashes, races and faults by the thousand, and bugs on purpose that must be noticed
	@$(BIN)/python -m tests.proof $(ARGS)

bicep: $(READY) ## the deployment, compiled, linted and previewed by Azure's own compiler
	@$(BIN)/python -m tests.infra.compiled

bicep-snapshots: $(READY) ## the previews, written anew: look at their diff
	@$(BIN)/python -m tests.infra.compiled snapshots

mutate: $(READY) ## every rule changed in turn, for hours: a test must notice, or the list says why not
	@$(BIN)/python -m tests.proof.mutations --all $(ARGS)

real-host: $(READY) ## the whole app on Microsoft's Functions host, where FUNCTIONS_HOST names one
	@$(BIN)/python -m tests.real_host $(ARGS)

lock: $(READY) ## the packages' hashes, after requirements*.txt were changed
	@bash local/lock.sh $(BIN)/uv

package: ## what is uploaded to Azure, as dist/app and dist/keyturn.zip
	@$${PYTHON:-python3} infra/package.py $(ARGS)

clean: ## forget what was set up here
	rm -rf $(VENV) .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
