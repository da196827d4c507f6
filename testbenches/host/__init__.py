"""What benches add to the host's side of a run: the Verilog as a device, backends over the host, the check of a board."""
