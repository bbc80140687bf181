# Two commands on a fresh machine: `make notebooks`, `make test`. `make` alone lists them all.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BUILD := build
OUT ?= $(BUILD)/notebooks

VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

JOBS ?= 2
PARALLEL := -n $(JOBS) --dist loadscope  # tests of a module or class stay together: they share what is slow to make

# What runs in miniature tracks into build/, never into the store of the studies.
MINIATURE = PROFILE=quick THREADS=$(or $(THREADS),1) OMP_NUM_THREADS=$(or $(OMP_NUM_THREADS),1) \
  MLFLOW_TRACKING_URI="$(or $(MLFLOW_TRACKING_URI),sqlite:///$(CURDIR)/$(BUILD)/mlflow.db)"

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: $(STAMP) ## create .venv and install what is pinned (again only when a pin has changed)

$(STAMP): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 is needed, and '$(PYTHON)' is not it: install it, or say where it is:" >&2; \
	  echo "  make setup PYTHON=path/to/python3.11" >&2; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV): some minutes the first time"
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

.PHONY: notebooks
notebooks: setup ## execute all notebooks (PROFILE=quick) into build/notebooks, as HTML too
	@mkdir -p $(BUILD)
	@printf '%s\0' $(NOTEBOOKS) | $(MINIATURE) xargs -0 -n 1 -P $(JOBS) \
	  $(RUN) -m helpers notebooks execute --profile quick --out "$(OUT)"

.PHONY: site
site: setup ## the notebooks as they are committed, with an index, in build/site
	@$(RUN) -m helpers site

.PHONY: test
test: setup test-units test-notebooks ## unit tests, then every notebook (PROFILE=quick); the working tree stays as it is

.PHONY: test-all
test-all: setup chromium ## and the long ones: models served, pages in a browser (Chromium), 2,000 cases of fuzz
	@$(MAKE) --no-print-directory test-units MARKS="" TESTS="tests --ignore tests/test_fuzz.py"
	@HYPOTHESIS_PROFILE=long $(MAKE) --no-print-directory test-units TESTS=tests/test_fuzz.py PARALLEL="-n $(JOBS)"
	@$(MAKE) --no-print-directory test-notebooks

TESTS := tests
MARKS := not server and not browser
# a thread for each worker: two with two threads each on two cores would wait for each other
.PHONY: test-units
test-units: setup
	@THREADS=$(or $(THREADS),1) OMP_NUM_THREADS=$(or $(OMP_NUM_THREADS),1) OMP_WAIT_POLICY=PASSIVE \
	  $(RUN) -m pytest $(TESTS) -m "$(MARKS)" --durations=10 $(PARALLEL)

.PHONY: test-notebooks
test-notebooks: setup
ifneq ($(NOTEBOOKS),)
	@mkdir -p $(BUILD)
	@$(MINIATURE) $(RUN) -m pytest --nbmake --nbmake-kernel=python3 notebooks $(PARALLEL)
endif

.PHONY: test-device
test-device: setup ## the trainings of the three tasks on every device of this machine, compared (needs a GPU)
	@OMP_WAIT_POLICY=PASSIVE $(RUN) -m pytest tests/test_device.py -q --durations=5

.PHONY: fingerprints
fingerprints: setup ## train every configuration in miniature; write what is new or of a raised revision
	@THREADS=$(or $(THREADS),1) $(RUN) -m tools.fingerprints --write

.PHONY: deliverable
deliverable: setup ## execute the notebooks in place (PROFILE=full, real data only), update README, check
	@PROFILE=full $(RUN) -m helpers notebooks execute --profile full
	@$(RUN) -m helpers readme
	@$(MAKE) --no-print-directory check

.PHONY: study
study: setup ## run the missing rows of a study: make study NAME=… [LIMIT=rows]
	@test -n "$(NAME)" || { echo "which one? make study NAME=…" >&2; $(RUN) -m helpers study --list >&2; exit 1; }
	@PROFILE=full $(RUN) -m helpers study "$(NAME)" $(if $(LIMIT),--limit $(LIMIT))

.PHONY: data
data: setup ## fetch and verify every file up to 50 MB
	@$(RUN) -m helpers data

