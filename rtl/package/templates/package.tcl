# Packs engine {{ engine }} as Vitis kernel {{ kernel }}. Run by the Makefile:
#   vivado -mode batch -source package.tcl -tclargs <kernel.xo> <work folder>
# Order of the steps: UG1393 (2023.1), Packaging the RTL Code as a Vitis XO.

if {$argc != 2} {
    puts stderr "package.tcl takes the .xo file to write and a work folder, not $argc arguments."
    exit 1
}
if {![regexp {^({{ tools_pattern }})$} [version -short]]} {
    puts stderr "Vivado must be {{ tools }}, not [version -short]."
    exit 1
}
set xo [file normalize [lindex $argv 0]]
set work [file normalize [lindex $argv 1]]
set here [file dirname [file normalize [info script]]]
set verilog [file dirname $here]
set ip $work/ip

create_project -force package $work/project -part {{ part }}
add_files -norecurse [list \
{% for file in verilog %}
    $verilog/{{ file }} \
{% endfor %}
{% if is_shared %}
    $here/shared_port.v \
{% endif %}
    $here/kernel.v]
set_property top {{ kernel }} [current_fileset]
add_files -fileset constrs_1 -norecurse [list $here/constraints.xdc $here/out_of_context.xdc]
set_property USED_IN {synthesis implementation out_of_context} [get_files $here/out_of_context.xdc]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $ip -vendor {{ vendor }} -library {{ library }} -taxonomy /KernelIP -import_files -set_current false
ipx::unload_core $ip/component.xml
ipx::edit_ip_in_project -upgrade true -name edit_kernel -directory $ip $ip/component.xml
set core [ipx::current_core]
set_property core_revision 1 $core
foreach parameter [ipx::get_user_parameters -of_objects $core] {
    ipx::remove_user_parameter [get_property NAME $parameter] $core
}

# The clock of every bus interface, and its frequency, which the platform may change.
foreach bus {
{% for bus in buses %}
    {{ bus.name }}
{% endfor %}
} {
    ipx::associate_bus_interfaces -busif $bus -clock ap_clk $core
}
set frequency [ipx::add_bus_parameter -quiet FREQ_HZ [ipx::get_bus_interfaces ap_clk -of_objects $core]]
set_property value {{ clock_hz }} $frequency
set_property value_resolve_type user $frequency

# Masters issue INCR bursts of full-width beats alone (UG1393 recommends to say so).
foreach {bus mode beats reads writes} {
{% for bus in buses if bus.is_master %}
    {{ bus.name }} {{ "READ_WRITE" if bus.is_writing else "READ_ONLY" }} {{ bus.burst_beats }} {{ bus.reads }} {{ bus.writes }}
{% endfor %}
} {
    set interface [ipx::get_bus_interfaces $bus -of_objects $core]
    foreach {name value} [list READ_WRITE_MODE $mode MAX_BURST_LENGTH $beats NUM_READ_OUTSTANDING $reads \
            NUM_WRITE_OUTSTANDING $writes HAS_BURST 0 SUPPORTS_NARROW_BURST 0] {
        set_property value $value [ipx::add_bus_parameter -quiet $name $interface]
    }
}

# The register map: offset and bits of each; the bus it is an address for, or - for a plain value.
set map [ipx::add_memory_map -quiet {{ control }} $core]
set block [ipx::add_address_block -quiet reg0 $map]
set_property range {{ control_bytes }} $block
set_property width 32 $block
foreach {name offset bits access bus text} {
{% for register in protocol %}
    {{ register.name }} 0x{{ "%03x" % register.offset }} 32 read-write - "{{ register.doc }}"
{% endfor %}
{% for argument in arguments %}
    {{ argument.name }} 0x{{ "%03x" % argument.offset }} {{ argument.bits }} {{ "read-write" if argument.is_writable else "read-only" }} {{ argument.bus if argument.is_address else "-" }} "{{ argument.doc }}"
{% endfor %}
} {
    set register [ipx::add_register -quiet $name $block]
    set_property description $text $register
    set_property address_offset $offset $register
    set_property size $bits $register
    set_property access $access $register
    if {$bus ne "-"} {
        set_property value $bus [ipx::add_register_parameter -quiet ASSOCIATED_BUSIF $register]
    }
}
set_property slave_memory_map_ref {{ control }} [ipx::get_bus_interfaces {{ control }} -of_objects $core]

set_property sdx_kernel true $core
set_property sdx_kernel_type rtl $core
set_property ipi_drc {ignore_freq_hz true} $core
set_property vitis_drc {ctrl_protocol {{ protocol_name }}} $core
set_property supported_families {} $core
set_property auto_family_support_level level_2 $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity -kernel $core
ipx::save_core $core
close_project -delete

# The control protocol stands in kernel.xml; with -kernel_xml it is not an option.
file mkdir [file dirname $xo]
package_xo -force -xo_path $xo -kernel_name {{ kernel }} -ip_directory $ip -kernel_xml $here/kernel.xml
