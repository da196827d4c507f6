# Stands in for Vivado where tclsh runs a package's scripts: every command is recorded, and answers with a name.
#   tclsh vendor_commands.tcl <record> <script> <arguments of the script ...>
# A line of the record is one call, its words separated by tabs. A command that is not listed here is an error.
set record [open [lindex $argv 0] w]
set script [lindex $argv 1]
set argv [lrange $argv 2 end]
set argc [llength $argv]
set missing_cells [expr {[info exists env(MISSING_CELLS)] ? $env(MISSING_CELLS) : ""}]

namespace eval ipx {}
foreach command {
    create_project add_files update_compile_order close_project package_xo set_property add_cells_to_pblock create_clock
    ipx::package_project ipx::unload_core ipx::edit_ip_in_project ipx::associate_bus_interfaces ipx::remove_user_parameter
    ipx::create_xgui_files ipx::update_checksums ipx::check_integrity ipx::save_core
} {
    proc ::$command {args} "puts \$::record \[join \[linsert \$args 0 $command\] \\t\]"
}
proc current_fileset {} { return sources_1 }
proc get_files {name} { return [file tail $name] }
proc get_property {name object} {
    if {$name eq "NUM_TOP_SLLS"} {
        if {[info exists ::env(SLLS_AT)] && $object eq $::env(SLLS_AT)} { return $::env(SLLS_THERE) }
        return [expr {[info exists ::env(SLLS)] ? $::env(SLLS) : 100000}]
    }
    return $object.$name
}
proc version {option} {
    # Not by expr, which would take it for a number.
    if {[info exists ::env(VIVADO)]} { return $::env(VIVADO) }
    return 2023.1
}
proc get_slrs {name} { return $name }
proc get_ports {name} { return port:$name }
proc get_pblocks {name} { return $name }
proc get_cells {args} {
    set pattern [lindex $args end]
    if {[lindex $args end-1] eq "-filter"} { set pattern [lindex $pattern end] }
    if {$::missing_cells ne "" && [string match $::missing_cells $pattern]} { return {} }
    return $pattern
}
proc ipx::current_core {} { return core }
proc ipx::get_user_parameters {args} { return {user_parameter} }
proc ipx::get_bus_interfaces {name args} { return bus:$name }
proc ipx::adding {command kind arguments} {
    puts $::record [join [linsert $arguments 0 $command] \t]
    foreach argument $arguments { if {$argument ne "-quiet"} { return $kind:$argument } }
}
foreach {command kind} {
    add_bus_parameter parameter add_memory_map map add_address_block block add_register register
    add_register_parameter register_parameter
} {
    proc ::ipx::$command {args} "
        set made \[::ipx::adding ipx::$command $kind \$args\]
        return \$made@\[lindex \$args end\]
    "
}
source $script
close $record
