"""Results as plain values, for JSON: the only place where results are dictionaries."""
