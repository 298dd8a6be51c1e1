# Dougong. `make help` lists the targets; `make up` and `make test` need nothing set up before.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(notdir $(patsubst %/setup.cfg,%,$(wildcard plugins/*/setup.cfg))))
SIGNING_KEY ?= var/keys/plugin-signing.pem
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
SOURCES := setup.cfg pyproject.toml $(wildcard plugins/*/setup.cfg plugins/*/pyproject.toml)
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
# Three workers for two cores: what waits for browsers, timers and processes leaves them idle.
SHARED := -n 3 --dist loadgroup --no-loadscope-reorder
# Eleven distributions share one builder, and a module is compiled when it is first imported.
QUICKLY := --no-build-isolation --no-compile
# Where this is set, each of the hundreds of processes of a test run compiles the product again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help up down reset setup setup-test programs peers test test-fast lint types docs \
	collected catalogues bench plugin-repo \
	gate-tenancy gate-privacy gate-audit gate-crash gate-plugins gate-devices gate-commands \
	gate-cards gate-notices gate-payments gate-api gate-pages gate-budgets gate-shelf gates initial clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(BIN)/python:
	@PYTHON=$(PYTHON) tools/system.sh python
	@$(PYTHON) -m venv $(VENV)

# One call, so that what fits together is found out once. $(1): the extra of the kernel.
define install
	@PYTHON=$(PYTHON) tools/system.sh python
	@echo "Installing into $(VENV) …"
	@$(PIP) 'setuptools>=77' wheel
	@$(PIP) $(QUICKLY) -e '.$(1)' $(foreach p,$(PLUGINS),-e plugins/$(p))
	@$(BIN)/python -m dougong.i18n
	@touch $(STAMP)
endef

$(STAMP): $(SOURCES) | $(BIN)/python
	$(call install,)

setup: $(STAMP) ## install Dougong and its plugins into .venv

$(TEST_STAMP): $(SOURCES) | $(BIN)/python
	$(call install,[test])
	@$(BIN)/python -c 'from dougong.documents.fonts import font_files; font_files()'
	@touch $@

programs: | $(BIN)/python
	@tools/system.sh test

peers: | $(BIN)/python
	@$(BIN)/python tools/peers.py

setup-test: $(TEST_STAMP) programs peers ## install what the tests need as well: tools, browser, protocol peers

up: setup ## start Dougong with demo data and device simulators; prints one link
	@exec $(BIN)/dougong up

down: ## stop everything that `make up` started
	@test ! -x $(BIN)/dougong || $(BIN)/dougong down

reset: ## stop and delete all data of the embedded installation
	@test ! -x $(BIN)/dougong || $(BIN)/dougong reset --yes

test: ## everything: checks, documentation, unit, integration and acceptance tests
	@$(MAKE) --no-print-directory -j3 setup-test
	@$(MAKE) --no-print-directory -j2 --output-sync lint types docs collected
	$(BIN)/python -m pytest $(SHARED)

# Python keeps what it compiled, so that the workers, who begin together, do not each do it.
collected: setup-test
	@said=$$($(BIN)/python -m pytest -q --collect-only 2>&1) || { echo "$$said" | tail -n 60; exit 1; }

test-fast: setup-test ## unit and architecture tests only
	$(BIN)/python -m pytest tests/unit tests/architecture

lint: setup-test ## ruff, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup-test ## mypy on the kernel
	$(BIN)/mypy -p dougong

docs: setup-test ## the documentation as web pages in build/docs
	$(BIN)/python -m sphinx -q -W -b html docs build/docs

catalogues: setup ## list translations that are missing
	$(BIN)/python tools/catalogues.py

initial: setup ## rewrite the initial revisions from the models (until 0.1)
	$(BIN)/python tools/initial_revision.py dougong
	@for p in $(PLUGINS); do $(BIN)/python tools/initial_revision.py $$p; done

