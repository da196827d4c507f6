"""From a schedule to the words of a Program, and from a model to the memory image it runs on."""
