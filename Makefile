# `make demo` and `make test` each do all of their own set-up on a fresh machine (Debian 12, Python 3.11, git, make).

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

# Qt, EGL and fonts for the module in SlicerHost; installed when run as root, else named.
DEBIAN_PACKAGES := libegl1 libgl1 libgl1-mesa-dri libx11-6 libxkbcommon0 libfontconfig1 libfreetype6 libdbus-1-3 \
  libglib2.0-0 libgssapi-krb5-2 libbrotli1 fonts-dejavu-core

.PHONY: demo test test-libraries test-application test-commands lint screenshots clean

demo: $(VENV)/.demo
	$(RUN)/lamina demo --output demo --force $(DEMO)

# VTK's EGL, PyTorch, TensorFlow and OpenVINO each bring their own OpenMP and LLVM and crash when one process loads them
# all. So the libraries, the modules in SlicerHost, the MRML classes and the commands have a process each.
PYTEST_RUN = $(RUN)/python -m pytest
INTEGRATION := Testing/Python/integration
# With PYTEST="-k word" a part may have no such test, which is no failure.
NONE_CHOSEN = || { code=$$?; [ $$code = 5 ] && [ -n "$(PYTEST)" ]; }

test: lint
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-application test-libraries test-commands

test-libraries: $(VENV)/.test
	$(PYTEST_RUN) Testing/Python/unit $(PYTEST) $(NONE_CHOSEN)

test-application: $(VENV)/.test
	$(PYTEST_RUN) Testing/Python/gui $(PYTEST) $(NONE_CHOSEN)
	$(PYTEST_RUN) $(INTEGRATION)/test_markups_nodes.py $(INTEGRATION)/test_image_nodes.py $(PYTEST) $(NONE_CHOSEN)

test-commands: $(VENV)/.test
	$(PYTEST_RUN) $(INTEGRATION) --ignore-glob='*_nodes.py' $(PYTEST) $(NONE_CHOSEN)

screenshots: $(VENV)/.test
	$(RUN)/python Testing/screenshots.py

lint: $(VENV)/.test
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed; name one with: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory debian PACKAGES=python3-venv
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.demo
	@$(MAKE) --no-print-directory debian PACKAGES="$(DEBIAN_PACKAGES)"
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@

.PHONY: debian
debian:
	@missing=""; for package in $(PACKAGES); do \
	  dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	  else \
	    echo "These system packages may be needed:$$missing"; \
	    echo "On Debian or Ubuntu: sudo apt-get install$$missing"; \
	  fi; \
	fi

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache
