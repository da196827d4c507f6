"""Knows what a Llama-family model computes, in floating point; the parts are rope, llama and decode."""

__all__: list[str] = []
