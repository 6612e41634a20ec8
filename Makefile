# make demo    installs medgan into .venv and runs a small study on generated images
# make test    installs it with its development tools and runs the tests
# make clean   removes .venv
#
# PYTHON=python3.12 chooses another Python. uv is used where there is one, and pip where uv cannot do it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# torch goes first and through pip, which also finds a wheel on disk: a build for the CPU that is there is kept.
TORCH := torch==2.13.0

.PHONY: demo test clean

demo: $(VENV)/.installed
	$(BIN)/medgan demo

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

clean:
	rm -rf $(VENV)

# The stamps make a second call quick; a change to what is installed makes them old.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,.)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(call install,.[dev])
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("medgan needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another: make $(MAKECMDGOALS) PYTHON=python3.12")'
	@{ command -v uv >/dev/null && uv venv --quiet --seed --python '$(PYTHON)' $(VENV); } \
	  || $(PYTHON) -m venv --clear $(VENV) \
	  || { rm -rf $(VENV); echo 'python -m venv failed; on Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }

define install
$(BIN)/python -m pip install --quiet -c constraints.txt $(TORCH)
@{ command -v uv >/dev/null && uv pip install --python $(BIN)/python -c constraints.txt -e '$(1)'; } \
  || $(BIN)/python -m pip install --quiet -c constraints.txt -e '$(1)'
endef
