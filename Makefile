# The front door. Needs Python >= 3.11 and a package index; everything else goes into .venv.
# `make help` lists what there is.

PYTHON ?= python3
BIN := .venv/bin
# Modules are compiled once, even where containers are told not to.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test check chaos bench figures lint format synth deploy clean lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

setup: .venv/.demo ## the virtual environment for the demo and the command line, pinned with hashes

# The set `test` holds the set `demo`.
.venv/.demo: constraints/demo.txt constraints/uv.txt pyproject.toml .ci/install.py
	$(call install,demo)

.venv/.test: constraints/test.txt constraints/uv.txt pyproject.toml .ci/install.py
	$(call install,test)
	@touch .venv/.demo

.venv-bench/.bench: constraints/bench.txt constraints/uv.txt
	$(call install,bench)

define install
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no '$(PYTHON)' on the PATH. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and Python 3.11 or newer is needed. Name one: make setup PYTHON=python3.12"; exit 1; }
	@echo "Installing the set '$(1)' into $(@D) ..."
	@$(PYTHON) .ci/install.py $(1)
	@touch $@
endef

demo: setup ## run the whole workflow here, on real photographs (PHOTOS=dir: on yours; NAMES=folder)
	@$(BIN)/facematch demo $(if $(PHOTOS),--photos '$(PHOTOS)') $(if $(NAMES),--names '$(NAMES)')

test: .venv/.test ## every test: units, infrastructure, local cloud, the executed workflow
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/.test ## what to run while you work: lint and the unit tests, in a minute
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist worksteal tests/unit $(ARGS)

chaos: .venv/.test ## 300 photographs under each fault plan, compared with a clean run (PHOTOS=dir: yours)
	@$(BIN)/python -m tests.chaos $(if $(PHOTOS),--photos '$(PHOTOS)') $(ARGS)

bench: .venv/.test .venv-bench/.bench ## speed, against what else there is (PHOTOS=dir ALIASES=file OUTPUT=dir ARGS=...)
	@$(BIN)/python -m tests.benchmarks $(if $(PHOTOS),--photos '$(PHOTOS)') \
		$(if $(ALIASES),--aliases '$(ALIASES)') $(if $(OUTPUT),--output '$(OUTPUT)') $(ARGS)

figures: .venv/.test ## the plots of docs/measured.md, from docs/measured/*.json
	@$(BIN)/python -m tests.benchmarks.figures

lint: .venv/.test ## ruff, mypy, the import contracts of the rooms; cdk-nag and cfn-lint on the templates
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/infrastructure -k cdk_nag
	@$(BIN)/python -m workflow.synthesis synth --quiet \
		-c quicksight_principal_arn=arn:aws:quicksight:us-east-1:111122223333:group/default/managers
	@$(BIN)/cfn-lint cdk.out/*.template.json

format: .venv/.test ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

synth: setup ## the CloudFormation template, in cdk.out (CONTEXT='-c name=value': settings)
	@$(BIN)/python -m workflow.synthesis synth --quiet $(CONTEXT)

deploy: setup ## deploy to the AWS account of your credentials (CONTEXT='-c name=value')
	@$(BIN)/facematch deploy $(CONTEXT)

clean: ## remove what make and the local cloud made (.venv, .facematch, cdk.out, caches)
	@test ! -x $(BIN)/facematch || $(BIN)/facematch local stop --quiet || true
	@rm -rf .venv .venv-bench .facematch cdk.out build *.egg-info .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: setup ## make constraints/ anew, with the newest versions that pyproject.toml allows
	@$(PYTHON) .ci/install.py --lock
