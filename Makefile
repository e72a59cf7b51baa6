# make book: everything, from a fresh clone to the built book.  make help lists the targets.
PYTHON ?= python3
DATA ?= phantom
PATIENTS ?=
SPLIT ?= auto
ON_ERROR ?= stop
PROFILE ?= demo
SEED ?= 0
CORES ?= 2
CONSTRAINT ?= constraints.txt

BIN := .venv/bin
# What the graph starts finds the same environment.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Through the environment, so that no shell or parser reads a path's spaces, apostrophes and brackets.
export PNEUMO_DATA := $(value DATA)
export PNEUMO_PATIENTS := $(value PATIENTS)
# A cluster's profile is for its own workflows.
unexport SNAKEMAKE_PROFILE
OPTIONS = --cores $(CORES) --rerun-incomplete --config profile='$(PROFILE)' seed='$(SEED)' split='$(SPLIT)' on_error='$(ON_ERROR)'
QUIET := --quiet host reason
# Snakemake's own lock outlives a killed run; this one does not.
SNAKEMAKE := $(BIN)/python -m pneumo_lib.locks .snakemake/make.lock $(BIN)/python -m snakemake --nolock

.DEFAULT_GOAL := help
.PHONY: help install book pages runs study graph test lint links notebooks results ceiling think clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 18
	@echo; echo "  Parameters: DATA=phantom or a folder, PATIENTS=map.csv, PROFILE=paper|half|demo|study|real|smoke, SEED=0,"
	@echo "  SPLIT=auto|patient|deck|..., ON_ERROR=stop|skip, CORES=2, PYTHON=python3 (3.11 or newer)"

install: .venv/installed  ## make .venv with the tested versions of everything

# The stamp is written last, so that an interrupted installation is repeated.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old or missing; say which to use: make PYTHON=python3.11 (or newer)"; exit 1; }
	@echo "Installing into .venv (PyTorch and its libraries: several GB, a few minutes) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINT) --editable '.[book,test]'
	@touch $@

book: .venv/installed  ## write the phantom, run exp1..exp5 and build the book
	$(SNAKEMAKE) book $(OPTIONS) $(QUIET)
	@echo; echo "The book is in book/_build/html/index.html. Open it with a browser, or serve it:"
	@echo "  $(BIN)/python -m http.server --directory book/_build/html 8000    then http://localhost:8000"

pages: .venv/installed  ## build the book from the committed records, running nothing (two minutes)
	$(BIN)/jupyter-book build . --path-output book -W --keep-going -q

runs: .venv/installed  ## run exp1..exp5 without the book, e.g. make runs DATA=/data/siim PROFILE=paper
	$(SNAKEMAKE) runs $(OPTIONS) $(QUIET)
	@echo; $(BIN)/pneumo runs --data "$$PNEUMO_DATA" --profile '$(PROFILE)' --split '$(SPLIT)'

study: PROFILE = study
study: .venv/installed  ## run what is left of the studies; MORE=-n only lists it; PROFILE=paper: at the paper's scale
	$(SNAKEMAKE) study $(OPTIONS) $(QUIET) $(MORE)

graph: .venv/installed  ## what would be run, and why
	$(BIN)/python -m snakemake book --dry-run --printshellcmds $(OPTIONS)

test: .venv/installed  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

lint: .venv/installed  ## check style and types, and that notebooks and their sources agree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -p no:xdist -p no:cacheprovider tests/notebooks/test_sources.py -k agree

links: .venv/installed  ## check the book's links to other sites (needs a network)
	$(BIN)/jupyter-book build . --path-output book --builder linkcheck --keep-going -q

notebooks: .venv/installed  ## make notebooks/*.ipynb from their sources, notebooks/*.py
	$(BIN)/jupytext --quiet --to ipynb --update notebooks/*.py

results: .venv/installed  ## publish the records of the demo runs in results/ and in the README
	$(BIN)/pneumo publish runs/phantom-demo results/phantom-demo
	if [ -d runs/phantom-study ]; then $(BIN)/pneumo publish runs/phantom-study results/phantom-study; fi
	PYTHONPATH=book/_ext $(BIN)/python -m pneumo_book.notebook_pages runs/phantom-demo results/phantom-demo
	PYTHONPATH=book/_ext $(BIN)/python -m pneumo_book.readme

ceiling: .venv/installed  ## count the challenge's masks again: the empty-mask baseline and the ceiling of each R-TH
	$(BIN)/python -m pneumo_lib.evaluation.ceiling results/challenge-masks

think: .venv/installed  ## train exp4 on phantoms and write the data of two of the book's interactive pages (20 to 40 minutes)
	PYTHONPATH=book/_ext $(BIN)/python -m pneumo_book.think_data

clean:  ## delete the built book and the runs (not .venv, not data/)
	rm -rf book/_build book/runs runs/* .snakemake
