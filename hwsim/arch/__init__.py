"""The contract: numerics, instruction set, engine configuration, memory formats, program, workload, ledger."""
