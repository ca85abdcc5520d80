# Everything sets itself up: on a fresh clone `make test` needs only make, bash and a Python of 3.11 or newer.
# PYTHON=python3.12 chooses the interpreter of a new .venv; WORKERS says how many tests run at a time, without it as many
# as there are processors; ROUNDS, CALLS, FALLS and ACCIDENTS set the length of a soak.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?=
WORKERS ?= auto
ROUNDS ?= 10
CALLS ?= 1000000
FALLS ?= 1000
ACCIDENTS ?= 200
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := messages actors enclave ui_adapter
CHECKED := build/typed tests $(if $(wildcard examples/*.py),examples)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_DEFAULT_TIMEOUT ?= 60
export PIP_RETRIES ?= 10
# What the caller's shell holds must not reach into the interpreter under test.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONWARNINGS PYTHONDEVMODE PYTEST_ADDOPTS PYTEST_PLUGINS

# Editable and strict: the one method under which both type checkers and the interpreter see trollbridge.* alike.
EDITABLE := $(BIN)/python -m pip install --quiet --no-build-isolation --config-settings editable_mode=strict --editable

define BUILD_REQUIREMENTS
$$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
endef

# debian PACKAGE…: installs Debian packages where that is allowed, else fails. It tries more than once: somebody else
# may be installing just now, and a network may be gone for a moment.
define DEBIAN
debian() {
    command -v apt-get >/dev/null || return 1
    local root=()
    if [ "$$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    echo "installing the Debian package $$*" >&2
    local apt=("$${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet=2)
    apt+=(--option DPkg::Lock::Timeout=300 --option Acquire::Retries=3)
    local install=("$${apt[@]}" install --yes --no-install-recommends "$$@")
    "$${install[@]}" >/dev/null 2>&1 && return
    for pause in 10 20 0; do
        "$${apt[@]}" update >/dev/null || true
        "$${install[@]}" >/dev/null && return
        sleep "$$pause"
    done
    return 1
}
endef

.PHONY: help venv demo test check bench soak wheel clean system FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile

venv: $(VENV)/.developer $(VENV)/.linked ## .venv with everything that tests and checks need

demo: $(VENV)/.runtime $(VENV)/.linked ## the main job on real files; installs only what an application needs
	@$(BIN)/trollbridge demo

test: check system ## the gates, then every test in random order, then coverage
	@$(BIN)/pytest --numprocesses $(WORKERS) --maxprocesses 8 --cov --cov-report=term

# The two type checkers take one processor each.
check: venv ## lint, format, mypy, pyright
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy $(CHECKED) & mypy=$$!
	status=0
	$(BIN)/basedpyright $(CHECKED) || status=1
	wait $$mypy || status=1
	exit $$status

bench: venv ## what the lock costs, speed beside the peers, each in an environment of its own, and calls under a flood
	@$(BIN)/python tests/benchmarks/run.py
	$(BIN)/python tests/benchmarks/bridge_flood.py
	$(BIN)/python tests/benchmarks/recovery.py
	$(BIN)/python tests/benchmarks/log_cost.py

soak: venv system ## ACCIDENTS under load; CALLS calls in FALLS rings; then the property and process tests, ROUNDS times, deep
	@$(BIN)/python tests/soak/run.py --calls $(CALLS) --falls $(FALLS) --accidents $(ACCIDENTS)
	for ((round = 1; round <= $(ROUNDS); round++)); do
	    echo "round $$round of $(ROUNDS)"
	    HYPOTHESIS_PROFILE=deep $(BIN)/pytest --quiet --override-ini faulthandler_timeout=0 \
	        $(wildcard tests/properties tests/processes tests/attacks)
	done

wheel: venv ## dist/: the source distribution, and the wheel made from it
	@rm -rf dist build/lib build/bdist.*
	$(BIN)/pyproject-build --no-isolation --outdir dist .

clean: ## removes everything that make made
	@rm -rf $(VENV) .bench build dist trollbridge.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(FOLDERS) tests $(wildcard examples) -type d -name __pycache__ -prune -exec rm -rf {} +

# Programs that tests run beside ours: program/Debian package.
SYSTEM := gpg/gnupg sq/sq dbus-daemon/dbus-daemon gnome-keyring-daemon/gnome-keyring node/nodejs tsc/node-typescript \
	systemd-analyze/systemd

system:
	@$(DEBIAN)
	missing=()
	for each in $(SYSTEM); do
	    command -v "$${each%/*}" >/dev/null || missing+=("$${each#*/}")
	done
	if [ "$${#missing[@]}" -gt 0 ] && ! debian "$${missing[@]}"; then
	    echo "The tests need more programs. Install them (Debian: apt-get install $${missing[*]}), then run make again." >&2
	    exit 1
	fi

$(VENV)/.created:
	@$(DEBIAN)
	chosen=
	bare=
	for name in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do
	    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
	    bare=$${bare:-$$name}
	    if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then
	        chosen=$$name
	        break
	    fi
	done
	chosen=$${chosen:-$$bare}
	if [ -z "$$chosen" ]; then
	    echo "Trollbridge needs Python 3.11 or newer, and none was found. Install one, or name it: make PYTHON=…" >&2
	    exit 1
	fi
	version=$$("$$chosen" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
	if ! "$$chosen" -c 'import ensurepip, venv' 2>/dev/null && ! debian "$$version-venv" && ! debian python3-venv; then
	    echo "$$version has no venv module. Install it (Debian: apt-get install $$version-venv), then run make again." >&2
	    exit 1
	fi
	rm -rf $(VENV)
	"$$chosen" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(BUILD_REQUIREMENTS)
	touch $@

$(VENV)/.runtime: pyproject.toml | $(VENV)/.created
	@echo "installing what Trollbridge needs into $(VENV)"
	$(EDITABLE) .
	touch $@

$(VENV)/.developer: pyproject.toml | $(VENV)/.created
	@echo "installing what Trollbridge, its tests and its checks need into $(VENV)"
	$(EDITABLE) '.[test,dev]'
	touch $@ $(VENV)/.runtime

# A strict editable install links each file by name, so a file that appears or goes needs a new set of links.
$(VENV)/.files: FORCE | $(VENV)/.created
	@find $(FOLDERS) -type f ! -path '*/__pycache__/*' ! -name '.*' | LC_ALL=C sort >$@.new
	if cmp --silent $@.new $@; then rm $@.new; else mv $@.new $@; fi

# build/typed: the same links under a name that pyright does not skip (see pyproject.toml).
$(VENV)/.linked: $(VENV)/.files | $(VENV)/.runtime
	@$(EDITABLE) . --no-deps
	rm -rf build/typed
	mkdir -p build/typed
	cp -RP build/__editable__.*/trollbridge build/typed/
	touch $@
