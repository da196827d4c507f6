"""A file is there whole or not at all, and nothing is left beside it."""

from pathlib import Path

import pytest

from hwsim.whole_file import whole_file


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result.txt"
    with whole_file(target) as part:
        part.write_text("first")
        assert not target.exists()
    assert target.read_text() == "first"
    with whole_file(target) as part:
        part.write_text("second")
        assert target.read_text() == "first"
    assert target.read_text() == "second"
    assert list(target.parent.iterdir()) == [target]
    # The mode is that of any new file, not a private one.
    (target.parent / "other").touch()
    assert target.stat().st_mode == (target.parent / "other").stat().st_mode


def test_an_error_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError), whole_file(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory|File exists"), whole_file(tmp_path / "file" / "result.txt"):
        pass
