# Sealwright: every command that a person or CI needs. `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help up test check map soak properties fuzz bench lock clean

PORT ?= 8700
SECONDS ?= 60
SEALWRIGHT_HOME ?= ./sealwright-data
BIN := .venv/bin
SOURCES := pyproject.toml scripts/install.sh requirements-installer.lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: .venv/installed-service ## run Sealwright here until Ctrl-C (PORT, SEALWRIGHT_HOME)
	@SEALWRIGHT_PORT=$(PORT) SEALWRIGHT_HOME="$(SEALWRIGHT_HOME)" exec $(BIN)/sealwright up

test: .venv/installed-dev ## all checks and all tests, at most 15 minutes on 2 cores
	@scripts/system-tools.sh
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev ## lint, types, import contracts, the map
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/draw_map.py --check

map: .venv/installed-dev ## draw the map in ARCHITECTURE.md anew
	@$(BIN)/python scripts/draw_map.py

soak: .venv/installed-dev ## the long campaigns: kills and races, at most 75 minutes
	@scripts/system-tools.sh
	@$(BIN)/python -m pytest -m soak -n 2 --dist loadfile

properties: .venv/installed-dev ## every property test with two hundred times the examples
	@$(BIN)/python -m pytest --hypothesis-profile=long -m hypothesis -n 2 tests

fuzz: .venv/installed-dev ## made-up input for every parser, guided by coverage (SECONDS for each)
	@$(BIN)/python tests/fuzz/campaign.py --seconds $(SECONDS)

bench: .venv/installed-bench ## signing and verifying beside the raw primitive and the peers (ONLY=ES256, key-cache, sidecar, serverless)
	@$(BIN)/python -m benchmarks $(ONLY)

lock: .venv/installed-dev ## resolve the locked packages anew
	@scripts/lock.sh

clean: ## remove the environment and caches; the data folder stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/installed-service: requirements.lock $(SOURCES)
	@scripts/install.sh requirements.lock
	@touch $@

.venv/installed-dev: requirements-dev.lock $(SOURCES)
	@scripts/install.sh requirements-dev.lock
	@touch $@ .venv/installed-service

.venv/installed-bench: requirements-bench.lock $(SOURCES)
	@scripts/install.sh requirements-bench.lock
	@touch $@ .venv/installed-dev .venv/installed-service
