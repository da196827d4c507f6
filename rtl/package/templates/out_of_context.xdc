# The clock of the kernel where it is synthesized alone; in the linked design the platform has one.
create_clock -name ap_clk -period {{ "%.3f" % period_ns }} [get_ports ap_clk]
