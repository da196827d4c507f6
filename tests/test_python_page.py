"""The examples of docs/python.md, run in order in an empty folder, print what the page says."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_examples(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(empty_folder)
    text = re.sub(r"^```.*$", "", PAGE.read_text(), flags=re.M)
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.DocTestRunner(optionflags=flags).run(examples, out=said.append)
    assert result.attempted > 30
    assert result.failed == 0, "".join(said)


def test_the_import_is_light() -> None:
    """It loads no array library, no PyTorch and no Amaranth; verbs that need none load none."""
    heavy = ("numpy", "torch", "amaranth", "numba", "pydantic", "typer")
    code = f"import sys, lamforge; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
    code = "import sys, lamforge; lamforge.simulate; print([name for name in ('torch', 'amaranth') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_every_verb_is_documented() -> None:
    import lamforge

    for name in lamforge.__all__:
        verb = getattr(lamforge, name)
        members = [verb] if callable(verb) else [getattr(verb, each) for each in verb.__all__ if each.islower()]
        for member in members:
            assert member.__doc__ and len(member.__doc__) > 60, f"{name}: {member}"
    with pytest.raises(AttributeError, match="has no attribute 'simulat'"):
        _ = lamforge.simulat
