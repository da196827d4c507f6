# Builds the kernel of engine {{ engine }} for {{ board }}, with Vitis and Vivado {{ tools }} on PATH; runs in this folder.
# `make VITIS_VERSION=2022.2 ...` refuses any other on PATH.
#
#   make check                what is needed is there, and the files are as they were written
#   make xo                   the kernel, packaged
#   make xclbin               the linked design, TARGET=hw (hours) or TARGET=hw_emu
#   make emconfig             the emulated board for TARGET=hw_emu
#   make host                 the library by which the host reads the kernel's registers
#   make clean

PLATFORM ?= {{ platform }}
TARGET ?= hw
# Version of Vitis to build with, such as 2022.2; the one on PATH where it is left out.
VITIS_VERSION ?=
JOBS ?= 8
BUILD ?= build

HERE := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
XO := $(BUILD)/{{ kernel }}.xo
LINKED := $(BUILD)/{{ kernel }}.$(TARGET).link.xclbin
XCLBIN := $(BUILD)/{{ kernel }}.$(TARGET).xclbin
LIBRARY := $(BUILD)/libxrt_ip.so
VERILOG := kernel.v{% for file in verilog %} ../{{ file }}{% endfor %}

HOOK := $(if $(filter hw,$(TARGET)),--vivado.prop run.impl_1.STEPS.PLACE_DESIGN.TCL.PRE=$(HERE)/floorplan.tcl)

.PHONY: all check files tools xo xclbin emconfig host clean
.DEFAULT_GOAL := xclbin

ifeq ($(filter $(TARGET),hw hw_emu),)
$(error TARGET must be hw or hw_emu, not $(TARGET))
endif

ifneq ($(VITIS_VERSION),)
ifeq ($(shell echo '$(subst ','"'"',$(VITIS_VERSION))' | grep -Ex '{{ tools_pattern }}'),)
$(error VITIS_VERSION must be {{ tools }}, not $(VITIS_VERSION))
endif
endif

all: xclbin host

check: files tools

files:
	cd $(HERE) && sha256sum --check --quiet MANIFEST.sha256

tools:
	@for tool in v++ vivado emconfigutil platforminfo; do command -v $$tool >/dev/null || \
		{ echo "Tool $$tool must be on PATH: source settings64.sh of Vitis {{ tools }}." >&2; exit 1; }; done
	@found=$$(v++ --version | grep -Eo 'v[0-9]+([.][0-9]+)+' | head -n 1 | tr -d v); \
		echo "$$found" | grep -Exq '{{ tools_pattern }}' || \
		{ echo "Vitis must be {{ tools }}, not: $$(v++ --version | grep . | head -n 1)" >&2; exit 1; }; \
		case "$$found." in $(or $(VITIS_VERSION),$$found).*) ;; *) \
		echo "Vitis on PATH must be VITIS_VERSION $(VITIS_VERSION), not $$found" >&2; exit 1;; esac
	@platforminfo --platform $(PLATFORM) >/dev/null || \
		{ echo "Platform $(PLATFORM) must be installed; make PLATFORM=... names another." >&2; exit 1; }

xo: $(XO)

$(XO): package.tcl kernel.xml constraints.xdc out_of_context.xdc $(VERILOG) | tools
	mkdir -p $(BUILD)
	vivado -mode batch -nojournal -log $(BUILD)/package.log -source package.tcl -tclargs $(XO) $(BUILD)/package

xclbin: $(XCLBIN)

$(LINKED): $(XO) link.cfg floorplan.tcl | tools
	v++ --link --target $(TARGET) --platform $(PLATFORM) --config link.cfg $(HOOK) --jobs $(JOBS) \
		--temp_dir $(BUILD)/$(TARGET) --log_dir $(BUILD)/$(TARGET)/log --report_dir $(BUILD)/$(TARGET)/report -o $@ $(XO)

$(XCLBIN): $(LINKED)
	v++ --package $(LINKED) --target $(TARGET) --platform $(PLATFORM) --temp_dir $(BUILD)/$(TARGET) \
		--package.out_dir $(BUILD)/$(TARGET)/package -o $@

emconfig: $(BUILD)/emconfig.json

$(BUILD)/emconfig.json:
	emconfigutil --platform $(PLATFORM) --od $(BUILD)

host: $(LIBRARY)

$(LIBRARY): host/xrt_ip.cpp
	@test -n "$(XILINX_XRT)" || { echo "XILINX_XRT must name the installation of XRT: source its setup.sh." >&2; exit 1; }
	mkdir -p $(BUILD)
	$(CXX) -std=c++17 -O2 -Wall -Wextra -fPIC -shared -I$(XILINX_XRT)/include -L$(XILINX_XRT)/lib $< -lxrt_coreutil -o $@

clean:
	rm -rf $(BUILD) .Xil .ipcache
