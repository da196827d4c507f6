"""Knows what a step costs where the model does not fit: GPUs, hosts, links, drives and drives that compute."""
