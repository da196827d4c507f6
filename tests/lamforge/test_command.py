"""The command at its border: sentences, exit codes, JSON on standard output alone, files whole or not at all."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwsim.arch.assembly import parse_program
from hwsim.arch.isa import End, Loop, Scalar
from hwsim.arch.program import Program
from hwsim.errors import ConfigError, SpecError
from lamforge.cli.commands import COMMANDS, app
from lamforge.cli.console import Terminal, answer, emit
from lamforge.cli.errors import BUG, FULL_TRACEBACK, INTERRUPTED, REFUSED, exit_code_of
from lamforge.cli.main import main

INSTRUCTIONS = (Loop(count=3, length=1), Scalar(function=0, target=3, immediate=-1), End())
SYMBOLS = ("layers", "layer {}", "")


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Return (exit code, standard output, standard error) of the command."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    captured = capsys.readouterr()
    code = stop.value.code
    assert isinstance(code, int)
    return code, captured.out, captured.err


@pytest.fixture
def program_file(tmp_path: Path) -> Path:
    program = Program(
        name="decode",
        words=tuple(instruction.encode() for instruction in INSTRUCTIONS),
        symbols=SYMBOLS,
        buffers=(),
        rows=1,
        sequences=1,
        caches=1,
        input_row_bytes=1024,
        sinks=4,
        window=252,
        ring_start=4,
        max_position=100,
        isa="",
        engine="",
        weights="",
    )
    path = tmp_path / "decode.prog"
    program.save(path)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output
    assert "Example" in result.output


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([], capsys)
    assert (code, err) == (0, "")
    assert all(command in out for command in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["--version"], capsys)
    assert code == 0
    assert out.startswith("lamforge 0.")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["disasm"], "Missing argument 'PROGRAM|WORD...' (see `lamforge disasm --help`)"),
        (["disasm", "--speed"], "No such option: --speed (see `lamforge disasm --help`)"),
        (["disassemble"], "No such command 'disassemble'"),
        (["disasm", "xyz"], "Source must be a program file or words of 32 hexadecimal digits, not 'xyz'"),
        (["disasm", "0" * 32], "Word 0 must be an instruction: Instruction word must have check byte 0xa5"),
    ],
)
def test_refusals_are_one_sentence(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(arguments, capsys)
    assert code == REFUSED
    assert out == ""
    assert err.startswith(text)
    assert err.count("\n") == 1


def refuse() -> None:
    raise ConfigError("Engine tile.ports must be a power of two, not 3")


def fail() -> None:
    raise IndexError("list index\nout of range")


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("function", "code", "text"),
    [
        (refuse, REFUSED, "Engine tile.ports must be a power of two, not 3\n"),
        (
            fail,
            BUG,
            "Lamforge failed with IndexError: list index out of range (this is a bug; LAMFORGE_FULL_TRACEBACK=1 shows where)\n",
        ),
        (interrupt, INTERRUPTED, "Interrupted\n"),
        (int, 0, ""),
    ],
)
def test_exit_codes(function: object, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(function) == code
    assert capsys.readouterr().err == text


def test_tracebacks_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FULL_TRACEBACK, "1")
    with pytest.raises(ConfigError):
        exit_code_of(refuse)
    with pytest.raises(IndexError):
        exit_code_of(fail)


def shell(arguments: str) -> tuple[int, str]:
    """Return (exit code, standard error) of the command in a process of its own; `lamforge` stands for it."""
    command = arguments.replace("lamforge", f"{shlex.quote(sys.executable)} -m lamforge")
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


WORD = f"{End().encode():032x}"


@pytest.mark.parametrize(
    ("arguments", "err"),
    [
        (f"disasm {WORD} > /dev/full", "Output cannot be written: No space left on device\n"),
        ("--help > /dev/full", "Output cannot be written: No space left on device\n"),
        (f"disasm {WORD} >&-", "Output cannot be written: Bad file descriptor\n"),
        (f"disasm {WORD} >&- 2>&- <&-", ""),
        ("disasm xyz 2> /dev/full", ""),
    ],
)
def test_streams_that_cannot_be_written_are_refused(arguments: str, err: str) -> None:
    assert shell(f"lamforge {arguments}") == (REFUSED, err)


def test_a_closed_pipe_is_one_sentence() -> None:
    code, err = shell(f"set -o pipefail; lamforge disasm {' '.join([WORD] * 2000)} | true")
    assert (code, err) == (REFUSED, "Output cannot be written: Broken pipe\n")


def test_work_goes_on_where_nobody_hears_of_it(tmp_path: Path) -> None:
    for closed in ("2> /dev/full", "2>&-"):
        target = tmp_path / "text"
        assert shell(f"lamforge disasm {WORD} -o {target} {closed}") == (0, "")
        assert target.read_text() == "end\n"


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code, err = shell(f"cd {tmp_path}/gone; rmdir {tmp_path}/gone; lamforge disasm {WORD}")
    sentence = "Current folder must be one that can be used, which it is not (No such file or directory): change to another\n"
    assert (code, err) == (REFUSED, sentence)


STOPPED = [(signal.SIGINT, 130, "Interrupted\n"), (signal.SIGTERM, 143, "Terminated\n"), (signal.SIGHUP, 129, "Hung up\n")]


@pytest.mark.parametrize(("number", "code", "text"), STOPPED)
def test_a_signal_in_the_first_moment_is_one_sentence(tmp_path: Path, number: int, code: int, text: str) -> None:
    (tmp_path / "typer.py").write_text(f"import os, time\nos.kill(os.getpid(), {number})\ntime.sleep(20)\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from lamforge.cli.main import main; main()"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (code, "", text)


LOST = """
import contextlib, ctypes, os, sys, time
import lamforge.cli.commands
from lamforge.cli.main import main

