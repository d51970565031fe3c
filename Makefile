# Everything a person needs is one command. Only Python 3.11 or newer is needed beforehand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo-out
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench bench-large docs clean

help:  ## Show what there is.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is renewed when the dependencies change.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[train,openvino,dicom,cluster,dev]'
	@touch $@

setup: $(VENV)/.installed  ## Make a virtual environment with everything in it.

demo: setup  ## The main job on synthetic data: labels, training, detection, scores, pictures.
	$(BIN)/metaphase demo --out $(OUT)

# A file of tests runs in one process, so that its fixtures are made once; the longest files begin.
test: setup  ## Run all tests, in JOBS processes (2).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: setup  ## Format, lint and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## Put the code in order.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## Measure speed, side by side.
	$(BIN)/python -m benchmarks

bench-large: setup  ## The same at full size, with a slide of 100 mm2 (an hour).
	$(BIN)/python -m benchmarks --large

docs: setup  ## Write the parts of the documentation that come from the code.
	$(BIN)/python -m metaphase.training.recipe.reference docs/recipes.md

clean:  ## Remove what the other commands made, but for the environment.
	rm -rf $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
