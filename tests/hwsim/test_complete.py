"""A format or an instruction that is added without its rows fails when it is imported, with the place to add them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIZES, FORMATS = "hwsim/arch/stream_sizes.py", "hwsim/arch/formats/weights.py"
MEMBER = (SIZES, "    KV8 = 5\n", "    KV8 = 5\n    W3 = 6\n")
LAST = "    Format.KV4: StreamSizes("
ROW = (SIZES, LAST, f"    Format.W3: StreamSizes(code_bits=3, group=32, group_words=1, run_groups=8),\n{LAST}")
SLOW = (ROW[0], LAST, ROW[2].replace("run_groups=8", "run_groups=8, word_cycles=3"))
PACKER = (FORMATS, "Format.W8: W8()", "Format.W8: W8(), Format.W3: W8()")
CACHE = (SIZES, "    KV8 = 1\n", "    KV8 = 1\n    KV2 = 2\n")
ISA = "hwsim/arch/isa.py"
INSTRUCTION = (
    (ISA, "class Scalar(", 'class Gather(Instruction, opcode=20, unit=Unit.MOVER):\n    """Gather."""\n\n\nclass Scalar('),
    (ISA, "    Store,\n    Scalar,\n", "    Store,\n    Gather,\n    Scalar,\n"),
)
RULES = ("hwsim/machine/rules.py", "require_rows(_RULES,", "require_rows([*_RULES, *UNIT_INSTRUCTIONS],")
WORK = ("hwsim/machine/time/work.py", "require_rows(_COLUMNS,", "require_rows([*_COLUMNS, *UNIT_INSTRUCTIONS],")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the checks need, with a compiler that compiles nothing: no table needs its loops."""
    folder = tmp_path_factory.mktemp("tree")
    unread = shutil.ignore_patterns("__pycache__", "specs", "*.nb*")
    for room in ("hwsim", "rtl", "testbenches"):
        shutil.copytree(ROOT / room, folder / room, ignore=unread)
    (folder / "hwsim/compiled.py").write_text("def compiled(function, **_):\n    return function\n\n\ncompiled_part = compiled\n")
    return folder


def imported(tree: Path, module: str, *edits: tuple[str, str, str]) -> str:
    """Import a module in the copy with edits, and return the last line of what goes wrong."""
    before = {name: (tree / name).read_text() for name, _, _ in edits}
    try:
        for name, old, new in edits:
            text = (tree / name).read_text()
            assert text.count(old) == 1, f"{name} must hold {old!r} once"
            (tree / name).write_text(text.replace(old, new))
        command = [sys.executable, "-B", "-c", f"import {module}"]
        result = subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False)
    finally:
        for name, text in before.items():
            (tree / name).write_text(text)
    return "" if result.returncode == 0 else result.stderr.strip().splitlines()[-1]


def missing(what: str, file: str) -> str:
    return f"hwsim.errors.IsaError: {what}: add a row in {file}"


@pytest.mark.parametrize(
    ("module", "edits", "what", "file"),
    [
        ("hwsim.arch.formats", [MEMBER], "Format W3 must have sizes", SIZES),
        ("hwsim.arch.formats", [CACHE], "CacheFormat KV2 must have a format of its keys, with sizes", SIZES),
        ("hwsim.arch.formats", [MEMBER, ROW], "Format W3 must have a packer", FORMATS),
        (
            "hwsim.machine.time.work",
            [MEMBER, SLOW],
            "Format W3 must have data words that take one or two cycles",
            "hwsim/machine/time/work.py",
        ),
        (
            "hwsim.machine.meaning",
            [MEMBER, ROW, PACKER],
            "Format W3 must have a loop that sums its products",
            "hwsim/machine/meaning/weights.py",
        ),
        (
            "testbenches.random_streams",
            [MEMBER, ROW],
            "Format W3 must have exponents of random rows",
            "testbenches/random_streams.py",
        ),
        ("rtl.matrix.lane", [MEMBER, ROW], "Format W3 must have a decoder in the slices of the circuit", "rtl/matrix/lane.py"),
    ],
)
def test_a_format_without_its_row_fails_at_import(tree: Path, module: str, edits: list, what: str, file: str) -> None:
    assert imported(tree, module, *edits) == missing(what, file)


@pytest.mark.parametrize(
    ("module", "edits", "what", "file"),
    [
        ("hwsim.machine.rules", [], "rules that say what it may ask for", "hwsim/machine/rules.py"),
        ("hwsim.machine.meaning", [RULES], "a meaning", "hwsim/machine/meaning/execution.py"),
        ("hwsim.machine.time.work", [RULES], "work for the time model", "hwsim/machine/time/work.py"),
        ("hwsim.machine.energy.activity", [RULES, WORK], "an activity for the energy", "hwsim/machine/energy/activity.py"),
    ],
)
def test_an_instruction_without_its_row_fails_at_import(tree: Path, module: str, edits: list, what: str, file: str) -> None:
    assert imported(tree, module, *INSTRUCTION, *edits) == missing(f"Instruction Gather must have {what}", file)


def test_the_copy_itself_is_whole(tree: Path) -> None:
    modules = ("hwsim.machine.energy.activity", "hwsim.machine.meaning", "testbenches.random_streams", "rtl.matrix.lane")
    assert imported(tree, ", ".join(modules)) == ""
