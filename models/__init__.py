"""What is computed: float and integer references, attention patterns, compression, checkpoints."""
