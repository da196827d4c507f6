"""The border to the user: every exception becomes one sentence on standard error and an exit code."""

import contextlib
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
"""Exit code after control-C; after another signal it is 128 and the number of that."""
_MISUSE = (errno.EINVAL, errno.EEXIST, errno.ECHILD, errno.ESRCH, errno.EDOM, errno.ERANGE, errno.EFAULT, errno.ENOTEMPTY)
"""Errors of the system that a program causes; about others, of disks, rights and limits, a user can do something."""
_SENTENCE_LETTERS, _WORD_LETTERS = 1000, 210
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
        try:
            code = run()
        except Exit as request:
            code = request.exit_code
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        # `main` says which signal it was.
        sentence, code = stop.args if len(stop.args) == 2 else ("Interrupted", INTERRUPTED)
        _say(sentence)
    except Abort:
        _say("Interrupted")
        return INTERRUPTED
    except TyperException as error:
        _say(_usage_sentence(error))
        return REFUSED
    except LamforgeError as error:
        if is_open:
            raise
        hint = _HINTS.get(type(error))
        _say(_one_line(error) + ("" if hint is None else f" ({hint})"))
        return REFUSED
    except MemoryError as error:
        if is_open:
            raise
        _say(f"Memory must hold what is asked for, which it does not ({_one_line(error) or 'it is full'})")
        return REFUSED
    except Exception as error:
        if is_open:
            raise
        sentence = _system_sentence(error) if isinstance(error, OSError) else None
        if sentence is not None:
            _give_up_output()
            _say(sentence)
            return REFUSED
        _say(
            f"Lamforge failed with {type(error).__name__}: {_one_line(error) or 'no message'}"
            f" (this is a bug; {FULL_TRACEBACK}=1 shows where)"
        )
        return BUG
    # Typer returns the code of some exits instead of raising them.
    return code if isinstance(code, int) else 0


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def _system_sentence(error: OSError) -> str | None:
    """Return what the system refused, None where that is a mistake of the program."""
    if error.errno is None or error.errno in _MISUSE or (error.errno == errno.ENOENT and error.filename is None):
        return None
    reason = error.strerror or os.strerror(error.errno)
    if error.filename is None:
        return f"Output cannot be written: {reason}"
    return f"File {shown(error.filename)} cannot be used: {reason}"


def _give_up_output() -> None:
    """Let what the standard streams still hold go nowhere when it cannot be written, so that Python does not try at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _one_line(text: object) -> str:
    words = str(text).split()
    # A word so long is a value that was given.
    line = " ".join(word if len(word) <= _WORD_LETTERS else f"{word[: _WORD_LETTERS - 1]}…" for word in words)
    return line if len(line) <= _SENTENCE_LETTERS else f"{line[: _SENTENCE_LETTERS - 1]}…"


def _usage_sentence(error: TyperException) -> str:
    """Return what was wrong with the command line and where its help is."""
    context = getattr(error, "ctx", None)
    command = "lamforge" if context is None else context.command_path
    return f"{_one_line(error.format_message()).rstrip('.')} (see `{command} --help`)"
