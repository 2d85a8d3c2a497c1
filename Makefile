# Everything is set up by the first target that needs it, in .venv, and reused afterwards.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Written last: an install that was interrupted leaves no stamp and is done again. Its name holds what was installed.
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml requirements.txt | cksum | cut -d' ' -f1)
PEERS := .bench-venv/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: run test quick lint lab tutorials student bench doctor setup clean

run: $(STAMP)          ## train both methods on Omniglot (about 4 minutes on two cores)
	$(BIN)/tfmeta quickstart

# Two processes, a file of tests each at a time, so that what a file prepares is prepared once.
test: lint             ## lint and all tests (some 20 minutes on two slow cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: lint            ## lint and the tests that take a moment each
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: $(STAMP)          ## the tutorials in JupyterLab
	$(BIN)/jupyter lab tutorials

tutorials: $(STAMP)    ## run every tutorial in full, rewrite its outputs and the times that are told
	$(BIN)/python tutorials/run.py
	$(BIN)/python tutorials/overview.py --write

student: $(STAMP)      ## copies of the tutorials to hand out, in build/student: no outputs, no answers
	$(BIN)/python tutorials/export.py student

bench: $(STAMP) $(PEERS)  ## time and memory beside other implementations (about three hours; wants a quiet machine)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/roofline.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/time_to_accuracy.py
	$(BIN)/python benchmarks/plot.py
	$(BIN)/python benchmarks/table.py

doctor: $(STAMP)       ## what tfmeta sees on this machine
	$(BIN)/tfmeta doctor

setup: $(STAMP)

# The other frameworks have an environment of their own.
$(PEERS):
	@$(PYTHON) -m venv .bench-venv
	@echo "Setting up .bench-venv (once; some minutes) ..."
	@.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check "setuptools>=77" "numpy>=1.26" \
	  "torch>=2.6" "higher>=0.2.1" "jax>=0.5" "optax>=0.2"
	@touch $@

# Removed first where its Python does not start (moved folder, upgraded system) or pip is missing (interrupted).
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tfmeta needs Python 3.11 or newer; found $(PYTHON). Say: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@echo "Setting up .venv (once; some minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dev]' || \
	  { echo "The install failed; run the same command again to go on."; exit 1; }
	@$(BIN)/python -c 'import tensorflow, keras, tfmeta' 2>/dev/null || \
	  { echo "A package is damaged; removing .venv. Run the same command again."; rm -rf $(VENV); exit 1; }
	@rm -f $(VENV)/.installed-* && touch $@

clean:                 ## remove the environment and caches; data/ and runs/ stay
	rm -rf $(VENV) .pytest_cache .ruff_cache build *.egg-info
