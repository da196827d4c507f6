"""The border to the user: every exception becomes one sentence on standard error and an exit code."""

import errno
import os
import sys
from collections.abc import Callable, Mapping

from typer.exceptions import Abort, Exit, TyperException

from hwsim.errors import LamforgeError, NoChatTemplateError, NoTokenizerError, shown

__all__ = ["BUG", "FULL_TRACEBACK", "INTERRUPTED", "REFUSED", "exit_code_of"]

REFUSED = 2
"""Exit code when the input or the command line was refused."""
BUG = 1
"""Exit code when something failed that should not have."""
INTERRUPTED = 130
"""Exit code after control-C."""
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENAMETOOLONG)
_SENTENCE_LETTERS = 1000
_HINTS: Mapping[type[LamforgeError], str] = {
    NoTokenizerError: "--tokenizer FOLDER gives it one",
    NoChatTemplateError: "--raw continues the text as it is",
}
"""The option that helps, by the kind of refusal: what refuses knows no options."""
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
        # The reader left, as `| head` does.
        _give_up_output()
        return BUG
    except LamforgeError as error:
        if is_open:
            raise
        hint = _HINTS.get(type(error))
        _say(_one_line(error) + ("" if hint is None else f" ({hint})"))
        return REFUSED
    except Exception as error:
        if is_open:
            raise
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            _give_up_output()
            what = "Output cannot be written" if error.filename is None else f"File {shown(error.filename)} cannot be used"
            _say(f"{what}: {error.strerror}")
            return REFUSED
        _say(
            f"Lamforge failed with {type(error).__name__}: {_one_line(error) or 'no message'}"
            f" (this is a bug; {FULL_TRACEBACK}=1 shows where)"
        )
        return BUG
    # Without its standalone mode typer returns the code of an Exit instead of raising it.
    return code if isinstance(code, int) else 0


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _give_up_output() -> None:
    """Let what standard output still holds go nowhere when it cannot be written, so that Python does not try at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _SENTENCE_LETTERS else f"{line[: _SENTENCE_LETTERS - 1]}…"


def _usage_sentence(error: TyperException) -> str:
    """Return what was wrong with the command line and where its help is."""
    context = getattr(error, "ctx", None)
    command = "lamforge" if context is None else context.command_path
    return f"{_one_line(error.format_message()).rstrip('.')} (see `{command} --help`)"