.PHONY: data-full
data-full: setup ## the same, and the big archives too (several GB)
	@$(RUN) -m helpers data --big

.PHONY: lint
lint: setup ## ruff (code and notebooks) and spelling
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m codespell_lib .
ifneq ($(NOTEBOOKS),)
	@rm -rf $(BUILD)/spelling
	@$(RUN) -m nbconvert --log-level WARN --to markdown --TemplateExporter.exclude_output=True \
	  --output-dir $(BUILD)/spelling $(NOTEBOOKS)
	@$(RUN) -m codespell_lib $(BUILD)/spelling
endif

.PHONY: format
format: setup ## let ruff mend what it can
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

.PHONY: check
check: setup ## the rules of the committed notebooks, README's table, stale studies
	@$(RUN) -m helpers notebooks check

.PHONY: register
register: setup ## register the models that can be called, training what is missing [MODEL=…]
	@$(RUN) -m helpers register $(MODEL)

.PHONY: serve
serve: setup ## answer requests on 127.0.0.1: make serve MODEL=meli-titles [PORT=5001]
	@test -n "$(MODEL)" || { echo "which one? make serve MODEL=meli-titles (sms-spam, sick-similarity)" >&2; exit 1; }
	@$(RUN) -m helpers serve "$(MODEL)" $(if $(PORT),--port $(PORT))

.PHONY: demo
demo: setup ## a local page (Spanish) to try the saved models, on 127.0.0.1 [PORT=7860]
	@$(RUN) -m helpers demo $(if $(PORT),--port $(PORT))

.PHONY: chromium
chromium: ## Chromium for test-all, where apt-get can install it
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get install -y chromium; } || \
	  { sudo -n apt-get install -y chromium; } || echo "no Chromium: the browser tests are skipped" >&2

.PHONY: bench
bench: setup ## timings against the course's recipe and peers, on an idle machine [ONLY=name] [QUICK=1] [AGAINST=commit]
	@$(RUN) -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(AGAINST),--against $(AGAINST))

.PHONY: verify
verify: setup ## run notebooks (PROFILE=full) and sampled study rows again, compare with what is committed (hours)
	@$(RUN) -m tools.verify $(if $(ONLY),--only $(ONLY)) $(if $(ROWS),--rows $(ROWS)) $(if $(FRESH),--fresh)

.PHONY: mutants
mutants: setup ## break the code on purpose, one line at a time: do the tests notice? (long) [ONLY=file or number]
	@$(RUN) -m tools.mutants $(if $(ONLY),--only $(ONLY)) $(if $(FRESH),--fresh)

.PHONY: same-numbers
same-numbers: setup ## a row of every study with another checkout and with this one: make same-numbers TREE=path [LIMIT=seconds]
	@test -n "$(TREE)" || { echo "which other checkout? make same-numbers TREE=path" >&2; exit 1; }
	@mkdir -p $(BUILD)
	@$(RUN) -m tools.same_numbers rows --tree "$(TREE)" --out $(BUILD)/rows-other.csv $(if $(LIMIT),--max-seconds $(LIMIT))
	@$(RUN) -m tools.same_numbers rows --out $(BUILD)/rows-this.csv $(if $(LIMIT),--max-seconds $(LIMIT))
	@$(RUN) -m tools.same_numbers compare --rows $(BUILD)/rows-other.csv $(BUILD)/rows-this.csv

.PHONY: mlflow
mlflow: setup ## look at the tracked runs, on 127.0.0.1 (PORT=5000)
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	  $(RUN) -m mlflow ui --host 127.0.0.1 --port $(or $(PORT),5000) --workers 1 \
	  --backend-store-uri "$$($(RUN) -c 'from helpers.report.tracking import store_uri; print(store_uri())')"

.PHONY: lab
lab: setup ## open the notebooks in JupyterLab
	@$(RUN) -m jupyterlab --ip 127.0.0.1 notebooks

.PHONY: clean
clean: ## remove what is built; .venv, data/cache, artifacts and tracked runs stay
	@rm -rf $(BUILD) .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find helpers tests data notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +
