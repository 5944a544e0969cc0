# Each target makes .venv by itself: with uv where it is installed, else with venv and pip.
IN ?= src/enhance_cli/samples/dog.webp
OUT ?= out.png
PYTHON ?= python3
PYTHONS ?= 3.10 3.11 3.12 3.13
TESTS ?= tests
BIN := .venv/bin

.PHONY: upscale test check browser bench versions constraints pythons lowest clean

upscale: .venv/.installed
	$(BIN)/enhance upscale "$(IN)" -o "$(OUT)"

test: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

# What the test of docs/export.md in a browser wants, beside Chromium.
browser: node_modules/onnxruntime-web

node_modules/onnxruntime-web:
	npm install --no-save --no-package-lock --no-audit --no-fund onnxruntime-web@1.30

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# A venv that fails leaves its link to python, which is not to pass for one that is there.
.DELETE_ON_ERROR:

# An install that did not finish is begun anew, perhaps with another PYTHON.
ifneq ($(wildcard .venv/.unfinished),)
.PHONY: .venv/bin/python
endif

.venv/bin/python:
	@rm -rf .venv
	@if command -v uv >/dev/null; then uv venv --quiet --seed --python "$(PYTHON)" .venv; else "$(PYTHON)" -m venv .venv; fi
	@touch .venv/.unfinished

.venv/.installed: pyproject.toml | .venv/bin/python
	@$(call install,-e .)
	@rm -f .venv/.unfinished
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/bin/python
	@$(call install,-e '.[dev]')
	@rm -f .venv/.unfinished
	@touch $@ .venv/.installed

# BUILD=folder names another checkout to compare with.
bench: .venv/.installed-dev
	$(if $(BUILD),$(BIN)/python benchmarks/builds.py --commands "$(BUILD)")
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/runtimes.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/evaluation.py

# What is installed, as constraints.txt has it.
versions: .venv/.installed-dev
	@echo "# What the tests ran with: $$($(BIN)/python -V), $$(uname -sm). Made anew by: make constraints"
	@$(BIN)/python -m pip list --format=freeze --exclude-editable --exclude pip --exclude setuptools

constraints: .venv/.installed-dev
	$(MAKE) --silent versions >constraints.new
	mv constraints.new constraints.txt

# Both want uv and the network, and take gigabytes for each Python. TESTS=tests/images chooses tests.
UV_RUN = uv run --isolated --no-project --with-editable '.[dev]'

pythons:
	for python in $(PYTHONS); do $(UV_RUN) --python $$python python -m pytest $(TESTS) || exit 1; done

lowest:
	$(UV_RUN) --python $(firstword $(PYTHONS)) --resolution lowest-direct python -m pytest $(TESTS)

clean:
	rm -rf .venv dist node_modules .mypy_cache .ruff_cache .pytest_cache

define install
if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python $(1); else $(BIN)/python -m pip install --quiet $(1); fi
endef
