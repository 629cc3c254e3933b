# ft - fine-tuning of embedding models as Unix filters.
#
#   make            libft.a and bin/ft-*          make check        tests
#   make deps       install what is missing       make check-full   + long ones, sanitizers
#   make demo       a model gets better           make bench        measure

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=

CC      ?= cc
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
# -ffp-contract=off: a fused multiply-add only where the code says so, so that the same source gives the same bits.
ALL_CFLAGS = -std=gnu11 $(WARN) -Ilib -D_GNU_SOURCE -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread $(CFLAGS)

# Debian 12 and Ubuntu 22.04 call it libmsgpack-dev and -lmsgpackc, later ones libmsgpack-c-dev and -lmsgpack-c.
MSGPACK := $(shell for l in msgpackc msgpack-c; do echo 'int main(void){return 0;}' | $(CC) -xc - -l$$l -o /dev/null 2>/dev/null && echo -l$$l && break; done)
LDLIBS  := -lcsv $(MSGPACK) -lopenblas -ljansson -lutf8proc -lm

BUILD   ?= build
SOURCES := $(shell find lib -name '*.c' | LC_ALL=C sort)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
TOOLS   := $(patsubst tools/%.c,bin/%,$(wildcard tools/ft*.c))
TESTS   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(shell find tests -name 'test-*.c'))

all: libft.a $(TOOLS)

libft.a: $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $(OBJECTS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Kernels are the one place where more than -O2 pays.
$(BUILD)/lib/tensor/%.o: CFLAGS += -O3

bin/%: $(BUILD)/tools/%.o libft.a
	@mkdir -p bin
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< libft.a $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o libft.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< libft.a $(LDLIBS)

tests: $(TESTS)

clean:
	rm -rf $(BUILD) bin libft.a

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all tests clean
.SECONDARY:
