"""The border to the user: every exception becomes one sentence on standard error and an exit code."""

import os
import sys
from collections.abc import Callable

from typer.exceptions import Abort, Exit, TyperException

from hwsim.errors import LamforgeError

__all__ = ["BUG", "FULL_TRACEBACK", "INTERRUPTED", "REFUSED", "exit_code_of"]

REFUSED = 2
"""Exit code when the input or the command line was refused."""
BUG = 1
"""Exit code when something failed that should not have."""
INTERRUPTED = 130
"""Exit code after control-C."""
FULL_TRACEBACK = "LAMFORGE_FULL_TRACEBACK"
"""Environment variable; 1 lets every exception through with its traceback."""


def exit_code_of(run: Callable[[], object]) -> int:
    """Call `run` and return the exit code; say what was wrong in one sentence on standard error.

    A refusal prints its sentence alone. Any other exception is a bug: it is printed on one line with a hint.
    """
    is_open = os.environ.get(FULL_TRACEBACK) == "1"
    try:
        code = run()
        sys.stdout.flush()
    except Exit as request:
        return request.exit_code
    except (Abort, KeyboardInterrupt):
        _say("Interrupted")
        return INTERRUPTED
    except TyperException as error:
        _say(_usage_sentence(error))
        return REFUSED
    except BrokenPipeError:
        # The reader left, as `| head` does: nothing more can be written, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BUG
    except LamforgeError as error:
        if is_open:
            raise
        _say(_one_line(error))
        return REFUSED
    except Exception as error:
        if is_open:
            raise
        _say(
            f"Lamforge failed with {type(error).__name__}: {_one_line(error) or 'no message'}"
            f" (this is a bug; {FULL_TRACEBACK}=1 shows where)"
        )
        return BUG
    # Without its standalone mode typer returns the code of an Exit instead of raising it.
    return code if isinstance(code, int) else 0


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _usage_sentence(error: TyperException) -> str:
    """Return what was wrong with the command line and where its help is."""
    context = getattr(error, "ctx", None)
    command = "lamforge" if context is None else context.command_path
    return f"{' '.join(error.format_message().split()).rstrip('.')} (see `{command} --help`)"