plugin-repo: setup ## build and sign the packages of plugin_repo/ and their index; trust the key here
	@test -f $(SIGNING_KEY) || $(BIN)/dougong plugin key $(SIGNING_KEY) --owner "Dougong" --role index
	@$(BIN)/dougong plugin trust $(SIGNING_KEY).pub
	@for p in $(wildcard plugin_repo/*/setup.cfg); do \
	  $(BIN)/dougong plugin build $$(dirname $$p) --out plugin_repo/dist --key $(SIGNING_KEY) || exit 1; done
	@$(BIN)/dougong plugin index build plugin_repo/dist --key $(SIGNING_KEY)

bench: setup-test ## one JSON line per figure, ratios in the same run
	@$(BIN)/python tools/peers.py bench
	@for f in bench/[a-z]*.py; do $(BIN)/python $$f; done

gate-tenancy: setup-test ## 100,000 cross-community probes: none may leak
	$(BIN)/python -m dougong.testing.gate_tenancy --probes 100000
gate-privacy: setup-test ## canaries, swapped ciphertexts, rotation under load
	$(BIN)/python -m dougong.privacy.gate
gate-audit: setup-test ## 1,000 mutations by a superuser, all found
	$(BIN)/python -m dougong.audit.gate
gate-crash: setup-test ## kill -9 of every process: nothing acknowledged is lost
	$(BIN)/python -m dougong.gate_crash
gate-plugins: setup-test ## broken plugins of every kind: all else answers
	$(BIN)/python -m dougong.plugins.gate
gate-devices: setup-test ## 250 devices, mute and late ones: no wrong value
	$(BIN)/python -m dougong.devices.gate
gate-commands: setup ## 100,000 commands over a lossy link: none twice, late or untrue
	$(BIN)/python -m dougong.devices.gate_commands
gate-cards: setup-test ## a meter card is topped up through PC/SC: pcscd, vpcd and pyscard (needs them, as root)
	$(BIN)/python -m pytest -q -s -n 0 plugins/prepaid/tests/gate_pcsc.py
gate-notices: setup-test ## 500 printed demands in three minutes, none over 50 KB
	$(BIN)/python -m pytest -q -s -n 0 plugins/arrears/tests/gate_notices.py
gate-budgets: setup-test ## pages over 1,000,000 bills and 10,000,000 readings: six statements, 150 ms, no full scan
	$(BIN)/python plugins/fees/tests/gate_budgets.py
gate-payments: setup-test ## kill -9 while payments are notified: none is lost or doubled
	$(BIN)/python -m dougong_online_payment.gate
gate-api: setup-test ## every operation of the API with right and with wrong input, ten requests each
	DOUGONG_EVERY_OPERATION=1 $(BIN)/python -m pytest -q -n 0 tests/integration/test_api_contract.py
gate-pages: setup-test ## every kind of page that links lead to, in four settings: axe, weight, words, layout
	DOUGONG_ALL_PAGES=1 DOUGONG_LOOKS=build/pages $(BIN)/python -m pytest -q -n 0 -s tests/acceptance/test_every_page.py
gate-shelf: setup-test ## a package of plugin_repo/: built, signed, installed, asked over a socket, and away
	DOUGONG_WEBHOOK_NETWORKS=127.0.0.0/8 $(BIN)/python -m pytest -q -n 0 tests/acceptance/gate_shelf.py
	DOUGONG_WHOLE_SHELF=1 $(BIN)/python -m pytest -q -n 0 tests/integration/test_plugin_conformance.py -k shelf
gates: gate-tenancy gate-privacy gate-audit gate-crash gate-plugins gate-devices gate-commands gate-cards gate-notices gate-payments gate-api gate-pages gate-budgets gate-shelf ## all of them

clean: ## remove the virtual environment and caches, never data
	rm -rf $(VENV) .ruff_cache .mypy_cache .pytest_cache build
