# Two songs in, one mash-up out. Everything lives in .venv; nothing else on the machine is touched.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -q --numprocesses auto --dist loadfile
PIP := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip --quiet

# The networks are trained apart: PyTorch wants newer packages than TensorFlow 2.12 lives with.
TRAIN_VENV := .venv-train
TRAIN := $(TRAIN_VENV)/bin/python
SONGS_TO_LEARN ?= build/training
MINUTES ?= 180

# make bench BENCH=--quick, or any other option of python -m benchmarks.bench
BENCH ?=

# make faults FAULTS="--seed 7", or --people 20
FAULTS ?=

# make soak SOAK=--quick, or --seed 7
SOAK ?=

# make fuzz FUZZ="--files 50000", or any other option of python -m tests.fuzz
FUZZ ?=

# Your own songs: make demo VOCALS=a.mp3 BACKING=b.m4a
OUT ?= mashup.mp3
DEMO := build/demo
ifeq ($(VOCALS)$(BACKING),)
SONGS := $(DEMO)/voice/mixture.wav $(DEMO)/band/mixture.wav
VOCALS = $(DEMO)/voice/mixture.wav
BACKING = $(DEMO)/band/mixture.wav
endif

.PHONY: help demo bot test lint types unit bench screens audit faults soak fuzz train clean

help:  ## say what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.installed $(SONGS)  ## merge two songs: VOCALS=a.mp3 BACKING=b.m4a, or two that it composes
	@test -n "$(VOCALS)" && test -n "$(BACKING)" || \
		{ echo "Name both songs: make demo VOCALS=a.mp3 BACKING=b.m4a"; exit 2; }
	@$(BIN)/python -m pipeline merge "$(VOCALS)" "$(BACKING)" -o "$(OUT)"

bot: $(VENV)/.installed  ## start the Discord bot; its token goes into .env (see .env.example)
	@$(BIN)/python -m bot

test: $(VENV)/.installed-dev  ## lint, types and tests
	@# What checks and what downloads do not wait for each other.
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types $(TRAIN_VENV)/.installed
	$(PYTEST)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

unit: $(VENV)/.installed-dev  ## the tests that are quick: two minutes
	$(PYTEST) -m "not slow"

bench: $(VENV)/.installed-dev  ## measure speed and memory against Spleeter and librosa: about half an hour
	@$(BIN)/python -m benchmarks.bench $(BENCH)

screens: $(VENV)/.installed-dev  ## draw the pictures of the bot's answers in docs/ from what it says now
	@$(BIN)/python -m screens

audit: $(VENV)/.installed  ## look for known vulnerabilities of the pinned packages; needs the package registry
	@$(BIN)/python -m supply

faults: $(VENV)/.installed-dev  ## kill, starve and cut off a bot that a hundred people use: is everybody answered once?
	@$(BIN)/python -m tests.faults $(FAULTS)

soak: $(VENV)/.installed-dev  ## an hour of a crowd in five minutes: does memory, or anything else, grow?
	@$(BIN)/python -m tests.soak $(SOAK)

fuzz: $(VENV)/.installed-dev  ## read thousands of damaged and hostile files: FUZZ="--files 3000 --seed 7"
	@$(BIN)/python -m tests.fuzz $(FUZZ)

train: $(VENV)/.installed-dev $(TRAIN_VENV)/.installed  ## make songs, train both networks on them: MINUTES=180
	$(TRAIN) -m training render --clips $(SONGS_TO_LEARN)
	$(TRAIN) -m training separator --clips $(SONGS_TO_LEARN) --out $(SONGS_TO_LEARN)/separator --minutes $(MINUTES)
	$(BIN)/python -m training export $(SONGS_TO_LEARN)/separator/weights.npz $(SONGS_TO_LEARN)/2stems pipeline/models
	$(TRAIN) -m training beats --clips $(SONGS_TO_LEARN)

clean:  ## delete what the targets above made, the virtual environment included
	rm -rf $(VENV) $(TRAIN_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(DEMO)/voice/mixture.wav: $(VENV)/.installed
	@$(BIN)/python -m composer --seed 12 --bpm 96 --key "A minor" --duration 45 -o $(@D)

$(DEMO)/band/mixture.wav: $(VENV)/.installed
	@$(BIN)/python -m composer --seed 3 --bpm 104 --key "B minor" --duration 45 -o $(@D)

$(VENV)/.made:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is needed: name it with make PYTHON=/path/to/python3.11"; exit 2; }
	"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml constraints.txt
	$(PIP) install --editable '.[dev]'
	@touch $@

$(TRAIN_VENV)/.installed: $(VENV)/.made training/requirements.txt
	"$(PYTHON)" -m venv $(TRAIN_VENV)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(TRAIN) -m pip --quiet install --requirement training/requirements.txt
	@touch $@
