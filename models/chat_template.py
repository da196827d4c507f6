"""Turns a conversation into text by a Jinja template, within bounds of time, memory and length."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

from hwsim.errors import SpecError
from models import chat_renderer

__all__ = ["render"]

_LOCK = threading.Lock()
_RENDERERS: dict[int, subprocess.Popen[bytes]] = {}
"""The process that renders for each process that asks, by its number: one that was forked starts its own."""


def render(template: str, variables: Mapping[str, object]) -> str:
    """Return what a template makes of variables that JSON can hold, as transformers renders it.

    It is rendered in a sandbox, in a process of its own: what it may take is in `models.chat_renderer`.

    SpecError for every error of the template, and when it takes too long, too much memory or writes too much.
    """
    try:
        request = json.dumps({"template": template, "variables": variables}).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"Conversation must consist of texts, numbers, lists and mappings, but: {error}") from None
    with _LOCK:
        line = _exchanged(request)
    answer = json.loads(line)
    if "error" in answer:
        raise SpecError(f"Conversation must suit the chat template, but: {answer['error']}")
    return str(answer["text"])


def _exchanged(request: bytes) -> bytes:
    """Return what the renderer answers; SpecError when it ends instead."""
    renderer = _started()
    assert renderer.stdin is not None
    assert renderer.stdout is not None
    try:
        renderer.stdin.write(request)
        renderer.stdin.flush()
        line = renderer.stdout.readline()
    except BaseException as error:
        _end()
        # It was ended from outside, between two requests or while it read one.
        if isinstance(error, BrokenPipeError):
            raise SpecError("Conversation must suit the chat template, but the process that renders it has ended") from None
        raise
    if line.endswith(b"\n"):
        return line
    code = renderer.wait()
    _end()
    if code in (-signal.SIGPROF, -signal.SIGALRM):
        seconds = chat_renderer.MOST_CPU_S if code == -signal.SIGPROF else chat_renderer.MOST_WALL_S
        raise SpecError(f"Chat template must end within {seconds:g} s, but does not")
    raise SpecError(f"Conversation must suit the chat template, but rendering it ended with code {code}")


def _started() -> subprocess.Popen[bytes]:
    """Return the renderer of this process, a new one where there is none that runs."""
    renderer = _RENDERERS.get(os.getpid())
    if renderer is not None and renderer.poll() is None:
        return renderer
    _end()
    # Without -P the folder of the script would be searched for modules.
    command = [sys.executable, "-P", chat_renderer.__file__]
    renderer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    _RENDERERS[os.getpid()] = renderer
    return renderer


def _end() -> None:
    renderer = _RENDERERS.pop(os.getpid(), None)
    if renderer is not None:
        renderer.kill()
        # Closes the pipes and waits.
        with renderer:
            pass


atexit.register(_end)
