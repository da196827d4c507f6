"""From a graph to a Program: front end, passes, lowerings, schedule; and the memory image."""
