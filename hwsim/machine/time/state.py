"""The state of a run between two instructions: what control and the units remember, and the rings of the stream FIFOs."""

from typing import NamedTuple

import numpy as np

from hwsim.arch.fields import Unit
from hwsim.machine.time.compute import MATRIX_STATE, VECTOR_STATE
from hwsim.machine.time.ports import FETCH_STATE

__all__ = ["ANSWERED", "DISPATCHED", "DONE", "EXECUTED", "EXECUTED_SLOT", "LAST_RETIRE", "LOADED", "State", "start_state"]

LOADED, EXECUTED, EXECUTED_SLOT, LAST_RETIRE, ANSWERED, DISPATCHED, DONE, _CONTROL_STATE = range(8)
"""State of control: cycle in which the program is loaded; cycle and slot of the instruction dispatched last; the latest
retirement, and response to a write; instructions dispatched, and retired; its size."""


class State(NamedTuple):
    """Arrays of int64.

    Attributes:
        control: see `LOADED`.
        retired, active: by unit, instructions retired, and 1 while one is at work.
        streams, matrix, vector: states of the stream readers and of two units, described with their laws.
        earliest, arrival: by port, the first cycle of the next address and the cycle of the last beat.
        ready, pops: rings of the beats of the FIFOs: the first cycle in which each can be popped, and in which it was.
    """

    control: np.ndarray
    retired: np.ndarray
    active: np.ndarray
    streams: np.ndarray
    matrix: np.ndarray
    vector: np.ndarray
    earliest: np.ndarray
    arrival: np.ndarray
    ready: np.ndarray
    pops: np.ndarray


def start_state(ports: int, fifo_beats: int) -> State:
    """Return the state at the start of a run, before the program is loaded; `ports` are those that are told apart.

    All of it is zero: no cycle before the program is loaded binds an instruction.
    """

    def zeros(size: int) -> np.ndarray:
        return np.zeros(size, dtype=np.int64)

    return State(
        control=zeros(_CONTROL_STATE),
        retired=zeros(len(Unit)),
        active=zeros(len(Unit)),
        streams=zeros(FETCH_STATE),
        matrix=zeros(MATRIX_STATE),
        vector=zeros(VECTOR_STATE),
        earliest=zeros(ports),
        arrival=zeros(ports),
        ready=zeros(fifo_beats),
        pops=zeros(fifo_beats),
    )
