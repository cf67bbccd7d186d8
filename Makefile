# Every verb that a person needs; `make help` lists them. PYTHON= chooses the interpreter, ARGS= is passed on.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
DEBUG  := .venv-debug
PORT   ?= 8080
ADMIN_PORT ?= 9901
ONCE   ?=
ARGS   ?=
PEER   ?=
PIP    := -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore

PYX     := $(shell find ext -name '*.pyx')
COMPILE := $(PYX) $(shell find ext -name '*.pxd' -o -name '*.h') setup.py
TYPED   := $(wildcard src tests benchmarks examples)

.DEFAULT_GOAL := help
.PHONY: build demo test check bench bench-aggregate bench-apps bench-assess bench-cache bench-check bench-faults bench-features bench-handlers bench-hostile bench-identity bench-limits bench-micro bench-overload bench-plugins bench-public-api bench-reload bench-scrape bench-shadow bench-tls bench-tunnel budgets conformance screenshot fuzz fuzz-mixed fuzz-parse annotate debug wheel clean help
.DELETE_ON_ERROR:

build: $(VENV)/compiled  ## compile in place; leaves .venv/bin/tetrapylon

# A venv that was moved or whose interpreter has gone is made anew.
$(VENV)/bin/python:
	@tools/prepare $(PYTHON)
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@tools/prepare $(PYTHON)
	$(PY) $(PIP) $$($(PY) tools/requires.py)
	TETRAPYLON_PATH_ONLY=1 $(PY) $(PIP) --no-build-isolation --editable ".[dev]"
	@touch $@

$(VENV)/compiled: $(VENV)/installed $(COMPILE)
	TETRAPYLON_STRICT=1 $(PY) setup.py --quiet build_ext --inplace
	@$(PY) tools/prune.py
	@touch $@

demo: build  ## the gateway in front of a Flask shop, on 127.0.0.1:$(PORT); ONCE=1 stops after the first requests
	@PORT=$(PORT) ADMIN_PORT=$(ADMIN_PORT) ONCE=$(ONCE) $(PY) examples/demo/demo.py

# What client connections stand on, and what reads messages: the tests that ask most of each, with the other choice.
e2e        = $(addprefix tests/e2e/test_,$(addsuffix .py,$(1)))
TRANSPORTS := $(call e2e,messages streaming endings tunnels soak)
HTTPTOOLS  := $(call e2e,messages refusals streaming headers soak)

test: build  ## the whole test suite on all cores; ARGS="-k word" narrows it and runs it in one process
ifeq ($(strip $(ARGS)),)
	$(PY) -m pytest -n auto --dist worksteal -q -m "not large" --stream transport $(TRANSPORTS)
	$(PY) -m pytest -n auto --dist worksteal -q -m "not large" --parser httptools $(HTTPTOOLS)
	$(PY) -m pytest -n auto --dist worksteal
else
	$(PY) -m pytest $(ARGS)
endif

check: build  ## lint, format, types, stubs, Cython lint
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy --strict $(TYPED)
	$(PY) -m pyright --warnings --pythonpath $(PY) examples/shop
	MYPYPATH=src $(PY) -m mypy.stubtest tetrapylon._core --mypy-config-file pyproject.toml \
	  --allowlist tests/typing/stubtest-allow.txt --ignore-unused-allowlist
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cython-lint ext

bench: build  ## side by side with Flask, Go, nginx, HAProxy, Envoy, Traefik, Caddy; writes docs/benchmarks.*
	$(PY) -m benchmarks.e2e $(ARGS)

$(VENV)/bench: $(VENV)/installed
	TETRAPYLON_PATH_ONLY=1 $(PY) $(PIP) --no-build-isolation --editable ".[bench]"
	@touch $@

bench-micro: build $(VENV)/bench  ## pytest-benchmark suites of single parts
	$(PY) -m pytest benchmarks/micro $(ARGS)

conformance: build  ## HTTP cases against tetrapylon, nginx and HAProxy; writes docs/conformance.md; PEER= runs one
	$(PY) -m pytest -q tests/conformance/planted.py
	$(PY) -m tests.conformance $(PEER)

bench-hostile: build  ## what honest clients keep of their throughput under attack
	$(PY) -m benchmarks.hostile $(ARGS)

bench-identity: build  ## a verified token beside none, 100,000 API keys beside 100
	$(PY) -m benchmarks.identity $(ARGS)

bench-limits: build  ## whether rate limits are exact, over workers and machines, and while Redis fails
	$(PY) -m benchmarks.limits $(ARGS)

bench-faults: build  ## targets that fail, behind tetrapylon, HAProxy, Envoy and nginx; writes docs/resilience.md
	$(PY) -m benchmarks.faults $(ARGS)

