# The front door. Needs Python >= 3.11 and a package index; everything else goes into .venv.
# `make help` lists what there is.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
NODE_BIN := $(shell pwd)/.venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos bench figures lint format synth deploy clean lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

setup: $(STAMP) ## the virtual environment, pinned by constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no '$(PYTHON)' on the PATH. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and Python 3.11 or newer is needed. Name one: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu it is a package of its own: apt install python3-venv"; exit 1; }
	@echo "Installing into .venv (a minute or two, the first time) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --prefer-binary \
		--require-hashes -r constraints.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## run the whole workflow here, on real photographs (PHOTOS=dir: on yours)
	@$(BIN)/facematch demo $(if $(PHOTOS),--photos '$(PHOTOS)')

test: setup ## every test: units, infrastructure, local cloud, the executed workflow
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

chaos: setup ## 300 photographs under each fault plan, compared with a clean run (PHOTOS=dir: yours)
	@$(BIN)/python -m tests.chaos $(if $(PHOTOS),--photos '$(PHOTOS)') $(ARGS)

bench: setup .venv-bench/.installed ## speed, against what else there is (PHOTOS=dir ALIASES=file OUTPUT=dir ARGS=...)
	@$(BIN)/python -m tests.benchmarks $(if $(PHOTOS),--photos '$(PHOTOS)') \
		$(if $(ALIASES),--aliases '$(ALIASES)') $(if $(OUTPUT),--output '$(OUTPUT)') $(ARGS)

.venv-bench/.installed: constraints-bench.txt
	@echo "Installing what is compared with into .venv-bench (600 MB, half a minute) ..."
	@test -x .venv-bench/bin/python || $(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check --prefer-binary \
		--no-deps --require-hashes -r constraints-bench.txt
	@touch $@

figures: setup ## the plots of docs/measured.md, from docs/measured/*.json
	@$(BIN)/python -m tests.benchmarks.figures

lint: setup ## ruff, mypy, the import contracts of the rooms; cdk-nag and cfn-lint on the templates
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/infrastructure -k cdk_nag
	@$(BIN)/python -m facematch.toolkit synth --quiet \
		-c quicksight_principal_arn=arn:aws:quicksight:us-east-1:111122223333:group/default/managers
	@$(BIN)/cfn-lint cdk.out/*.template.json

format: setup ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

synth: setup ## the CloudFormation template, in cdk.out (CONTEXT='-c name=value': settings)
	@$(BIN)/python -m facematch.toolkit synth --quiet $(CONTEXT)

deploy: setup ## deploy to the AWS account of your credentials (CONTEXT='-c name=value')
	@$(BIN)/python -m facematch.toolkit deploy $(CONTEXT)

clean: ## remove what make and the local cloud made (.venv, .facematch, cdk.out, caches)
	@test ! -x $(BIN)/facematch || $(BIN)/facematch local stop --quiet || true
	@rm -rf .venv .venv-bench .facematch cdk.out build *.egg-info .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: setup ## make the constraints files anew from pyproject.toml (needs uv)
	@(sed -n '/^#/p' constraints.txt; uv pip compile --universal --python-version 3.11 --all-extras \
		--generate-hashes --no-annotate --no-header --quiet pyproject.toml) > constraints.new && \
		mv constraints.new constraints.txt
	@(sed -n '/^#/p' constraints-bench.txt; uv pip compile --universal --python-version 3.11 \
		--group bench --generate-hashes --no-annotate --no-header --quiet) > constraints.new && \
		mv constraints.new constraints-bench.txt
