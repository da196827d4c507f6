"""A file or a folder is there whole or not at all, nothing is left beside it, and what fails is one sentence."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hwsim.errors import SpecError
from hwsim.whole_files import only_writer, whole_file, whole_folder, write_text

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refusal(target: Path, reason: str) -> str:
    return f"Output must be a path that can be written, not {str(target)!r} ({reason})"


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


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


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "taken").mkdir()
    for target, reason in ((tmp_path / "file" / "below", "Not a directory"), (tmp_path / "taken", "Is a directory")):
        with pytest.raises(SpecError) as found:
            write_text(target, "text")
        assert str(found.value) == refusal(target, reason)
    for keeps_others in (False, True):
        for target in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(SpecError) as found, whole_folder(target, keeps_others=keeps_others):
                pass
            assert str(found.value) == refusal(target, "Not a directory")
    assert content(tmp_path) == {"file": "before"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


def test_a_long_path_is_shown(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as found:
        write_text(tmp_path / ("n" * 5000), "text")
    assert len(str(found.value)) < 300
    assert str(found.value).endswith("…' (File name too long)")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """In the block, also in a file that is written whole inside a folder: the sentence names what the user asked for."""
    target = tmp_path / "new" / "model"
    with pytest.raises(SpecError) as found, whole_file(target) as part:
        part.write_text("half")
        raise FULL
    assert str(found.value) == refusal(target, "No space left on device")
    with pytest.raises(SpecError) as found, whole_folder(target) as folder, whole_file(folder / "weights"):
        raise FULL
    assert str(found.value) == refusal(target, "No space left on device")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SpecError, match="^Recipe must be"), whole_folder(target):
        raise SpecError("Recipe must be right")


@pytest.mark.parametrize("keeps_others", [False, True])
def test_a_folder_is_replaced_or_gets_new_files(tmp_path: Path, keeps_others: bool) -> None:
    target = tmp_path / "out"
    for text in ("first", "second"):
        with whole_folder(target, keeps_others=keeps_others) as folder:
            (folder / "deep").mkdir()
            for name in ("a", f"deep/{text}"):
                (folder / name).write_text(text)
            assert not target.exists() or content(target)["a"] == "first"
    others = {"deep/first": "first"} if keeps_others else {}
    assert content(target) == {"a": "second", "deep/second": "second"} | others
    assert list(tmp_path.iterdir()) == [target]
    (tmp_path / "plain").mkdir()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_is_replaced_where_nothing_else_is_said(tmp_path: Path) -> None:
    for name in "ab":
        with whole_folder(tmp_path / "out") as folder:
            (folder / name).write_text(name)
    assert content(tmp_path / "out") == {"b": "b"}


@pytest.mark.parametrize("keeps_others", [False, True])
def test_a_move_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps_others: bool) -> None:
    target = tmp_path / "out"
    target.mkdir()
    for name in "abc":
        (target / name).write_text("before")
    rename, left = Path.rename, [3 if keeps_others else 1]

    def failing(self: Path, place: Path) -> Path:
        left[0] -= 1
        if left[0] == -1:
            raise FULL
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(SpecError, match="No space left"), whole_folder(target, keeps_others=keeps_others) as folder:
        (folder / "0new").mkdir()
        for name in ("0new/file", *"abc"):
            (folder / name).write_text("after")
    assert content(tmp_path) == {f"out/{name}": "before" for name in "abc"}
    assert sorted(path.name for path in target.iterdir()) == ["a", "b", "c"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_device_is_written_to_and_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: object) -> None:
        # Broken code must fail here, and not take the machine's devices away from everybody.
        raise AssertionError("A device must not be replaced by a file.")

    monkeypatch.setattr(os, "replace", replace)
    null = Path("/dev/null")
    write_text(null, "gone")
    assert null.is_char_device()
    with pytest.raises(SpecError, match="Output must be a path that can be written, not '/dev/full' .No space left on device."):
        write_text(Path("/dev/full"), "too much")
    assert Path("/dev/full").is_char_device()


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def test_folders_that_are_missing_are_made(tmp_path: Path) -> None:
    assert write_text(tmp_path / "a" / "b" / "file", "text").read_text() == "text"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "after"


BUSY = "Output {!r} is being written by another command: wait until that one ends, or choose another output"
WRITING = """
import sys
from pathlib import Path
from hwsim.whole_files import only_writer, whole_file, whole_folder
with {"file": whole_file, "folder": whole_folder, "pieces": only_writer}[sys.argv[1]](Path(sys.argv[2])) as part:
    (part or Path(sys.argv[2])).parent.joinpath("half").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def writing(kind: str, target: Path) -> subprocess.Popen[str]:
    """Return a process that is writing a target, and goes on until its standard input is closed."""
    command = [sys.executable, "-c", WRITING, kind, str(target)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    return process


def test_a_second_command_is_refused_and_the_first_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for writer in (only_writer, whole_folder):
        with writer(target):
            for again in (only_writer, whole_folder):
                if again is writer:
                    with pytest.raises(SpecError) as found, again(target):
                        pass
                    assert str(found.value) == BUSY.format(str(target))
        with writer(target):
            pass


@pytest.mark.parametrize("kind", ["file", "folder", "pieces"])
def test_what_a_killed_command_leaves_goes_with_the_next_one(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "deep" / "out"
    with writing(kind, target) as process:
        if kind != "file":
            with pytest.raises(SpecError) as found, only_writer(target) if kind == "pieces" else whole_folder(target):
                pass
            assert str(found.value) == BUSY.format(str(target))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    if kind == "file":
        write_text(target, "whole")
    elif kind == "folder":
        with whole_folder(target) as part:
            assert list(part.iterdir()) == []
            (part / "model").write_text("whole")
    else:
        with only_writer(target):
            (target / "model").write_text("whole")
    (target.parent / "half").unlink(missing_ok=True)
    assert set(content(tmp_path).values()) == {"whole"}
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_a_second_writer_of_a_file_waits_for_the_first_one(tmp_path: Path) -> None:
    target = tmp_path / "cached"
    with whole_file(target) as part:
        part.write_text("first")
        second = threading.Thread(target=write_text, args=(target, "second"))
        second.start()
        second.join(0.1)
        assert second.is_alive() and not target.exists()
    second.join()
    assert target.read_text() == "second"
    assert list(tmp_path.iterdir()) == [target]
