"""The process of the `lamforge` command, from its first moment to its exit code.

Everything that takes time to load is loaded inside `main`, so that an interrupt is one sentence then too.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

__all__ = ["main"]

_STOPPING = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated", signal.SIGHUP: "Hung up"}
"""Signals by which a command is asked to end, and what it says then."""
_AGAIN_S = 0.05
"""Seconds after which a command that was asked to end and goes on is looked at again."""

_LOADER = "<frozen importlib._bootstrap>"
"""Where Python loads modules."""
_COMPILER = "llvmlite"
"""Package that calls LLVM; objects of it that are half made are freed as if they were whole."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the process's arguments, or those given, and exit with its code."""
    before = {}
    try:
        # `nohup`, and `&` in a script, have some signals ignored, which stay so.
        for number in _STOPPING:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, _stop_at_once)
    except ValueError:
        # Not in the main thread, to which signals belong.
        pass
    try:
        _open_streams()
        _check_folder()
        from lamforge.cli.commands import run
        from lamforge.cli.errors import exit_code_of

        if arguments is None:
            import gc

            # Circuits are millions of objects, none of it garbage: looking for some takes a third of the time that they do.
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
        given = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]

        sys.exit(exit_code_of(lambda: _stoppable(lambda: run(given), list(before))))
    finally:
        if arguments is not None:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    """End the process where there is nothing to clear away yet, or any more."""
    try:
        os.write(2, f"{_STOPPING[signal.Signals(number)]}\n".encode())
    finally:
        os._exit(128 + number)


def _stoppable(run: Callable[[], object], numbers: Sequence[int]) -> object:
    """Return what `run` returns; raise KeyboardInterrupt where one of the signals came before its end."""
    stop = _Stop()
    alarm = signal.getsignal(signal.SIGALRM)
    try:
        if numbers:
            signal.signal(signal.SIGALRM, stop.ask_again)
        sys.unraisablehook = stop.pass_over
        for number in numbers:
            signal.signal(number, stop.ask)
        try:
            stop.begins_in = sys._getframe()
            code = run()
        except Exception:
            # What became of the exception in code that takes any for its own.
            if stop.asked is None:
                raise
        if stop.asked is not None:
            raise _Asked(*stop.asked)
        return code
    finally:
        stop.is_over = True
        for number in numbers:
            signal.signal(number, _stop_at_once)
        # What the exception holds is deleted after it was told of.
        if stop.asked is None:
            sys.unraisablehook = sys.__unraisablehook__
        if numbers:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)


class _Asked(KeyboardInterrupt):
    """What a signal raises: Python ends as by Control-C, whatever the exit code, once a KeyboardInterrupt itself left `exec`."""


class _Stop:
    """Ends a command by an exception, so that what it began is cleared away; and by another one where that was lost.

    Exceptions are lost where C code calls Python code or looks for a name, where objects are deleted, and in what catches all.
    Some end the process with an error: raised while a library is loaded, or within LLVM. These come to their end first.

    asked: what is said of the signal, and the exit code; None as long as there was none.
    begins_in: the function that runs the command.
    is_over: whether the command has ended.
    """

    def __init__(self) -> None:
        self.asked: tuple[str, int] | None = None
        self.begins_in: FrameType | None = None
        self.is_over = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take the signal of a user."""
        is_asked_again = self.asked is not None
        self.asked = _STOPPING[signal.Signals(number)], 128 + number
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        if is_asked_again or not self._must_go_on(frame):
            raise _Asked(*self.asked)

    def _must_go_on(self, frame: FrameType | None) -> bool:
        """Return whether the command, which is at a frame, does what no exception may stop."""
        while frame is not None and frame is not self.begins_in:
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            if frame.f_code.co_filename == _LOADER or package == _COMPILER:
                return True
            frame = frame.f_back
        return False

    def ask_again(self, number: int, frame: FrameType | None) -> None:
        """Take the signal of the clock: the command goes on, either to clear away or because it does not know."""
        if self.is_over or self.asked is None:
            return
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        if self._must_go_on(frame):
            return
        handled = sys.exception()
        while handled is not None:
            if isinstance(handled, KeyboardInterrupt):
                return
            handled = handled.__context__
        raise _Asked(*self.asked)

    def pass_over(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Say nothing of an interrupt that was lost, for another one follows, nor of objects that were left half made by it."""
        if self.asked is None:
            sys.__unraisablehook__(unraisable)


def _open_streams() -> None:
    """Open the standard streams that the process was started without, as by `>&-`; letters they do not have are escaped.

    Standard output that is missing refuses what is written to it, and the others take and give nothing.
    """
    from contextlib import suppress

    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.close(number)
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", closefd=False))
        if name != "stdin" and hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _check_folder() -> None:
    """End the process where the folder that it was started in is gone: libraries fail there, each in its own way."""
    from pathlib import Path

    try:
        Path.cwd()
    except OSError as error:
        sys.stderr.write(f"Current folder must be one that can be used, which it is not ({error.strerror}): change to another\n")
        sys.exit(2)
