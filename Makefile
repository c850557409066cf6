# Every command a contributor needs; `make help` lists them.
PY := .venv/bin/python
XDIST ?= 3

.PHONY: help install run test check check-long lint types bench reference lock clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: .venv/installed ## make .venv with everything, quick when nothing changed

.venv/installed: requirements/dev.txt pyproject.toml
	@test -x $(PY) || python3 -m venv .venv
	@echo "Installing Postrider into .venv (a minute the first time)"
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## start everything on SQLite under ./data and print what to try first
	@.venv/bin/postrider start

test: install ## run the tests, the long ones left out
	$(PY) -m pytest -n $(XDIST) --dist worksteal -m "not long"

lint: install ## style and formatting, by ruff
	.venv/bin/ruff check . && .venv/bin/ruff format --check .

types: install ## types, by mypy
	.venv/bin/mypy

check: lint types test ## lint, types and tests on both databases

check-long: install ## kills, fuzz and large data
	$(PY) -m pytest -n 2 --dist worksteal -m long

bench: install ## measure against Postfix and OpenDKIM in the same run
	$(PY) -m bench

reference: install ## write docs/reference anew from the code
	$(PY) -m tools.reference

lock: ## write requirements/*.txt anew from pyproject.toml (needs uv)
	uv pip compile -q pyproject.toml --generate-hashes --no-annotate --no-header --no-emit-index-url -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --group dev --generate-hashes --no-annotate --no-header --no-emit-index-url -o requirements/dev.txt

clean: ## remove .venv and ./data
	rm -rf .venv data
