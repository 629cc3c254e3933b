# sweep.mk - a grid of runs as make's targets, and one table of what came out.
#
#   make -f pipelines/sweep.mk TRAIN=train.csv TEST=val.csv AXES='loss lr seed' \
#       loss='supcon:temperature=.05 triplet:margin=.2' lr='1e-4 2e-4' seed='0 1 2'
#
# An axis is the name of an option of ft-train, and a variable of that name lists its values; a ~ in a value stands for a blank. Every point of the
# grid is a directory under OUT. What is finished is not made again, what was stopped goes on, and a value added to a list adds its
# runs: type the same command again. Other data or OPTIONS begin all of them anew. With make -j2 two runs go at a time, with half of
# the threads each.
#
#   TRAIN= TEST=     what is learned from, and what measures it; INDEX= is where TEST looks for its answers (default: in itself)
#   INGEST=          options of ft-ingest             MODEL=minilm      what all start from
#   OPTIONS=         of ft-train, the same for all    EVAL=             options of ft-eval
#   METRICS=         columns of the table [knn@20 map]; the first orders it
#   OUT=sweep        where the runs go                KEEP=1            keep the models, not only what they scored
#
# A Makefile of an experiment sets these and includes this file (pipelines/clinc150/quality.mk does); targets: table, all, clean.

MODEL   ?= minilm
AXES    ?= loss lr seed
METRICS ?= knn@20 map
OUT     ?= sweep
THREADS ?= $(shell nproc)

ifeq ($(and $(TRAIN),$(TEST)),)
$(error sweep.mk: TRAIN=FILE and TEST=FILE are missing: what to learn from, and what to measure with)
endif
$(foreach a,$(AXES),$(if $(strip $($(a))),,$(error sweep.mk: the axis '$(a)' has no values: expected $(a)='VALUE VALUE')))

# The product of all axes: words such as ~--loss~supcon~--seed~0, which are options once each ~ is a blank again.
cross = $(if $(1),$(foreach v,$($(firstword $(1))),$(call cross,$(wordlist 2,99,$(1)),$(2)~--$(firstword $(1))~$(v))),$(2))
POINTS := $(call cross,$(AXES))
# The same as a name: supcon.temperature=.05 would be no target of make's, so : = * / go.
name = $(patsubst -%,%,$(subst /,_,$(subst *,x,$(subst =,_,$(subst :,_,$(subst ~,-,$(subst ~--,-,$(1))))))))
NAMES := $(foreach p,$(POINTS),$(call name,$(p)))
$(if $(filter-out $(words $(NAMES)),$(words $(sort $(NAMES)))),$(error sweep.mk: two points of the grid have one name: $(NAMES)))

table: $(NAMES:%=$(OUT)/%/result)
	@awk -f $(dir $(lastword $(filter %sweep.mk,$(MAKEFILE_LIST))))sweep.awk -v axes='$(AXES)' -v metrics='$(METRICS)' $^

all: table

# The run's commands are typed in its own directory.
base = $(if $(wildcard $(MODEL)/config.json),$(abspath $(MODEL)),$(MODEL))

# As many threads as there are, shared by the runs that make has going.
jobs = $(or $(patsubst -j%,%,$(firstword $(filter -j%,$(MAKEFLAGS)))),1)
share = threads=$$(($(THREADS) / $(jobs))); test $$threads -ge 1 || threads=1;

# What all points share. A point that was made with other settings is not this one's.
settings = $(MODEL) $(INGEST) / $(OPTIONS) / $(EVAL) / $(TRAIN) $(TEST) $(INDEX)
$(OUT)/settings: FORCE
	@mkdir -p $(@D)
	@echo '$(settings)' | cmp -s - $@ || echo '$(settings)' >$@

define rule
$(OUT)/$(call name,$(1))/result: $(TRAIN) $(TEST) $(INDEX) $(OUT)/settings
	@mkdir -p $$(@D)
	@$$(share) set -e; cd $$(@D); \
	cmp -s ../settings settings || { rm -rf model; cp ../settings settings; }; \
	echo 'ft-train -m $(base)$(subst ~, ,$(1)) $(strip $(OPTIONS))'; \
	ft-ingest -q $(INGEST) $(abspath $(TRAIN)) | \
	    ft-train -q -m $(base)$(subst ~, ,$(1)) $(OPTIONS) --threads $$$$threads --resume -o model; \
	$(if $(INDEX),ft-ingest -q $(INGEST) $(abspath $(INDEX)) -o index --force;) \
	ft-ingest -q $(INGEST) $(abspath $(TEST)) | \
	    ft-eval -q -m model $(if $(INDEX),--index index) $(EVAL) --threads $$$$threads >measured; \
	{ $(foreach a,$(AXES),printf 'axis\t%s\t%s\n' $(a) '$(subst ~, ,$(call value-of,$(a),$(1)))';) \
	    sed 's/^/metric\t/' measured; } >result.tmp; \
	$(if $(KEEP),,rm -rf model;) rm -f index measured; mv result.tmp result
endef
# value-of AXIS,POINT
value-of = $(patsubst ~--$(1)~%,%,$(filter ~--$(1)~%,$(subst ~--, ~--,$(2))))
$(foreach p,$(POINTS),$(eval $(call rule,$(p))))

clean:
	rm -rf $(OUT)/settings $(NAMES:%=$(OUT)/%)

.PHONY: table all clean FORCE
.DELETE_ON_ERROR:
.DEFAULT_GOAL := table