bench-overload: build  ## an upstream whose capacity falls, and a second one that freezes
	$(PY) -m benchmarks.faults.overload $(ARGS)

bench-features: build  ## what resilience costs beside plain, and metrics, log and request ids beside nginx
	$(PY) -m benchmarks.features $(ARGS)

bench-handlers: build  ## typed handlers beside Go, Granian, BlackSheep, FastAPI and Flask
	$(PY) -m benchmarks.handlers $(ARGS)

bench-plugins: build  ## what an empty plugin adds to a proxied request
	$(PY) -m benchmarks.plugins $(ARGS)

bench-public-api: build  ## a public API's policies beside nginx with none and Go with the same
	$(PY) -m benchmarks.public_api $(ARGS)

bench-cache: build  ## a cache's hit beside nginx's proxy_cache
	$(PY) -m benchmarks.cache $(ARGS)

bench-apps: build  ## what it costs an app to be hosted, beside gunicorn alone
	$(PY) -m benchmarks.apps $(ARGS)

bench-check: build  ## how long it takes to check 10,000 routes
	$(PY) -m benchmarks.check $(ARGS)

bench-reload: build  ## a thousand reloads of 10,000 routes under load, with WebSockets and downloads open; 20 minutes
	$(PY) -m benchmarks.reload $(ARGS)

bench-scrape: build  ## what a scrape of 10,000 series takes, and what requests notice of it
	$(PY) -m benchmarks.scrape $(ARGS)

bench-shadow: build  ## what copying 10% of the requests to a second upstream costs, and whether clients notice
	$(PY) -m benchmarks.shadow $(ARGS)

bench-assess: build  ## what assess says of real gateways, against a stopwatch
	$(PY) -m benchmarks.assess $(ARGS)

bench-aggregate: build  ## three JSON answers made one, beside Go and Flask
	$(PY) -m benchmarks.aggregate $(ARGS)

bench-tls: build  ## TLS beside nginx: requests, handshakes, idle connections
	$(PY) -m benchmarks.tls $(ARGS)

bench-tunnel: build  ## WebSocket messages beside nginx
	$(PY) -m benchmarks.tunnel $(ARGS)

fuzz: build  ## mutated messages against an independent reading; ARGS="--requests 1000000 --responses 200000" is the bar
	$(PY) -m tests.fuzz $(ARGS)

fuzz-mixed: build  ## features in any company under clients that pipeline, reset, stall and leave; two minutes
	$(PY) -m tests.fuzz.mixed $(ARGS)

$(VENV)/fuzz: $(VENV)/installed
	TETRAPYLON_PATH_ONLY=1 $(PY) $(PIP) --no-build-isolation --editable ".[fuzz]"
	@touch $@

fuzz-parse: build $(VENV)/fuzz  ## the parse path under atheris; ARGS="-max_total_time=600" and others of libFuzzer's
	$(PY) -m tests.fuzz.guided $(ARGS)

screenshot: build  ## the admin page in Chromium, into docs/page-*.png; two minutes
	$(PY) -m tests.harness.screenshot

budgets: build  ## instructions per request against benchmarks/budgets.toml
	$(PY) -m benchmarks.budgets $(ARGS)

annotate: $(VENV)/installed  ## Cython's annotated HTML in build/annotate
	TETRAPYLON_ANNOTATE=1 $(PY) setup.py --quiet --name >/dev/null
	@find build/annotate -name '*.html' | sort

$(DEBUG)/compiled: $(VENV)/installed $(COMPILE) $(shell find src -name '*.py' -o -name '*.pyi')
	$(PY) -m venv --clear --without-pip $(DEBUG)
	$(PY) tools/share_site.py $(VENV) $(DEBUG)
	TETRAPYLON_DEBUG=1 $(PY) -m pip --python $(DEBUG)/bin/python install --quiet --disable-pip-version-check \
	  --root-user-action=ignore --no-build-isolation --no-deps .
	@touch $@

debug: $(DEBUG)/compiled  ## build with checks and live-object counters in its own tree, then the tests
	TETRAPYLON_DEBUG=1 PYTHONDEVMODE=1 $(DEBUG)/bin/python -m pytest $(ARGS)

wheel: $(VENV)/installed  ## sdist and wheel in dist/, tested in a clean environment outside the checkout
	tools/wheel $(PY)

clean:  ## remove everything that was built
	rm -rf $(VENV) $(DEBUG) build dist site src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
	find src -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sed 's/$$(PORT)/$(PORT)/' | \
	  while IFS='|' read -r verb does; do printf '  %-15s %s\n' "$$verb" "$$does"; done
