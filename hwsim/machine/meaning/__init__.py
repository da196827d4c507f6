"""The meaning of a program: its instructions executed in order on memories of integers, bit for bit."""

from hwsim.machine.meaning.execution import run_meaning
from hwsim.machine.meaning.memories import Memories, ResultLog

__all__ = ["Memories", "ResultLog", "run_meaning"]
