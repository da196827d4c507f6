"""Data only: engines, boards, devices, workloads, systems."""
