# One command sets up and runs the main job, one sets up and runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
GOLDEN ?= ../shared/golden

.PHONY: setup setup-dev demo learn test lint parity clean

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.txt setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -r requirements.txt
	$(PIP) install -e '.[fast]'
	$(BIN)/pip check
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -e '.[fast,dev]'
	$(BIN)/pip check
	touch $@

demo: setup
	$(BIN)/occstudio demo --preset small --work-dir work_dirs/demo --data-root data/synthetic

learn: setup
	$(BIN)/occstudio demo --preset learn --work-dir work_dirs/learn --data-root data/synthetic-learn
	$(BIN)/python tools/analysis_tools/loss_curves.py
	$(BIN)/occstudio prove

test: setup-dev
	$(BIN)/python -m pytest

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

parity: setup-dev
	$(BIN)/python tools/analysis_tools/check_parity.py $(GOLDEN) --all --out docs/parity; status=$$?; \
	$(BIN)/python tools/analysis_tools/parity_page.py && exit $$status
	$(BIN)/python -m pytest -m parity tests/evaluation

clean:
	rm -rf work_dirs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
