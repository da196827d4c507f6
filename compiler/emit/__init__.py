"""From a model to the memory image that its programs run on, and the cache in it."""
