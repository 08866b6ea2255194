# One command sets up and runs the main job, one sets up and runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GOLDEN ?= ../shared/golden
DATA ?= data/synthetic

.PHONY: setup demo learn test lint parity clean

setup: $(STAMP)

$(STAMP): requirements.txt setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[fast,dev]'
	$(BIN)/pip check
	touch $@

demo: setup
	$(BIN)/occstudio demo --work-dir work_dirs/demo --data-root $(DATA)

learn: setup
	$(BIN)/occstudio demo --preset learn --work-dir work_dirs/learn --data-root data/synthetic-learn

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

parity: setup
	$(BIN)/python tools/analysis_tools/check_parity.py $(GOLDEN) --all

clean:
	rm -rf work_dirs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
