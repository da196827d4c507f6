# Spreads engine {{ engine }} over the SLRs of {{ board }}; a hook of link time, before place_design.
# Cells not named here stay in SLR{{ memory_slr }}, beside the memory, where link.cfg puts the kernel.

proc cells_of {name} {
    set cells [get_cells -quiet -hierarchical -filter "NAME =~ *{{ unit }}/inst/$name"]
    if {[llength $cells] == 0} {
        error "Cell $name must be in the design, not flattened, merged or turned into a shift register"
    }
    return $cells
}

proc place_in {slr names} {
    foreach name $names {
        add_cells_to_pblock [get_pblocks pblock_dynamic_SLR$slr] [cells_of $name] -clear_locs
    }
}
{% if wires %}

# Wires that cross upwards from each SLR, counted from the netlist of the Verilog, against what the device has there.
foreach {slr wires} { {% for each in wires %}{{ each.lower }} {{ each.wires }} {% endfor %}} {
    set there [get_property NUM_TOP_SLLS [get_slrs SLR$slr]]
    puts "From SLR$slr upwards $wires wires of the engine cross, of $there there are."
    if {$wires > $there} {
        error "Wires from SLR$slr upwards must be at most $there, not $wires: the engine needs another floorplan"
    }
}
{% endif %}
{% for slr, cells in regions %}

place_in {{ slr }} {
{% for cell in cells %}
    {{ cell }}
{% endfor %}
}
{% endfor %}
{% for slr, names in waypoints %}

# Words on their way to tiles beyond stop over here.
place_in {{ slr }} {
{% for register in names %}
    {{ register }}
{% endfor %}
}
{% endfor %}
{% if registers %}

# Registers of which one drives the other over a boundary, and nothing else: to be placed beside the wires (UG912).
foreach name {
{% for register in registers %}
    {{ register }}
{% endfor %}
} {
    set_property USER_SLL_REG true [cells_of $name]
}
{% endif %}
