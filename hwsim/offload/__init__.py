"""Devices around a GPU, and what offloading to them costs; start at `hwsim.offload.devices` and `hwsim.offload.pcie`."""
