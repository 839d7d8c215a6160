# Each target sets itself up: a fresh machine needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
WORKERS := 6  # more than there are cores, since many tests wait; each costs 5 s of processor time, and slows the others

# make test SUITE= runs the thorough tests with the others.
SUITE := -m "not thorough"

.PHONY: help setup demo test thorough chaos example check docs bench qcodes lock clean

help:
	@echo "make demo    set up, then run the whole emulated line, Tokyo to Kobe (two cores, 3 GB)"
	@echo "make test    set up, then run the tests, those of the example project included"
	@echo "make thorough set up, then run the long forms of tests whose short forms are in the suite, and tests that take much"
	@echo "make chaos   set up, then kill, starve and restore nodes, each at its steps; it takes long"
	@echo "make example build the wheel, and run the example project's tests with it"
	@echo "make check   set up, then ruff, mypy, basedpyright, import-linter and a look at the prose"
	@echo "make docs    build the pages of docs/ into build/site; a warning is an error"
	@echo "make bench   set up, then measure every figure of docs/reference/benchmarks.md, beside its peers"
	@echo "make qcodes  set up an environment with QCoDeS, then run the tests of its bridge and of logs in Parquet"
	@echo "make setup   make .venv alone"
	@echo "make lock    pin the dependencies anew (needs uv)"

setup: .venv/.complete

.venv/.complete: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tokaido needs Python >= 3.11; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "setting up .venv (once; a minute or two)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@$(BIN)/tokaido demo

# ARGS chooses among the suite's tests; the example's and those of QCoDeS are run with the whole of it.
test: setup $(if $(ARGS),,example qcodes)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(if $(ARGS),$(ARGS),$(SUITE))

thorough: setup
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m thorough $(ARGS)

# The short forms of these are in make thorough. TOKAIDO_CHAOS_SEED repeats the draws of a run.
chaos: setup
	@TOKAIDO_CHAOS=long $(BIN)/python -m pytest -s -q tests/node/chaos tests/console/line tests/emulators/planning/test_running_links.py $(ARGS)

# The wheel as a user gets it, in an environment that has nothing else of ours. It is built anew each time.
.example-venv/.complete: requirements/example.txt
	@echo "setting up .example-venv (once; half a minute)"
	@rm -rf .example-venv && $(PYTHON) -m venv .example-venv
	@.example-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/example.txt
	@touch $@

example: setup .example-venv/.complete
	@rm -rf build/wheel && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel .
	@.example-venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/wheel/tokaido-*.whl
	@.example-venv/bin/tokaido examples --json | grep -q '"sweep.py"' || { echo "the wheel brings no examples"; exit 1; }
	@cd examples/key_consumer && ../../.example-venv/bin/python -m pytest -q -p no:cacheprovider

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python tools/prose.py

# An environment of its own, so that nothing else waits for it. The API reference reads the code and never imports it.
.docs-venv/.complete: requirements/docs.txt
	@echo "setting up .docs-venv (once; half a minute)"
	@rm -rf .docs-venv && $(PYTHON) -m venv .docs-venv
	@.docs-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

docs: .docs-venv/.complete
	@NO_MKDOCS_2_WARNING=1 .docs-venv/bin/mkdocs build --strict

.bench-venv/.complete: requirements/bench.txt
	@echo "setting up .bench-venv with the peers to measure beside (once; some minutes, 700 MB)"
	@rm -rf .bench-venv && $(PYTHON) -m venv .bench-venv
	@.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench: setup .bench-venv/.complete
	@$(BIN)/python benchmarks/run.py

# QCoDeS, and the pyarrow that it brings, are too much for everybody's .venv (docs/decisions/0004-dependencies.md).
.qcodes-venv/.complete: requirements/qcodes.txt
	@echo "setting up .qcodes-venv (once; a minute, 700 MB)"
	@rm -rf .qcodes-venv && $(PYTHON) -m venv .qcodes-venv
	@.qcodes-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/qcodes.txt
	@.qcodes-venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

qcodes: .qcodes-venv/.complete
	@.qcodes-venv/bin/python -m pytest tests/lab/qcodes tests/lab/logs/test_parquet.py

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/runtime.txt
	uv pip compile pyproject.toml requirements/dev.in --extra plot --extra lp --extra fast --extra bluesky --extra lab --extra node --extra events --extra cluster --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/dev.txt
	uv pip compile requirements/bench.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/bench.txt
	uv pip compile requirements/docs.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/docs.txt
	uv pip compile pyproject.toml requirements/qcodes.in --extra qcodes --extra parquet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/qcodes.txt
	uv pip compile pyproject.toml requirements/example.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q -o requirements/example.txt

clean:
	rm -rf .venv .docs-venv .bench-venv .example-venv .qcodes-venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
