"""The simulator of a program: its meaning, bit for bit, and its time, cycle for cycle, apart from one another."""
