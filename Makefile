# Every target is short; what it does stands in its `##` line, which `make` prints.

PYTHON ?= python3
PORT   ?= 8000
CONFIG ?= configs/tiny.yaml
ARGS   ?=

BIN   := .venv/bin
STAMP := .venv/.installed
CODE  := serve_app tests cluster benchmarks

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install serve test test-unit test-ray chaos check lint types layers manifests reference bench-scheduler bench-engine bench-dag bench-autoscale format render docs constraints clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create .venv and install the pinned dependencies

# torch goes first and alone, so that a CPU wheel is taken where the environment offers one.
$(STAMP): pyproject.toml constraints.txt
	.ci/prerequisites $(PYTHON)
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt torch setuptools
	$(BIN)/pip install -c constraints.txt --no-build-isolation -e ".[dev]"
	@touch $@

serve: $(STAMP)  ## serve CONFIG on PORT (configs/tiny.yaml on 8000)
	@exec $(BIN)/krea-serve serve --config $(CONFIG) --port $(PORT)

test: test-unit test-ray  ## run the whole test suite, of the fault tests the short ones

test-unit: $(STAMP)  ## the part of it that needs no Ray, on all cores
	$(BIN)/pytest tests/unit -n logical --maxprocesses 4 --dist loadfile $(ARGS)

# One by one, and with the cores for themselves: they are many processes each.
test-ray: $(STAMP)  ## the part of it that runs Ray
	$(BIN)/pytest tests/integration tests/e2e tests/chaos -m "not chaos or short" $(ARGS)

chaos: $(STAMP)  ## run all fault tests, on a Ray of three nodes, for half an hour
	$(BIN)/pytest tests/chaos $(ARGS)

check: lint types layers manifests reference  ## everything that is judged without running the product

lint: $(STAMP)  ## style and spelling
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/codespell

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy $(CODE)

layers: $(STAMP)  ## who may import whom
	$(BIN)/lint-imports --no-logo

manifests: $(STAMP)  ## configs/ and cluster/ against Serve's and KubeRay's schemas
	$(BIN)/python -m cluster.render --check
	$(BIN)/pytest -q tests/unit/test_manifests.py

reference: $(STAMP)  ## docs/parameters.md against the code
	$(BIN)/python -m serve_app.api.openapi.reference --check

bench-scheduler: $(STAMP)  ## the scheduler beside what others do, on a virtual clock
	$(BIN)/python -m benchmarks.scheduling $(ARGS)

bench-engine: $(STAMP)  ## the engine beside simpler loops, on real arithmetic
	$(BIN)/python -m benchmarks.engine $(ARGS)

bench-dag: $(STAMP)  ## HTTP and the DAG beside plain FluxPipelines, side by side
	$(BIN)/python -m benchmarks.dag $(ARGS)

bench-autoscale: $(STAMP)  ## autoscaling on work beside Ray Serve's default, on a virtual clock
	$(BIN)/python -m benchmarks.autoscaling $(ARGS)

format: $(STAMP)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

render: $(STAMP)  ## write cluster/rayservice.yaml from configs/krea-8gpu.yaml
	$(BIN)/python -m cluster.render

docs: $(STAMP)  ## write docs/parameters.md from the table of parameters
	$(BIN)/python -m serve_app.api.openapi.reference

constraints: $(STAMP)  ## write constraints.txt from what .venv holds
	@{ grep '^#' constraints.txt; $(BIN)/pip freeze --all --exclude pip --exclude-editable | sed -E 's/^(torch==[^+]*)\+.*/\1/' | sort -f; } > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt

clean:  ## remove .venv and every cache
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
