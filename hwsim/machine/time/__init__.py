"""The time model: when every instruction is dispatched, issued and retired, and what each unit waits for."""

from hwsim.machine.time.network import run_time, run_work
from hwsim.machine.time.result import Cause, Timeline

__all__ = ["Cause", "Timeline", "run_time", "run_work"]
