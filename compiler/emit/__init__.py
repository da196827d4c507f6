"""From a schedule to the words of a Program, and from a model to the memory image it runs on."""

from compiler.emit.cache import read_cache, write_cache
from compiler.emit.image import build_image
from compiler.emit.program import emit_program

__all__ = ["build_image", "emit_program", "read_cache", "write_cache"]
