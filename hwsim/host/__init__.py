"""The host's side of a run: one code for registers, buffers and waits, over any device that offers them; boards through XRT."""
