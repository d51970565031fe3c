# Each task is one command. Only Python 3.11 or newer is needed beforehand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo-out
JOBS ?= 2
INPUTS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help setup lock demo test fuzz test-base test-oldest check format bench bench-large docs docs-serve
.PHONY: wheel sdist sbom licences clean

help:  ## List the commands.
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The newest versions that pyproject.toml allows are installed, as users get them: a release that
# breaks something shows here first. LOCKED=1 installs the versions of requirements.lock, by hash.
LOCKED ?=
EXTRAS := train,openvino,onnx,dicom,cluster,cloud,dev

# The stamp is renewed when the dependencies change.
$(VENV)/.installed: pyproject.toml $(if $(LOCKED),requirements.lock)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(LOCKED),$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock)
	$(BIN)/python -m pip install --quiet -e $(if $(LOCKED),. --no-deps,'.[$(EXTRAS)]')
	@touch $@

setup: $(VENV)/.installed  ## Create a virtual environment with all dependencies (LOCKED=1: as locked).

lock: setup  ## Write requirements.lock: the versions that are installed here, with the hashes of all platforms.
	$(BIN)/python -m pip install --quiet uv
	@mkdir -p build
	$(BIN)/python -m pip freeze --exclude-editable > build/installed.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11.5 --upgrade --quiet \
	  --constraint build/installed.txt --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command 'make lock' -o requirements.lock

demo: setup  ## Detection in real images, then the whole work on synthetic ones.
	$(BIN)/metaphase demo --out $(OUT)

# A file of tests runs in one process, so that its fixtures are made once; the longest files begin.
test: setup  ## Run all tests, in JOBS processes (2).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

fuzz: setup  ## Give every reader changed inputs, INPUTS of each (1000).
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seconds 600

test-base: setup  ## The base install alone, on each Python that is here.
	$(BIN)/python -m tests.installs base

test-oldest: setup  ## The oldest versions of the dependencies that are allowed.
	$(BIN)/python -m tests.installs oldest

check: setup  ## Format, lint and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.dependencies licences > /dev/null

licences: setup  ## List the licences of all dependencies; fail if one is not accepted.
	$(BIN)/python -m tests.dependencies licences

sbom: setup  ## Write the bill of materials, dist/sbom.json (CycloneDX).
	$(BIN)/python -m tests.dependencies sbom dist/sbom.json

wheel sdist: setup  ## Build wheel and sdist into dist/, and check their contents.
	$(BIN)/python -m tests.installs build

format: setup  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## Measure speed.
	$(BIN)/python -m benchmarks

bench-large: setup  ## The same at full size, with a slide of 100 mm2 (an hour).
	$(BIN)/python -m benchmarks --large

docs: setup  ## Write what comes from the code, and build the documentation into site/ (strict).
	$(BIN)/python -m metaphase.training.recipe.reference docs/recipes.md
	$(BIN)/python -m tests.house --draw docs/images/architecture.svg
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: setup  ## Show the documentation on a local page, and follow changes.
	$(BIN)/python -m mkdocs serve

clean:  ## Remove everything that the commands wrote, except the environment.
	rm -rf $(OUT) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
