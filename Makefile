# make run    the whole shop: balancer on :3000, backends on :3001 and :3002
# make test   all tests
# make dev    as run, started anew when a file changes
# make lint   ruff and mypy
# make trial  the unit tests under Twisted's own runner
# make simulate SEEDS=1000   so many lives of the balancer among simulated failures; SEED=n repeats one
# make mutations   mistakes put into the balancer, and the first seed that finds each
# make lower  the unit tests with the oldest dependencies that setup.cfg admits
# make trials  keep-alive races, rolling restarts and reloads under load, on real processes; 8 minutes
# make bench  lbproxy beside its peers, in 12 minutes; RECORD=1 keeps the run and shows it in the docs
# make bench-quick   a part of it, in 2 minutes
# make bench-micro   single functions
# make bench-scale   balancers among up to 1,000 simulated backends, shown in the docs; 4 minutes
# make bench-slow    one of two real backends made slow, under each balancer, shown in the docs; 2 minutes
# make venv   only the virtual environment
# make clean  remove what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check
SOURCES := lbproxy ordering backend_klein backend_flask twisted
# The folders whose tests start real programs, and need pytest; trial runs all others.
REAL := integration browser backends packaging deploy trials
FOLDERS := $(patsubst tests/%/__init__.py,%,$(wildcard tests/*/__init__.py))
UNITS := $(addprefix tests.,$(filter-out $(REAL),$(FOLDERS)))
SHOP := $(BIN)/twistd --nodaemon --pidfile= lbproxy --with-backends

.PHONY: run dev test lint trial simulate mutations lower trials bench bench-quick bench-micro bench-scale \
	bench-slow venv clean

run: $(VENV)/ready-to-run
	@exec $(SHOP)

dev: $(VENV)/ready-to-develop
	@exec $(BIN)/watchfiles --sigint-timeout 30 --filter python '$(SHOP)' $(SOURCES)

test: $(VENV)/ready-to-test
	@$(BIN)/python -m pytest

lint: $(VENV)/ready-to-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

trial: $(VENV)/ready-to-test
	@$(BIN)/python -m twisted.trial --temp-directory build/trial $(UNITS)

simulate: $(VENV)/ready-to-test
	@$(BIN)/python -m lbproxy.testing $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) $(SIMULATE)

mutations: $(VENV)/ready-to-test
	@$(BIN)/python -m lbproxy.testing --mutations --seeds $(or $(SEEDS),1000)

# Without the simulated lives, which take most of the time and none of the other libraries.
lower: $(VENV)-lower/ready
	@$(VENV)-lower/bin/python -m twisted.trial --temp-directory build/trial-lower \
		$(filter-out tests.testing,$(UNITS))

trials: $(VENV)/ready-to-test
	@$(BIN)/python -m tests.trials $(TRIALS)

bench: $(VENV)/ready-to-run
	@$(BIN)/python -m benchmarks.macro $(if $(RECORD),--record $(RECORD)) $(BENCH)

bench-quick: $(VENV)/ready-to-run
	@$(BIN)/python -m benchmarks.macro --quick $(BENCH)

bench-micro: $(VENV)/ready-to-run
	@$(BIN)/python -m benchmarks.micro

bench-scale: $(VENV)/ready-to-run
	@$(BIN)/python -m benchmarks.scale $(BENCH)

bench-slow: $(VENV)/ready-to-run
	@$(BIN)/python -m benchmarks.slow $(BENCH)

venv: $(VENV)/ready-to-run

clean:
	rm -rf $(VENV) $(VENV)-lower build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python $(VENV)-lower/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "lbproxy needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments; install python3-venv first" >&2; \
		exit 1; }
	@echo "Making a virtual environment in $(@:/bin/python=)/"
	@$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/ready-to-run: $(VENV)/bin/python setup.cfg constraints.txt
	@echo "Installing what the shop needs"
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/ready-to-test: $(VENV)/bin/python setup.cfg constraints.txt
	@echo "Installing what the shop and its tests need"
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable '.[test]'
	@touch $@ $(VENV)/ready-to-run

$(VENV)/ready-to-develop: $(VENV)/bin/python setup.cfg constraints.txt
	@echo "Installing what the shop and its reloading need"
	@$(BIN)/python $(PIP) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/ready-to-run

$(VENV)-lower/ready: $(VENV)-lower/bin/python setup.cfg constraints-lower.txt
	@echo "Installing the oldest dependencies that setup.cfg admits"
	@$(VENV)-lower/bin/python $(PIP) --constraint constraints-lower.txt --editable . \
		hypothesis trustme h11 httptools prometheus_client
	@touch $@
