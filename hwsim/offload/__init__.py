"""The cost of a step where the model does not fit one memory: GPUs, hosts, links, drives and drives that compute."""
