PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SOURCES := $(shell find ext src -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' 2>/dev/null)

.PHONY: build test clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet "setuptools>=77" "Cython>=3.2,<3.4"
	$(PY) -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

build: $(VENV)/.installed  ## compile in place; leaves .venv/bin/tetrapylon
	$(PY) setup.py --quiet build_ext --inplace --parallel 2

test: build
	$(PY) -m pytest

clean:
	rm -rf $(VENV) build dist src/*.egg-info
	find src -name '*.so' -delete
