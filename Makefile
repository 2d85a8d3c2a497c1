# Everything is set up by the first target that needs it, in .venv, and reused afterwards.
# Which Pythons tfmeta works with (pyproject.toml says the same), and which of them can make an environment: Debian and
# Ubuntu keep ensurepip in a package of its own.
WANTED := Python 3.11, 3.12 or 3.13
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
MAKES := import venv, ensurepip; $(FITS)
# The first of these that starts and fits; a name alone proves nothing. Another one: make PYTHON=/path/to/python
NAMES := python3.11 python3.12 python3.13 python3 python
PYTHON ?= $(shell for p in $(NAMES); do if "$$p" -c '$(MAKES)' >/dev/null 2>&1; then echo "$$p"; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
# Written last: an install that was interrupted leaves no stamp and is done again. Its name holds what was installed.
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml requirements.txt | cksum | cut -d' ' -f1)
PEERS := .bench-venv/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: run test quick lint lab tutorials student bench doctor setup python clean

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

python:                ## which Python would be used, or which were found and what to install
	@if "$(PYTHON)" -c '$(MAKES)' >/dev/null 2>&1; then "$(PYTHON)" -c 'import sys; print(sys.executable)'; exit; fi; \
	echo "tfmeta needs $(WANTED). Found:"; found="  nothing"; \
	for p in $(if $(PYTHON),"$(PYTHON)",python3.9 python3.10 $(NAMES) python3.14 python3.15); do \
	  version=$$("$$p" --version 2>/dev/null) || continue; found=; \
	  lacks=; "$$p" -c 'import venv, ensurepip' >/dev/null 2>&1 || lacks=", without venv (sudo apt install python3-venv)"; \
	  echo "  $$p: $$version$$lacks"; \
	done; \
	test -z "$$found" || echo "$$found"; \
	echo "Install one of them; then run the same command again, or name it: make PYTHON=/path/to/python3.12"; \
	echo "On any system: uv python install 3.12 (https://docs.astral.sh/uv), then make PYTHON=\"\$$(uv python find 3.12)\""; \
	exit 1

# The other frameworks have an environment of their own.
$(PEERS):
	@$(MAKE) --silent python >&2
	@"$(PYTHON)" -m venv .bench-venv
	@echo "Setting up .bench-venv (once; some minutes) ..."
	@.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check "setuptools>=77" "numpy>=1.26" \
	  "torch>=2.6" "higher>=0.2.1" "jax>=0.5" "optax>=0.2"
	@touch $@

# .venv is made anew where its Python does not start (moved folder, upgraded system), and completed where pip is missing.
$(STAMP):
	@if $(BIN)/python -c '' 2>/dev/null; then \
	  $(BIN)/python -c '$(FITS)' || { echo "The folder .venv has $$($(BIN)/python --version); tfmeta needs $(WANTED)."; \
	    echo "Remove .venv and run the same command again."; exit 1; }; \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	else $(MAKE) --silent python && rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); fi
	@echo "Setting up .venv (once; some minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dev]' || \
	  { echo "The install failed; run the same command again to go on."; \
	    echo "If pip found no TensorFlow: docs/setup.md says which systems have one."; exit 1; }
	@$(BIN)/python -c 'import tensorflow, keras, tfmeta' 2>/dev/null || \
	  { echo "A package is damaged; removing .venv. Run the same command again."; rm -rf $(VENV); exit 1; }
	@rm -f $(VENV)/.installed-* && touch $@

clean:                 ## remove the environment and caches; data/ and runs/ stay
	rm -rf $(VENV) .pytest_cache .ruff_cache build *.egg-info
