"""Work in a process of its own, at low priority, beside what this one does."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from hwsim.errors import LamforgeError, MachineError

__all__ = ["Beside"]

_NICENESS = 10
Value = TypeVar("Value")


class Beside(Generic[Value]):
    """A call under way in another process; it ends with this process, also where this one is killed.

    work: a function of a module, since the process is a new interpreter: a fork would share PyTorch's threads.
    """

    def __init__(self, work: Callable[..., Value], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._name = work.__name__
        self._answer, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_answered, args=(sender, work, arguments), daemon=True)
        self._process.start()
        sender.close()

    def result(self) -> Value:
        """Wait for the call and return what it returned; raise the refusal it raised, or MachineError for its end."""
        try:
            value: Value
            refusal, value = self._answer.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise MachineError(f"Work beside ({self._name}) must answer, not end with code {code}") from None
        self._process.join()
        if refusal is not None:
            raise refusal
        return value


def _answered(sender: Connection, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    os.nice(_NICENESS)
    # Else it would go on writing what the next command writes.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sender.send((None, work(*arguments)))
    except LamforgeError as refusal:
        sender.send((refusal, None))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
