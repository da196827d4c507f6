"""From a model's geometry to a float graph."""
