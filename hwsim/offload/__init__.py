"""Devices around the engine, and what it costs to keep keys, values and weights outside the accelerator's memory."""
