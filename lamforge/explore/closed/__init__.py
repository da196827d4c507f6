"""The closed form: what a decoded token of every candidate costs, without a program."""
