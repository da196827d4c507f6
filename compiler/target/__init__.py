"""What programs are written in: steps, registers, regions of the memories on chip, and places off chip."""