def ask():
    os.kill(os.getpid(), int(sys.argv[2]))

class Deleted:
    def __del__(self):
        ask()

def lose_in_a_callback():
    ctypes.CFUNCTYPE(None)(ask)()

def lose_in_a_deletion():
    Deleted()

def lose_in_what_catches_all():
    with contextlib.suppress(BaseException):
        ask()

def lose_twice():
    lose_in_what_catches_all()
    with contextlib.suppress(BaseException):
        time.sleep(5)
        print("not stopped")

class HalfMade:
    def __init__(self):
        ask()
        self.is_whole = True

    def __del__(self):
        assert self.is_whole

def leave_half_made():
    HalfMade()

def take_for_a_failure():
    try:
        ask()
    except BaseException:
        raise RuntimeError("It failed")

def run(arguments):
    try:
        globals()[sys.argv[1]]()
        if "at_once" not in sys.argv:
            time.sleep(5)
            print("not stopped")
    finally:
        if sys.exception():
            # Longer than it takes until somebody looks whether the command ends.
            time.sleep(0.2)
        print("cleared away")

lamforge.cli.commands.run = run
main(["list"])
"""
LOSSES = (
    *("lose_in_a_callback", "lose_in_a_deletion", "lose_in_what_catches_all", "lose_twice", "take_for_a_failure"),
    *("leave_half_made", "ask"),
)


@pytest.mark.parametrize(("number", "code", "text"), STOPPED)
def test_a_signal_ends_the_command_and_lets_it_clear_away(number: int, code: int, text: str) -> None:
    command = [sys.executable, "-c", LOST, "lose_in_a_callback", str(int(number))]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (code, "cleared away\n", text)


@pytest.mark.parametrize(
    ("loss", "end"), [*((loss, "") for loss in LOSSES), ("lose_in_what_catches_all", "at_once"), ("take_for_a_failure", "at_once")]
)
def test_a_signal_that_is_lost_on_its_way_ends_the_command_too(loss: str, end: str) -> None:
    command = [sys.executable, "-c", LOST, loss, str(int(signal.SIGTERM)), end]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (143, "cleared away\n", "Terminated\n")


@pytest.mark.parametrize(("signals", "before"), [(1, "loaded\n"), (2, "")])
def test_what_is_being_loaded_is_loaded_to_its_end(tmp_path: Path, signals: int, before: str) -> None:
    """Libraries abort the process where an exception reaches what they do first; whoever asks twice does not wait."""
    lines = ["import os, time", f"for _ in range({signals}):", "    os.kill(os.getpid(), 15)", "time.sleep(0.2)", "print('loaded')"]
    (tmp_path / "library.py").write_text("\n".join(lines))
    program = LOST.replace("import contextlib", f"sys_path = {str(tmp_path)!r}\nimport contextlib")
    program = program.replace("def ask():", "sys.path.insert(0, sys_path)\n\ndef load():\n    import library\n\ndef ask():")
    found = subprocess.run([sys.executable, "-c", program, "load", "15"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (143, f"{before}cleared away\n", "Terminated\n")


def test_what_is_being_compiled_is_compiled_to_its_end() -> None:
    text = "import os, time; os.kill(os.getpid(), 15); time.sleep(0.2); print('compiled')"
    program = LOST.replace(
        "def ask():", f"def compile_it():\n    exec({text!r}, {{'__name__': 'llvmlite.binding.ffi'}})\n\ndef ask():"
    )
    found = subprocess.run([sys.executable, "-c", program, "compile_it", "15"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (143, "compiled\ncleared away\n", "Terminated\n")


def test_little_is_loaded_before_signals_are_taken() -> None:
    """Without what `site` and the script of the command load itself."""
    root = str(Path(__file__).parents[2])
    program = f"import __future__, os, re, signal, sys; sys.path.insert(0, {root!r}); known = {{*sys.modules}}"
    program += "; import lamforge.cli.main; print(*sorted({*sys.modules} - known))"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["lamforge", "lamforge.cli", "lamforge.cli.main"]


def test_a_signal_in_code_that_is_made_of_a_text_has_its_exit_code(tmp_path: Path) -> None:
    """Python ends by SIGINT when a KeyboardInterrupt has left `exec`, in which dataclasses and Numba make functions."""
    lines = ["import lamforge.cli.commands as c", "from lamforge.cli.main import main"]
    lines += [
        f"c.run = lambda _: exec('import os, time; os.kill(os.getpid(), {int(signal.SIGTERM)}); time.sleep(5)')",
        "main(['list'])",
    ]
    (tmp_path / "called.py").write_text("\n".join(lines))
    found = subprocess.run(
        [sys.executable, "-m", "called"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (143, "Terminated\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    program = "from lamforge.cli.main import main; import os, lamforge.cli.commands as c; c.run = lambda _: os.kill(os.getpid(), 1)"
    found = subprocess.run(["nohup", sys.executable, "-c", f"{program}; main(['list'])"], capture_output=True, check=False)
    assert found.returncode == 0


def fill() -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "kept/model.bin")


def test_a_full_disk_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(fill) == REFUSED
    assert capsys.readouterr().err == "File 'kept/model.bin' cannot be used: No space left on device\n"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "build"), REFUSED, "File 'build' cannot be used: Permission denied\n"),
        (OSError(errno.EROFS, "Read-only file system", "x"), REFUSED, "File 'x' cannot be used: Read-only file system\n"),
        (OSError(errno.EMFILE, "Too many open files", "x"), REFUSED, "File 'x' cannot be used: Too many open files\n"),
        (OSError(errno.EINVAL, "Invalid argument", "x"), BUG, "Lamforge failed with OSError: "),
        (MemoryError("Unable to allocate 11.9 GiB"), REFUSED, "Memory must hold what is asked for, which it does not (Unable to a"),
        (MemoryError(), REFUSED, "Memory must hold what is asked for, which it does not (it is full)\n"),
        (EOFError("No data left in file"), BUG, "Lamforge failed with EOFError: No data left in file (this is a bug; "),
    ],
)
def test_what_the_system_refuses_is_no_bug(error: Exception, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fail_so() -> None:
        raise error

    assert exit_code_of(fail_so) == code
    assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize("arguments", [["disasm", "x" * 100_000], ["x" * 100_000], ["disasm", "--" + "x" * 100_000]])
def test_a_refusal_never_prints_a_long_value_in_full(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(arguments, capsys)
    assert code == REFUSED
    assert len(err) < 1100
    assert "xxx…" in err


def test_disasm_prints_text_that_parses_back(program_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["disasm", str(program_file)], capsys)
    assert (code, err) == (0, "")
    assert parse_program(out) == INSTRUCTIONS
    assert "  scalar function=add target=3 immediate=-1  # layer {}" in out


def test_disasm_as_json_to_a_file(program_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "text.json"
    code, out, _ = run(["disasm", str(program_file), "--json", "-o", str(target)], capsys)
    assert (code, out) == (0, "")
    lines = json.loads(target.read_text())["instructions"]
    texts = ["loop count=3 length=1", "scalar function=add target=3 immediate=-1", "end"]
    assert [line["text"] for line in lines] == texts
    assert [line["symbol"] for line in lines] == list(SYMBOLS)


def test_disasm_of_words(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["disasm", f"{End().encode():#034x}", f"{End().encode():032X}"], capsys)
    assert (code, out) == (0, "end\nend\n")


def test_a_corrupted_word_is_named(program_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = INSTRUCTIONS[1].encode()
    program_file.write_text(program_file.read_text().replace(f"{word:032x}", f"{word ^ 1 << 70:032x}"))
    code, _, err = run(["disasm", str(program_file)], capsys)
    assert code == REFUSED
    assert err.startswith("Word 1 (layer {}) must be an instruction: ")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(SpecError, match="Output must be a path that can be written, not "):
        emit("text", tmp_path / "taken")
    (tmp_path / "file").write_text("before")
    with pytest.raises(SpecError, match="Output must be a path that can be written, not "):
        emit("text", tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


def test_json_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal() as listener:
        listener.progress("count", 0.5)
        listener.say("A sentence.")
    answer(3, str, lambda cycles: {"cycles": cycles}).show(as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"cycles": 3}
    assert "count" in captured.err and "A sentence.\n" in captured.err


def test_circuits_are_written_and_estimated_without_pytorch() -> None:
    """Which would be most of the time that a refusal takes."""
    rooms = "lamforge.flow.rtl, lamforge.flow.synth, reports.documents.circuit, reports.text.circuit"
    code = f"import sys, {rooms}; print([name for name in ('torch', 'numba') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
