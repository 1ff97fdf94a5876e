# STACK=onedl picks the maintained fork, PYTHON=python3.12 an interpreter.
STACK ?= openmmlab
PYTHON ?=
ARGS ?=

VENV := .venv$(if $(filter onedl,$(STACK)),-onedl)
BASE := $(or $(PYTHON),python3)
RUN := $(VENV)/bin/python
# A worker for each core, of a few GiB each; tests in them have one thread.
# They start Python a hundred times, so its bytecode is kept whatever the shell says.
TEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(RUN) -m pytest \
	--numprocesses auto --maxprocesses 4 --dist worksteal
BUILD_DOCS := $(RUN) -m sphinx -W --keep-going -q -b html docs/en docs/en/_build/html

.DEFAULT_GOAL := help
.PHONY: help env demo demo-det demo-seg demo-cls bench bench-build test test-all check format docs clean

help:  ## list the targets
	@echo 'make TARGET [STACK=openmmlab|onedl] [PYTHON=python3.11] [ARGS=...]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

# Without PYTHON= an environment that works is kept whatever python3 is now.
env:  ## set up the environment (every target below does, at no cost the second time)
	@command -v $(BASE) >/dev/null || { echo "set-up: $(BASE) is not on the PATH; \
	expected Python 3.10, 3.11 or 3.12. Name one: PYTHON=python3.11 make ..." >&2; exit 1; }
	@$(BASE) -m tools.dev.set_up --stack '$(STACK)' $(if $(PYTHON),,--keep-python)

demo: env  ## train, evaluate and show three small models with DropBlock
	@$(RUN) tools/demo.py $(ARGS)

demo-det: env  ## only the detector of the demo
	@$(RUN) tools/demo.py det $(ARGS)

demo-seg: env  ## only the segmentation model of the demo
	@$(RUN) tools/demo.py seg $(ARGS)

demo-cls: env  ## only the classifier of the demo
	@$(RUN) tools/demo.py cls $(ARGS)

bench: env  ## measure speed and memory beside other implementations, on the CPU
	@$(RUN) -m tools.dev.benchmark $(ARGS)

bench-build: env  ## compare the processor time of mmcv's own build with set-up's
	@$(RUN) -m tools.dev.bench_build --stack '$(STACK)' $(ARGS)

test: env  ## run the tests, e.g. ARGS='-k packaging'
	@$(TEST) $(ARGS)

test-all: env  ## run all tests, with every backbone of mmdet and mmseg: minutes more
	@$(TEST) -m '' $(ARGS)

check: env  ## lint, format, types and docs, without changing anything
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(BUILD_DOCS)

format: env  ## rewrite the code in the project's format
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

docs: env  ## build the docs into docs/en/_build/html, warnings as errors
	$(BUILD_DOCS)

clean:  ## remove what the tools made here, but neither work_dirs nor environments
	rm -rf build *.egg-info docs/en/_build .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
