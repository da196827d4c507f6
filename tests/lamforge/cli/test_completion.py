"""The shell completes the names that `lamforge list` shows, and reads them only when it is asked to."""

import subprocess
import sys

import pytest

from lamforge.cli.options import names_of
from lamforge.flow.list import KINDS


def completed(words: str) -> list[str]:
    """Return what a shell is offered after some words of a command line."""
    environment = {"_LAMFORGE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "import os, sys; os.environ |= eval(sys.argv[1]); sys.argv = ['lamforge']; from lamforge.cli.main import main; main()"
    command = [sys.executable, "-c", code, repr(environment)]
    return subprocess.run(command, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("patterns", "methods")])
def test_names_of_a_kind_are_completed(kind: str) -> None:
    complete = names_of(kind)
    everything = complete("")
    assert len(everything) > 0 and all(title for _, title in everything)
    name = everything[-1][0]
    assert name in [found for found, _ in complete(name[:3])]
    assert complete("no such name") == []


def test_a_shell_is_offered_them() -> None:
    assert completed("lamforge rtl --engine u") == ["u280", "u55c"]
    assert "zero-t4" in completed("lamforge offload run zero")
    assert completed("lamforge list eng") == ["engines"]
