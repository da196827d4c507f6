"""The process of the `lamforge` command, from its first moment to its exit code.

Everything that takes time to load is loaded inside `main`, so that an interrupt is one sentence then too.
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

__all__ = ["main"]

_STOPPING = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated", signal.SIGHUP: "Hung up"}
"""Signals by which a command is asked to end, and what it says then."""
_AGAIN_S = 0.05
"""Seconds after which a command is stopped again that did not notice."""


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
            # Circuits are millions of objects, none of it garbage: looking for some takes a third of the time that they do.
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
        given = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]

        def called() -> object:
            for number in before:
                signal.signal(number, _stop)
            sys.unraisablehook = _stop_again
            try:
                return run(given)
            finally:
                sys.unraisablehook = sys.__unraisablehook__
                for number in before:
                    signal.signal(number, _stop_at_once)

        sys.exit(exit_code_of(called))
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


def _stop(number: int, frame: FrameType | None) -> None:
    """End the command by an exception, so that what it began is cleared away."""
    raise KeyboardInterrupt(_STOPPING[signal.Signals(number)], 128 + number)


def _stop_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Stop a little later where the exception was lost, as it is in what C code calls back."""
    lost = unraisable.exc_value
    if not isinstance(lost, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(*lost.args)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


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
