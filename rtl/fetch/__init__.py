"""FETCH: port readers and stream FIFOs."""

from rtl.fetch.unit import Fetch

__all__ = ["Fetch"]
