# Everything happens in .venv. `make serve` and `make test` do all set-up themselves.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup serve test redis test-systems lint bench docs wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/serve.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Sonorant needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[whisper]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/serve.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,espeak]'
	@touch $@

$(VENV)/torch.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[torch,quality]'
	@touch $@

$(VENV)/engines.stamp: $(VENV)/torch.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[openvino,litert,tensorrt-rtx]'
	@touch $@

setup: $(VENV)/serve.stamp ## the virtual environment and the default models
	$(BIN)/sonorant pull hibari kokoro moonshine-tiny whisper-base

serve: setup ## speech over HTTP on HOST and PORT
	exec $(BIN)/sonorant serve --host $(HOST) --port $(PORT)

test: $(VENV)/dev.stamp lint ## lint, types, import rules and tests
	$(BIN)/python -m pytest -m "not heavy" $(ARGS)

REDIS := $(shell command -v redis-server)
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

redis:
	@test -n "$(REDIS)" || { $(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq --no-install-recommends redis-server; } > /dev/null

$(BIN)/promtool: | $(VENV)/dev.stamp
	@path=$$(command -v promtool) && ln -sf "$$path" $@ || { cd $(VENV) \
		&& apt-get -qq download prometheus 2> /dev/null && dpkg-deb --fsys-tarfile prometheus_*.deb \
		| tar -x --strip-components=3 --directory bin ./usr/bin/promtool && rm prometheus_*.deb; } \
		|| echo "promtool is missing: install Debian's prometheus for the tests of the alert rules"

test-systems: $(VENV)/engines.stamp $(BIN)/promtool redis ## heavy checks: the wheel, a browser, torch, other engines
	$(BIN)/python -m pytest -m heavy $(ARGS)

lint: $(VENV)/dev.stamp ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/engines.stamp ## the figures of docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/engine_options.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/generator.py
	$(BIN)/python benchmarks/moonshine_peer.py
	$(BIN)/python benchmarks/decoding_together.py
	$(BIN)/python benchmarks/deadlines.py
	$(BIN)/python benchmarks/whisper_peer.py
	$(BIN)/python benchmarks/roundtrip.py
	$(BIN)/python benchmarks/first_audio.py
	$(BIN)/python benchmarks/windows.py
	$(BIN)/python benchmarks/speakers.py
	$(BIN)/python benchmarks/hifigan.py
	$(BIN)/python benchmarks/prepared.py
	$(BIN)/python benchmarks/convert.py
	$(BIN)/python benchmarks/litert.py
	$(BIN)/python benchmarks/chaos.py

docs: $(VENV)/dev.stamp ## run every command and code block of the documentation
	$(BIN)/python -m pytest tests/docs $(ARGS)

wheel: $(VENV)/dev.stamp ## dist/sonorant-*.whl
	$(BIN)/python -m build --wheel

clean: ## remove what was built
	rm -rf $(VENV) dist build out .mypy_cache .ruff_cache .pytest_cache
