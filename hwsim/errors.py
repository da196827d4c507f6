"""The tree of refusals: every error a user can cause, each one sentence long.

A message reads `<Subject> must be <constraint>, not <value>`; the command prints it alone and exits with 2.
"""

__all__ = [
    "CheckpointError",
    "ConfigError",
    "GraphError",
    "IsaError",
    "LamforgeError",
    "MachineError",
    "NoChatTemplateError",
    "NoTokenizerError",
    "ProgramError",
    "ScheduleError",
    "SpecError",
    "cut",
    "shown",
]

_SHOWN_LETTERS = 200


class LamforgeError(Exception):
    """Base of every refusal; its text is one sentence for the user."""


class SpecError(LamforgeError):
    """A specification, recipe or option is wrong."""


class ConfigError(LamforgeError):
    """An engine configuration that cannot be built."""


class IsaError(LamforgeError):
    """An instruction or an instruction word is malformed."""


class CheckpointError(LamforgeError):
    """A checkpoint cannot be read or describes a model the flow does not know."""


class NoTokenizerError(SpecError):
    """A text was to be read with a checkpoint that brings no tokenizer."""


class NoChatTemplateError(SpecError):
    """A question was asked of a model whose tokenizer carries no chat template."""


class GraphError(LamforgeError):
    """A graph breaks the rules of its stage."""


class ScheduleError(LamforgeError):
    """Something does not fit the engine: what, where and by how much."""


class ProgramError(LamforgeError):
    """A program's digest, word or address is wrong."""


class MachineError(LamforgeError):
    """A running engine stopped: a bus error, a bad word or the watchdog."""


def shown(value: object) -> str:
    """Return a value as a refusal shows it: as Python writes it, no more than 200 letters of it."""
    try:
        text = repr(value)
    except ValueError:
        text = "a number of thousands of digits"
    if len(text) <= _SHOWN_LETTERS:
        return text
    end = text[-1] if text[-1] in "'\"])}" else ""
    return f"{text[: _SHOWN_LETTERS - 1 - len(end)]}…{end}"


def cut(words: object) -> str:
    """Return words of others, such as a name in a file or a complaint of a library, in one line, at most 200 letters of them."""
    text = " ".join(str(words).split())
    return text if len(text) <= _SHOWN_LETTERS else f"{text[: _SHOWN_LETTERS - 1]}…"
