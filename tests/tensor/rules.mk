# The CUDA kernels as C++ against lib/tensor/cuda/emulate.h, for their test alone: libft.a needs no C++ compiler.
CXX       ?= g++
CUDA_TEST := $(BUILD)/tests/tensor/test-cuda
CUDA_CXX  := $(patsubst lib/tensor/cuda/%.cu,$(BUILD)/tests/tensor/cuda-%.o,$(sort $(wildcard lib/tensor/cuda/*.cu)))
HAVE_CXX  := $(shell command -v $(firstword $(CXX)))
SAN_FLAGS  = $(filter -fsanitize% -O% -g,$(CFLAGS))

ifneq ($(HAVE_CXX),)
TESTS += $(CUDA_TEST)
endif

$(BUILD)/tests/tensor/cuda-%.o: lib/tensor/cuda/%.cu
	@mkdir -p $(@D)
	$(call say,CXX,$<)$(CXX) -x c++ -std=c++17 -Wall -Wextra -Ilib -ffp-contract=off $(SAN_FLAGS) -MMD -MP -c -o $@ $<

$(CUDA_TEST): $(BUILD)/tests/tensor/cuda.o $(CUDA_CXX) $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CXX) -pthread $(SAN_FLAGS) $(LDFLAGS) -o $@ $< $(CUDA_CXX) $(LIB) $(LDLIBS)
