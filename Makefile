# Two commands matter: `make demo` and `make test`. Both need Python 3.11 to 3.13 and make, and set up the rest themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# processes of the test suite: two for each core, as tests wait for other processes half of their time
WORKERS ?= $(shell echo $$((2 * $$(nproc))))
# the measuring data sets, where they are (see CONTRIBUTING.md)
DATA ?= ../shared/data

.PHONY: docs release test-ways-in config-docs check-page fuzz fuzz-coverage demo test test-quick lint test-pythons test-wheel test-tflite-runtime test-aarch64 test-system golden bench bench-peers soak power-cut results search search-published ablation novelty model models spiking-encoder events-encoder spiking-results spiking-claims test-spiking screenshots clean help

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "edge-app needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is $$($(PYTHON) -V 2>&1): make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# one stamp a set of extras: made anew when pyproject.toml changes
$(VENV)/.has-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

demo: $(VENV)/.has-demo  ## teach a simulated camera real photographs, and look at the result in demo/
	$(BIN)/edge-app demo --out demo

# the workers share the cores: threads of BLAS, which spin while they wait, made one test take three times as long
test test-quick: export OPENBLAS_NUM_THREADS := 1
test test-quick: export OMP_NUM_THREADS := 1

test: lint $(VENV)/.has-dev  ## style, types, import rules and the whole test suite
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

test-quick: $(VENV)/.has-dev  ## the tests that take seconds
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal -m 'not slow'

lint: $(VENV)/.has-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-pythons:  ## the quick suite on every Python 3.11 to 3.13 of this machine
	tests/on_each_python.sh

test-wheel: $(VENV)/.has-dev  ## build the wheel, install it alone, teach and classify with it
	tests/wheel.sh $(BIN)/python

test-tflite-runtime:  ## the tests of what the runtime touches, with tflite-runtime 2.14 and numpy 1, in an environment of their own
	$(PYTHON) -m venv .venv-tflite-runtime
	.venv-tflite-runtime/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-tflite-runtime.txt
	EDGE_APP_TFLITE_RUNTIME=tflite-runtime PYTHONPATH=. .venv-tflite-runtime/bin/python -m pytest tests/encoder --ignore=tests/encoder/test_ratecode.py

test-system: $(VENV)/.has-dev  ## boot a virtual device with the service on it, and let it live through faults (root, 5 minutes); KEEP=1 puts the outcome into the docs
	PYTHONPATH=tests $(BIN)/python -m virtual_device $(if $(KEEP),--keep)

test-ways-in: $(VENV)/.has-dev  ## from an empty Debian to a decision: the Debian package and the image; transcripts in build/ways-in, with KEEP=1 in the docs; SUITE=trixie for Debian 13 (root)
	EDGE_APP_WAYS_IN=$(or $(SUITE),bookworm) KEEP=$(KEEP) $(BIN)/python -m pytest tests/release -k way_in

test-aarch64: $(VENV)/.has-dev  ## the same bits on ARM: the determinism tests on emulated Pi 4 and Pi 5 processors
	tests/aarch64/run.sh $(BIN)/python
	tests/aarch64/deb.sh $(BIN)/python

golden: $(VENV)/.has-dev  ## write all golden files anew, after a change of the arithmetic that is meant (on x86-64)
	PYTHONPATH=tests $(BIN)/python -m support.make_golden
	PYTHONPATH=tests $(BIN)/python -m support.journey
	PYTHONPATH=tests:. $(BIN)/python -m support.spiking_golden

config-docs: $(VENV)/.has-dev  ## write systemd/config.toml and docs/configuration.md from the declarations
	$(BIN)/python -m edge_app.config.reference

docs: $(VENV)/.has-docs  ## build the documentation site, with search and references: build/site/index.html
	$(BIN)/python -m release.site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

release: $(VENV)/.has-dev  ## dist/: sdist, wheel, Debian packages and image, checked, with sums and a bill of materials (root)
	$(BIN)/python -m release

build/terminal: $(VENV)/.has-dev  ## man page and shell completion, from the parsers
	mkdir -p $@
	$(BIN)/python -m release.man_page $@/edge-app.1
	$(BIN)/python -m release.completion bash $@/edge-app.bash
	$(BIN)/python -m release.completion zsh $@/_edge-app

check-page:  ## the types of the page's JavaScript, strictly (needs Node and its registry)
	npx --yes --package typescript@5.9 tsc --allowJs --checkJs --strict --noEmit --target es2022 --module esnext \
	  --moduleResolution bundler --lib dom,dom.iterable,es2022 edge_app/web/static/main.js

fuzz: $(VENV)/.has-dev  ## what comes from outside, damaged in many ways: INPUTS of each kind (default 1000)
	EDGE_APP_FUZZ=$(or $(INPUTS),1000) $(BIN)/python -m pytest tests/web/test_fuzz.py

fuzz-readers: $(VENV)/.has-dev  ## every reader of what comes from outside, each in its own process: INPUTS in all (default 200000)
	PYTHONPATH=tests $(BIN)/python tests/fuzz/run.py --inputs $(or $(INPUTS),200000) --keep benchmarks/results/fuzz.json

fuzz-coverage: $(VENV)/.has-dev  ## the readers of files from outside, led by coverage (atheris): INPUTS (default 100000)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	PYTHONPATH=tests $(BIN)/python tests/web/coverage_fuzz.py -runs=$(or $(INPUTS),100000) -max_len=4096

bench: $(VENV)/.has-dev  ## every target with its figure, beside other classifiers; keeps the figures, writes README's tables
	$(BIN)/edge-app warmup
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed

bench-peers:  ## environments for what `make bench` can measure beside edge-app: Akida's simulator, tflite-runtime 2.14
	$(PYTHON) -m venv .venv-akida
	.venv-akida/bin/python -m pip install --quiet --disable-pip-version-check 'akida>=2.19'
	$(PYTHON) -m venv .venv-tflite-runtime
	.venv-tflite-runtime/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-tflite-runtime.txt

soak: $(VENV)/.has-dev  ## two hours of the live device at full rate: memory, rate, age of frames; keeps result and figure
	$(BIN)/python -m benchmarks.soak --hours 2

power-cut: $(VENV)/.has-dev  ## kill -9 the live device 500 times while it is taught, records and sends: is anything lost? (half an hour)
	$(BIN)/python -m benchmarks.power_cut --kills 500

results: $(VENV)/.has-dev  ## every accuracy row and protocol beside all baselines: docs/results.md (needs DATA; half an hour)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.accuracy --data $(DATA)

search: $(VENV)/.has-calibration  ## search the classifier's parameters on validation splits (needs DATA)
	$(BIN)/python -m calibration.search --data $(DATA)

search-published: $(VENV)/.has-calibration  ## the same for the published rule
	$(BIN)/python -m calibration.search --data $(DATA) --rule published --sets sign_digits grocery --draws 0 --compare --trials 80

ablation: $(VENV)/.has-calibration  ## what each part of the classifier is worth (needs DATA)
	$(BIN)/python -m calibration.ablation --data $(DATA)

novelty: $(VENV)/.has-calibration  ## the contribution of each term of novelty to calibration/results (needs DATA)
	$(BIN)/python -m calibration.novelty --data $(DATA)

model:  ## build the default encoder from its float weights, the same bytes each time (needs imagenet_samples.zip in DATA)
	$(MAKE) models VARIANTS=lite0

models:  ## build all encoders of firmware_models/, or those of VARIANTS="lite1 lite2"
	$(PYTHON) -m venv .venv-model
	.venv-model/bin/python -m pip install --quiet --disable-pip-version-check -r calibration/requirements-encoder.txt
	.venv-model/bin/python calibration/build_encoder.py $(or $(VARIANTS),lite0 lite0x2 lite1 lite2) --samples $(DATA)/imagenet_samples.zip
	.venv-model/bin/python calibration/background.py $(or $(VARIANTS),lite0 lite0x2 lite1 lite2)

.venv-spiking/.has-requirements: calibration/requirements-spiking.txt
	$(PYTHON) -m venv .venv-spiking
	.venv-spiking/bin/python -m pip install --quiet --disable-pip-version-check -r calibration/requirements-spiking.txt
	@touch $@

spiking-encoder: .venv-spiking/.has-requirements  ## convert, distil and pack the spiking encoder; goes on where it stopped (needs DATA, a C++ compiler)
	PYTHONPATH=. .venv-spiking/bin/python -m calibration.spiking --data $(DATA) $(if $(MINUTES),--minutes $(MINUTES))

events-encoder: .venv-spiking/.has-requirements  ## train, convert, distil and pack the encoder of events; goes on where it stopped (needs DATA, a C++ compiler)
	PYTHONPATH=. .venv-spiking/bin/python -m calibration.events --data $(DATA) $(if $(MINUTES),--minutes $(MINUTES))

spiking-results: .venv-spiking/.has-requirements  ## tables and figure of docs/spiking.md: steps, operations; snnTorch on the NIR graph (needs DATA)
	PYTHONPATH=. .venv-spiking/bin/python -m calibration.spiking.results --data $(DATA)
	PYTHONPATH=. .venv-spiking/bin/python -m calibration.spiking.nir_in_snntorch --data $(DATA)

spiking-claims: .venv-spiking/.has-requirements  ## what the papers claim, on small networks (needs DATA)
	for claim in losses rates pipe events; do PYTHONPATH=. .venv-spiking/bin/python -m calibration.spiking.claims $$claim --data $(DATA) || exit 1; done

test-spiking: .venv-spiking/.has-requirements  ## the tests of conversion and training, which need PyTorch
	PYTHONPATH=. .venv-spiking/bin/python -m pytest tests/calibration/spiking tests/calibration/events tests/spiking

screenshots: $(VENV)/.has-dev  ## the pictures of docs/page.md, from a real device taught in Chromium (two minutes)
	PYTHONPATH=.:tests $(BIN)/python tests/web/browser/screenshots.py

clean:  ## remove environments, caches and what was built
	rm -rf .venv .venv-* dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
