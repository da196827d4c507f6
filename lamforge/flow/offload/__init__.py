"""Estimates of published systems and devices on a workload: one system, several beside one another, the best placement."""
