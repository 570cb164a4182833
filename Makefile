.PHONY: help install demo test test-slow quality bench clean
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	@touch $@

.demo-packages/.installed: requirements-demo.txt | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile --upgrade \
		--target .demo-packages -r requirements-demo.txt
	@touch $@

install: $(VENV)/.installed  ## Set up .venv with everything but ray and metrics

demo: $(VENV)/.installed .demo-packages/.installed  ## The whole journey on real imagery, into runs/demo
	$(BIN)/python -m training.journey --out runs/demo --packages .demo-packages

test: $(VENV)/.installed  ## Tests, without the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.installed .demo-packages/.installed  ## The slow tests, on the demo's real weights
	$(BIN)/python -m pytest -m slow

quality: $(VENV)/.installed  ## Lint, format and layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/.installed .demo-packages/.installed  ## Measure everything, into tests/benchmarks/results and the README
	$(BIN)/python -m tests.benchmarks.retrieval_controls --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.caption_effect --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.caption_quality
	$(BIN)/python -m tests.benchmarks.caption_throughput
	$(BIN)/python -m tests.benchmarks.grounded_claims.score open
	$(BIN)/python -m tests.benchmarks.readme

clean:  ## Remove what the targets made
	rm -rf $(VENV) .demo-packages runs build *.egg-info .pytest_cache .ruff_cache
