"""From a graph to a Program: front end, passes, schedule, emission."""
