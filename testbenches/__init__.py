"""Benches on the Verilog, and the backends that run one Program in several machines."""
