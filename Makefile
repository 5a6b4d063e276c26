# Needs Python 3.11 or newer and make. Each target sets up its own environment first (seconds when already there).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PYTHONHASHSEED := 0
WORKSPACE ?= demo

.PHONY: help demo test test-fast lint format app bench sample lock clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.bootstrap: locks/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; found " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.txt
	@touch $@

$(VENV)/.run: $(VENV)/.bootstrap locks/run.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/run.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/dev.txt
	@touch $@

demo: $(VENV)/.run ## Run the week on sample_tiles/: pixels -> advice -> bulletin
	$(BIN)/agro demo --workspace $(WORKSPACE)

app: $(VENV)/.run ## Open the map of the demo workspace
	$(BIN)/agro app --workspace $(WORKSPACE)

test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest -n auto $(ARGS)

test-fast: $(VENV)/.dev ## Tests without the browser and the slow ones
	$(BIN)/python -m pytest -n auto -m "not browser and not slow" $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Rewrite the layout of the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Time the main jobs; prints a table and writes benchmarks/out/
	$(BIN)/python -m benchmarks

sample: $(VENV)/.dev ## Generate sample_tiles/ again
	$(BIN)/agro sample-region sample_tiles

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock: $(VENV)/.bootstrap ## Write locks/ again from pyproject.toml
	$(COMPILE) locks/bootstrap.in -o locks/bootstrap.txt > /dev/null
	$(COMPILE) --all-extras pyproject.toml -o locks/dev.txt > /dev/null
	$(COMPILE) -c locks/dev.txt pyproject.toml -o locks/run.txt > /dev/null

clean: ## Remove the environment and the demo workspace
	rm -rf $(VENV) $(WORKSPACE) .pytest_cache .mypy_cache .ruff_cache
