# Synthesis: keep the cells that floorplan.tcl places, and the registers between them.
set_property KEEP_HIERARCHY soft [get_cells -quiet [list {{ moved | join(" ") }}]]
# Words on their way into a tile pass through registers that placement spreads over SLRs: no shift registers.
set_property SHREG_EXTRACT no [get_cells -quiet -hierarchical -regexp {.*/tile_\d+/beat(_\d+)?_reg.*}]
