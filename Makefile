# Every target sets up what it needs: Python 3.11 or newer and make are enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SUITE ?= core
BROKERS ?= 1
FOLDER ?= .kafka
PORT ?=

.PHONY: help setup demo test installations lint types check nightly faults bench kafka kafka-stop lock clean

help: ## what can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Renkei needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.ready ## make the virtual environment from the lock file

demo: setup ## run the example journeys in three CRMs of the sandbox
	@$(BIN)/renkei demo

test: setup ## the tests (under ten minutes on two cores)
	@$(BIN)/python -m pytest -n 2 -m "not nightly and not fault and not installation"

installations: setup ## whole installations over a real broker, with faults in their short forms (under ten minutes)
	@$(BIN)/python -m pytest -n 2 -m "installation and not fault"

nightly: setup ## all tests but the longest runs of faults
	@$(BIN)/python -m pytest -n 2 -m "not fault"

faults: setup ## the long runs of faults: 200 kills over 50,000 changes and more (half an hour)
	@$(BIN)/python -m pytest -n 0 -s -m fault tests/faults

lint: setup ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup ## mypy --strict over sources and tests
	@$(BIN)/mypy

check: test installations lint types ## all that CI runs

bench: setup ## figures as JSON lines: make bench SUITE=core
	@$(BIN)/python -m benchmarks $(SUITE)

kafka: setup ## Apache Kafka on this machine (Java 17, Maven once): make kafka BROKERS=3 PORT=9092
	@$(BIN)/python -m sandbox.broker start --brokers $(BROKERS) --folder $(FOLDER) $(if $(PORT),--port $(PORT))

kafka-stop: setup ## end it; what it holds stays in .kafka
	@$(BIN)/python -m sandbox.broker stop --folder $(FOLDER)

PIN := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate -q

lock: ## pin the dependencies again, with hashes and without addresses
	@$(PIN) --extra dev -o requirements.lock
	@$(PIN) --constraints requirements.lock -o deploy/requirements.lock

clean: ## remove what was built here
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
