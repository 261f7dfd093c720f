# What a developer does here; `make help` lists it. Nothing needs an AWS account or Docker.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
export PYTHONDONTWRITEBYTECODE := 1

# A Python that will do (Lambda's own version first), unless PYTHON=… says which.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.14 python3; do \
	"$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; \
	done)

# Installed once per content: a stamp's name says which requirements it stands for.
checksum = $(firstword $(shell cat $(1) | cksum))
# The local AWS alone, for `make demo` and `make local`; and all that a developer needs, which includes it.
LOCAL_STAMP := $(VENV)/.local-$(call checksum,constraints.txt local/requirements.txt scripts/requirements.txt)
NEWEST_BOTOCORE := tests/newest-botocore-requirements.txt
DEVELOPER_FILES := constraints.txt requirements.txt local/requirements.txt scripts/requirements.txt $(NEWEST_BOTOCORE) \
	$(wildcard layers/*/requirements.txt)
DEVELOPER_STAMP := $(VENV)/.developer-$(call checksum,$(DEVELOPER_FILES))
# checkov's own requirements exclude those of the rest. The tests look for it here.
export CHECKOV_VENV := .venv-checkov
AUDIT_VENV := .venv-audit
CHECKOV_STAMP := $(CHECKOV_VENV)/.run-$(call checksum,tests/checkov-requirements.txt)

# Three keep two cores busy, as the one that deploys the stack waits for much of its time; WORKERS=8 makes use of more.
# tests/conftest.py says what stays together in one of them; what takes longest comes first.
PYTEST = "$(VENV)/bin/python" -m pytest -q --numprocesses=$(WORKERS) --no-loadscope-reorder
WORKERS := 3

.PHONY: help demo local test test-fast pytest lint format under-quotas soak mutants audit bench test-aws clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(LOCAL_STAMP) ## Deploy to a local AWS, show both pipelines at work, stop (ROWS=200000 for more)
	@"$(VENV)/bin/python" -m local.demo

local: $(LOCAL_STAMP) ## Deploy to a local AWS and leave it running until Ctrl-C
	@"$(VENV)/bin/python" -m local.serve

test: ## Run every check and test
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

test-fast: $(DEVELOPER_STAMP) $(CHECKOV_STAMP) ## Run the tests that need no deployed stack
	$(PYTEST) --ignore=tests/integration --ignore=tests/layers

test-aws: $(DEVELOPER_STAMP) ## Ask AWS what was never tried on it, by a stack of yours (STACK=name ITEMS="some of them")
	@test -n "$(STACK)" || { echo "Say which: make test-aws STACK=name" >&2; exit 2; }
	@PYTHONPATH=functions "$(VENV)/bin/python" -m tests.aws --stack "$(STACK)" $(if $(ITEMS),--items $(ITEMS))

pytest: $(DEVELOPER_STAMP) $(CHECKOV_STAMP)
	$(PYTEST)

lint: $(DEVELOPER_STAMP) ## Check style and types
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy" functions local layers/build.py scripts tests benchmarks

format: $(DEVELOPER_STAMP) ## Format the Python sources
	"$(VENV)/bin/ruff" check --fix-only .
	"$(VENV)/bin/ruff" format .

under-quotas: $(DEVELOPER_STAMP) ## Run and stop 300 executions at once under the Data API's quotas (EXECUTIONS=number)
	@"$(VENV)/bin/python" -m tests.under_quotas $(if $(EXECUTIONS),--executions $(EXECUTIONS))

soak: $(DEVELOPER_STAMP) ## Run 300 executions of both kinds while everything around them fails by chance (SEED=number)
	@"$(VENV)/bin/python" -m tests.soak $(if $(SEED),--seed $(SEED))

mutants: $(DEVELOPER_STAMP) ## Plant faults, see which the tests notice (FAULTS="transport" for some)
	"$(VENV)/bin/python" -m tests.mutants $(FAULTS)

audit: $(AUDIT_VENV)/bin/pip-audit ## Ask for known vulnerabilities of every pinned version (asks PyPI about each)
	@failed=0; for file in constraints.txt requirements.txt */requirements.txt layers/*/requirements.txt \
		tests/*-requirements.txt; do \
		echo "$$file:"; "$(AUDIT_VENV)/bin/pip-audit" --strict --disable-pip --no-deps -r "$$file" || failed=1; \
	done; exit $$failed

bench: $(DEVELOPER_STAMP) ## Measure the loader
	"$(VENV)/bin/python" -m benchmarks

clean: ## Remove the virtual environment, builds and caches
	rm -rf $(VENV) $(CHECKOV_VENV) $(AUDIT_VENV) .aws-sam .hypothesis .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python $(CHECKOV_VENV)/bin/python $(AUDIT_VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later with its venv module is needed and was not found:" \
		"install it, or name it with make PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv $(patsubst %/bin/python,%,$@)

$(LOCAL_STAMP): | $(VENV)/bin/python
	@echo "Installing the local AWS and the SAM CLI into $(VENV) (700 MB, once; about a minute and a half) ..."
	@"$(VENV)/bin/python" local/install.py -r local/requirements.txt
	@touch $@

$(DEVELOPER_STAMP): | $(VENV)/bin/python
	@echo "Installing what development needs into $(VENV) (1 GB, once; about two minutes) ..."
	@"$(VENV)/bin/python" local/install.py -r requirements.txt
	@"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target "$(VENV)/newest-botocore" -r $(NEWEST_BOTOCORE)
	@touch $(LOCAL_STAMP) $@

$(CHECKOV_STAMP): | $(CHECKOV_VENV)/bin/python
	@echo "Installing checkov into $(CHECKOV_VENV) (300 MB, once; about half a minute) ..."
	@"$(CHECKOV_VENV)/bin/python" local/install.py -r tests/checkov-requirements.txt
	@touch $@

$(AUDIT_VENV)/bin/pip-audit: tests/audit-requirements.txt | $(AUDIT_VENV)/bin/python
	@"$(AUDIT_VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/audit-requirements.txt
	@touch $@
