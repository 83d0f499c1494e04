# Thin aliases of the command `quintet`; every target installs what it needs first. PYTHON is any Python from 3.11 on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# by its module, not by its script: a script names its interpreter by path, which may hold a space
QUINTET := "$(BIN)/python" -m cli

DO ?= list
FILE ?= data/raw/transactions/transactions_1.csv

.DEFAULT_GOAL := help
.PHONY: help install run test coverage docs check dev serve up fill stream simulate keys models send sample bench image clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' "$(firstword $(MAKEFILE_LIST))" | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 18

install:  ## install the locked packages
	@$(PYTHON) cli/install.py "$(VENV)"

run: install  ## build everything that is not up to date (SELECT=conversions: one domain; TRAIN=conversions: retrain its model)
	@$(QUINTET) run $(if $(SELECT),--select "$(SELECT)") $(if $(TRAIN),--train "$(TRAIN)") $(if $(ACCEPT_LOSSES),--accept-losses)

dev: install  ## Dagster UI on port 3000, sensors and schedules on
	@$(QUINTET) dev

serve: install  ## API and pages on port 8000 (QUINTET_PORT)
	@$(QUINTET) serve

up: install  ## everything together: embedded PostgreSQL with data, S3 server, stream, dev, serve (SIMULATE=20: and a CRM with 20 applications a second)
	@$(QUINTET) up $(if $(SIMULATE),--simulate "$(SIMULATE)")

fill: install  ## fill the empty tables of QUINTET_POSTGRES_URL from the inboxes
	@$(QUINTET) fill

stream: install  ## change stream from PostgreSQL into features and object store (FROM=--new-snapshot starts over with a snapshot of all rows)
	@$(QUINTET) stream $(FROM)

simulate: install  ## a CRM that commits applications and requests decisions (RATE=20 a second, SECONDS=60)
	@$(QUINTET) simulate $(if $(RATE),--rate "$(RATE)") $(if $(SECONDS),--seconds "$(SECONDS)")

keys: install  ## manage keys of the API: DO="create --name NAME --scopes insurance:read", DO=list, DO="revoke ID"
	@$(QUINTET) keys $(DO)

models: install  ## manage trained models: DO=list, DO="train lending", DO="rollback lending", DO="compare lending", DO="what-if FILE"
	@$(QUINTET) models $(DO)

send: install  ## send a file of transactions to a running service (FILE= SPEED=60: an hour a minute, 0: at once)
	@$(QUINTET) send "$(FILE)" $(if $(SPEED),--speed "$(SPEED)")

sample: install  ## write generated inbox files and their truth (SCALE= SEED= TO=)
	@$(QUINTET) sample $(if $(SCALE),--scale "$(SCALE)") $(if $(SEED),--seed "$(SEED)") $(if $(TO),--to "$(TO)")

bench: install  ## list the benchmarks; NAME=ingest runs one beside its comparator, NAME=all runs all of them
	@$(QUINTET) bench $(NAME)

test: install  ## the whole test suite
	@"$(BIN)/python" -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGUMENTS)

coverage: ARGUMENTS = --cov --cov-report=term:skip-covered --cov-report=json:.coverage.json --junitxml=.junit.xml
coverage: test  ## test with the coverage of each file, and publish it in docs/runs.md; takes a third longer
	@"$(BIN)/python" -m docs.coverage_figures .coverage.json .junit.xml

docs: install  ## build the documentation into site/, which the service serves below /docs/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict

check: install docs  ## lint, types, architecture, documentation, deployments, dbt and Dagster definitions
	@"$(BIN)/ruff" check .
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/python" -m mypy
	@"$(BIN)/lint-imports"
	@"$(BIN)/cfn-lint" deploy/aws.yaml
	@"$(BIN)/kubernetes-validate" --quiet --strict deploy/kubernetes.yaml
	@QUINTET_WAREHOUSE=:memory: "$(BIN)/python" -m dbt.cli.main parse --quiet --project-dir dbt_project --profiles-dir dbt_project
	@"$(BIN)/python" -m cli.home "$(BIN)/dagster" definitions validate --workspace workspace.yaml

image: install  ## build the container image, with docker or podman, or as root on Debian with buildah
	@$(QUINTET) image

clean: install  ## remove what runs build again; keep the inboxes, and what nothing builds again (EVERYTHING=1: delete that too, after asking)
	@$(QUINTET) clean $(if $(EVERYTHING),--everything)
