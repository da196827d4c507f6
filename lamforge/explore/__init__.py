"""Design-space exploration: axes, closed forms, exact points, search, the store of results, and who computes them."""
