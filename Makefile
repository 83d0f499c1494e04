# Every target installs what it needs first. PYTHON is any Python from 3.11 on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUINTET_HOME ?= data
export DAGSTER_HOME := $(abspath $(QUINTET_HOME))/dagster
export DO_NOT_TRACK := 1
# The matrices here are small: threads of the BLAS would wait for one another longer than they work.
export OPENBLAS_NUM_THREADS ?= 1

SCALE ?= 1.0
SEED ?= 7
TO ?= data/generated
DO ?= list
FILE ?= data/raw/transactions/transactions_1.csv
SPEED ?= 60
RATE ?= 20
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help install run test coverage check dev serve up fill stream simulate keys models replay sample bench clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 18

$(VENV)/installed: requirements.lock pyproject.toml
	@echo "installing into $(VENV) (once; about two minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(VENV)/installed  ## install the locked packages

$(DAGSTER_HOME)/dagster.yaml: dagster.yaml
	@mkdir -p $(DAGSTER_HOME) && cp dagster.yaml $@

run: install $(DAGSTER_HOME)/dagster.yaml  ## build everything that is not up to date (SELECT=conversions: one domain; LEARN=conversions: its models anew)
	@$(BIN)/python -m cli.run $(if $(SELECT),--select $(SELECT)) $(if $(LEARN),--learn $(LEARN))

dev: install $(DAGSTER_HOME)/dagster.yaml  ## Dagster UI on port 3000, sensors and schedules on
	@$(BIN)/python -m cli.supervisor $(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1 --port 3000

serve: install  ## API and pages on port 8000 (QUINTET_PORT)
	@$(BIN)/python -m quintet.web

up: install $(DAGSTER_HOME)/dagster.yaml  ## everything together: embedded PostgreSQL and S3 server, filled, stream, dev, serve (SIMULATE=20: and a CRM with 20 applications a second)
	@$(BIN)/python -m cli.up $(if $(SIMULATE),--simulate $(SIMULATE))

fill: install  ## fill the empty tables of QUINTET_POSTGRES_URL from the inboxes
	@$(BIN)/python -m quintet.promotions.source

stream: install  ## change stream from PostgreSQL into features and object store (FROM=--new-snapshot begins anew)
	@$(BIN)/python -m quintet.stream $(FROM)

simulate: install  ## a CRM that commits applications and asks for decisions (RATE=20 a second, SECONDS=60)
	@$(BIN)/python -m quintet.samples.crm --rate $(RATE) --seconds $(SECONDS)

keys: install  ## keys of the API: DO="create --name NAME --scopes insurance:read", DO=list, DO="revoke ID"
	@$(BIN)/python -m quintet.online $(DO)

models: install  ## scoring models of lending: DO=list, DO=rollback, DO="challenge VERSION", DO="what-if FILE"
	@$(BIN)/python -m quintet.lending $(DO)

replay: install  ## send a file of transactions to a running service (FILE= SPEED=60: an hour a minute, 0: at once)
	@$(BIN)/python -m quintet.payments --file $(FILE) --speed $(SPEED)

sample: install  ## write generated inbox files and their truth (SCALE= SEED= TO=)
	@$(BIN)/python -m quintet.samples --scale $(SCALE) --seed $(SEED) --to $(TO)
	

bench: install  ## list the benchmarks; NAME=ingest runs one beside its comparator, NAME=all all of them
	@$(BIN)/python -m bench $(NAME)

test: install $(DAGSTER_HOME)/dagster.yaml  ## the whole test suite
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGUMENTS)

coverage: ARGUMENTS = --cov --cov-report=term:skip-covered
coverage: test  ## the same, with the coverage of each file; takes a third longer

check: install $(DAGSTER_HOME)/dagster.yaml  ## lint, types, architecture, CloudFormation, dbt and Dagster definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/cfn-lint deploy/*.yaml
	@QUINTET_WAREHOUSE=:memory: $(BIN)/dbt parse --quiet --project-dir dbt_project --profiles-dir dbt_project
	@$(BIN)/dagster definitions validate --workspace workspace.yaml

clean:  ## remove what runs have written, keep the inboxes
	@find data -mindepth 1 -maxdepth 1 ! -name raw -exec rm -r {} +
	@rm -rf dbt_project/target dbt_project/logs
