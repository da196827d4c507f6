"""The machine: its contract, its simulators and the devices around it."""
