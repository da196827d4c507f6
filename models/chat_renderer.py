"""A process of its own that renders chat templates: a template is a program that came with a file, and may never end.

It is run as a script by `models.chat_template` and needs nothing but Jinja. Each line of its input is a JSON object with
`template` and `variables`; for each it writes a line with either `text` or `error`. It ends itself when a template takes too long.
"""

import contextlib
import datetime
import functools
import json
import resource
import signal
import sys
from collections.abc import Mapping

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["MOST_BYTES", "MOST_CPU_S", "MOST_LETTERS", "MOST_WALL_S", "main"]

MOST_LETTERS = 1 << 22
"""Letters of a rendered conversation; no published context is as long."""
MOST_CPU_S = 2.0
"""Seconds of computation that a template is given."""
MOST_WALL_S = 10.0
"""Seconds in all, on a machine that is busy with something else."""
MOST_BYTES = 1 << 29
"""Memory of the process."""
_MESSAGE_LETTERS = 500


class _Generation(Extension):
    """The block `{% generation %}`, which marks what the assistant says and is rendered as it is."""

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Macro) -> str:
        return caller()


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(format: str) -> str:
    return datetime.datetime.now().strftime(format)


def _json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own escapes characters of HTML.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    """Return a template in the environment that transformers gives it. Ref: transformers, utils/chat_template_utils.py."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = _now
    return environment.from_string(template)


def _rendered(template: str, variables: Mapping[str, object]) -> str:
    pieces, letters = [], 0
    for piece in _compiled(template).generate(variables):
        pieces.append(piece)
        letters += len(piece)
        if letters > MOST_LETTERS:
            raise ValueError(f"it writes more than {MOST_LETTERS:,} letters")
    return "".join(pieces)


def _answer(line: bytes) -> dict[str, str]:
    request = json.loads(line)
    try:
        return {"text": _rendered(request["template"], request["variables"])}
    except MemoryError:
        return {"error": f"it needs more than {MOST_BYTES >> 20:,} MiB of memory"}
    # A template is a program: it can raise whatever Python can.
    except Exception as error:
        message = str(error) or type(error).__name__
        return {"error": message[:_MESSAGE_LETTERS]}


def main() -> None:
    """Answer every line of standard input, until it ends."""
    # Where the system knows no such limit, that of time remains.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        # Without a handler these signals end the process, even inside one long operation of the interpreter.
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
        signal.setitimer(signal.ITIMER_REAL, MOST_WALL_S)
        answer = json.dumps(_answer(line)).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
