# The two commands of the README: `make demo` and `make test`; nothing has to be done before either.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test faults bench experiment lint format clean

demo: $(STAMP)
	@PATH="$(CURDIR)/$(BIN):$$PATH" MOLRE_HOME="$${MOLRE_HOME:-$(CURDIR)/runs}" $(BIN)/python cluster/demo.py

# What needs no cluster runs on two processes; Ray's tests have the machine to themselves.
test: $(STAMP)
	$(BIN)/python -m pytest -m "not bench and not ray" -n 2 --dist loadfile
	$(BIN)/python -m pytest -m "ray and not bench and not faults"

# A training's processes, nodes, disk and data are taken away in the midst of it; a quarter of an hour.
faults: $(STAMP)
	$(BIN)/python -m pytest -m faults tests/training

bench: $(STAMP)
	MOLRE_CHECK_SHAPES=0 $(BIN)/python -m pytest -m bench --timeout=3600 tests/benchmarks

# What the adapters gain on the embedded cohort, over five seeds, kept in the repository.
experiment: $(STAMP)
	MOLRE_HOME="$${MOLRE_HOME:-$(CURDIR)/runs}" $(BIN)/python jobs/benchmark.py --out $(CURDIR)/runs/experiment
	cp runs/experiment/account.md molre/benchmarking/PHANTOM.md
	cp runs/experiment/table.png .github/pictures/experiment.png

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs build dist *.egg-info

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "molre needs Python 3.11 or newer: run make PYTHON=python3.12 or the like")'
	@echo "Installing into $(VENV): about 2.5 GB and two minutes, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP)
