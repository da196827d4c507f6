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

# Wires of tiles that cross upwards from each SLR, against what the device has there.
foreach {slr wires} { {% for slr, count in wires %}{{ slr }} {{ count }} {% endfor %}} {
    set there [get_property NUM_TOP_SLLS [get_slrs SLR$slr]]
    puts "From SLR$slr upwards $wires wires of tiles cross, of $there there are."
    if {$wires > $there} {
        error "Wires of tiles from SLR$slr upwards must be at most $there, not $wires: another dealing of tiles is needed"
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
