"""The host's side of a run: one code for the registers, buffers and waits, over any device that offers them."""
