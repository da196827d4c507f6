"""Folders of compiled programs with a few things changed at random: refused in a sentence, at once, or they run."""

import collections
import dataclasses
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import lamforge
from hwsim.arch.config import load_engine
from hwsim.arch.isa import Format, decode
from hwsim.errors import LamforgeError
from hwsim.host.inputs import Inputs
from hwsim.memory.models import IDEAL
from lamforge.flow.programs import IMAGE, Programs
from models.attention import parse
from models.shaped import shaped_model
from testbenches.simulated import Simulated
from tests.bounds import accepted
from tests.damage import damage_bytes, damage_file, damage_folder, damage_json
from tests.random_model import tiny_config

FILES = ("decode.program", "decode.program", "prefill.program", "prefill.program", "origin.json", "engine.yaml", IMAGE)
PROGRAMS = ("decode.program", "prefill.program")
LARGE = (-(10**30), -1, 10**12, 10**18, 10**30)
"""Numbers that no field can have."""
MEMORIES = ("ideal", "ideal", "stalling:3", "hbm2")


def write_sources(folder: Path) -> None:
    """Write the programs of a small model."""
    made = shaped_model(tiny_config(), format=Format.W4, head=Format.W8, pattern=parse("lambda:4+12"), seed=1)
    lamforge.compile(made, engine="tiny", output=folder / "programs")


def changed_word(word: int, rng: random.Random) -> int:
    """Return an instruction with one of its fields changed, as a word that decodes."""
    instruction = decode(word)
    fields = [*instruction.layout, "wait", "signal", "registers"]
    field = rng.choice(fields)
    if field == "registers":
        changes: dict[str, object] = {"registers": tuple(rng.choice((0, 1, 2, 3, 15)) for _ in range(3))}
    elif isinstance(field, str):
        changes = {field: rng.randrange(16)}
    elif field.kind is not None:
        changes = {field.name: rng.choice(list(field.kind))}
    else:
        low, high = field.limits
        value = getattr(instruction, field.name)
        drawn = (low, high, 0, 1, value + 1, value - 1, value * 2, value // 2, rng.randint(low, high), rng.randint(low, high) >> 8)
        changes = {field.name: min(max(rng.choice(drawn), low), high)}
    return dataclasses.replace(instruction, **changes).encode()


def damage_program(text: str, rng: random.Random) -> bytes:
    """Return the text of a program file with a field, a word or a line that is another."""
    kind = rng.randrange(10)
    if kind == 0:
        return damage_bytes(text.encode(), rng)
    magic, fields, *lines = text.splitlines()
    if kind < 4:
        changed = damage_json(fields.encode(), rng)
        return b"\n".join([magic.encode(), changed, *(line.encode() for line in lines), b""])
    place = rng.randrange(len(lines))
    word, _, symbol = lines[place].partition(" ")
    if kind < 8:
        for _ in range(rng.choice((1, 1, 2, 5))):
            place = rng.randrange(len(lines))
            word, _, symbol = lines[place].partition(" ")
            lines[place] = f"{changed_word(int(word, 16), rng):032x} {symbol}"
    elif kind == 8:
        change = rng.randrange(4)
        if change == 0:
            del lines[place]
        elif change == 1:
            lines.insert(rng.randrange(len(lines)), lines[place])
        elif change == 2:
            other = rng.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        else:
            lines = lines * rng.choice((2, 40))
    else:
        lines[place] = rng.choice(
            (
                word,
                f"{word}{symbol}",
                f"{word.upper()} {symbol}",
                f"-{word[1:]} {symbol}",
                f"{word[:15]}_{word[16:]} x",
                "",
                " " * 33,
            )
        )
    return "\n".join([magic, fields, *lines, ""]).encode()


def damaged(folder: Path, rng: random.Random) -> str:
    """Damage a folder of programs; return what was damaged."""

    def damage(path: Path, rng: random.Random) -> None:
        if path.suffix == ".program":
            path.write_bytes(damage_program(path.read_text(), rng))
        else:
            damage_file(path, rng)

    return damage_folder(folder, lambda: rng.choice(FILES), rng, share_of_entries=0.1, damage=damage)


def with_right_digests(folder: Path) -> None:
    """Say in both programs that they are for the engine beside them, so that what lies behind the digests is tried."""
    if not all((folder / name).is_file() for name in FILES):
        return
    try:
        engine = load_engine(str(folder / "engine.yaml"))
        for name in ("decode.program", "prefill.program"):
            magic, fields, *rest = (folder / name).read_text().split("\n")
            document = json.loads(fields) | {"engine": engine.digest}
            (folder / name).write_text("\n".join([magic, json.dumps(document), *rest]))
    except (LamforgeError, OSError, ValueError, TypeError, RecursionError):
        return


def computed(folder: Path, name: str, rng: random.Random) -> bool:
    """Compute with the programs of a folder, at a position that they can be run at."""
    programs = Programs.load(folder, has_image=True)
    assert programs.image is not None
    program = programs.program(name)
    rows = np.array([[rng.randrange(-(1 << 20), 1 << 20) for _ in range(64)] for _ in range(min(program.rows, 64))], np.int32)
    position = rng.choice((0, program.steady_position))
    Simulated(programs.engine).run(program, programs.image, Inputs(position=position, rows=rows), IDEAL)
    return True


def outcome(seed: int, number: int, sources: Path, folder: Path) -> str:
    """Damage programs and use them, in an empty folder that is empty again then; return how far they came."""
    rng = random.Random(f"{seed}:{number}")
    case = Path(shutil.copytree(sources / "programs", folder / "case"))
    print(f"case {number} of seed {seed}: {damaged(case, rng)}")
    if rng.random() < 0.5:
        with_right_digests(case)
    name, memory, position = rng.choice(("decode", "prefill")), rng.choice(MEMORIES), rng.choice((None, None, 0, 1, 40))
    for program in ("decode.program", "prefill.program"):
        listing = accepted(lambda program=program: lamforge.disasm(case / program))
        assert listing is None or len(listing.text) > 0
    timing = accepted(lambda: lamforge.simulate(case, program=name, memory=memory, position=position))
    found = "refused"
    if timing is not None:
        assert timing.cycles > 0 and timing.energy.card_j > 0 and timing.token_per_s > 0
        found = "computed" if accepted(lambda: computed(case, name, rng)) else "simulated"
    shutil.rmtree(case)
    return found


def check(seed: int, count: int, sources: Path, folder: Path) -> None:
    """Damage programs and use them; neither may all of them be refused, nor all run."""
    found = collections.Counter(outcome(seed, number, sources, folder) for number in range(count))
    print(dict(found))
    assert min(found[name] for name in ("refused", "computed")) > count // 20


def warm(sources: Path) -> None:
    """Load and compile what takes its time once."""
    for memory in MEMORIES:
        lamforge.simulate(sources / "programs", memory=memory)
    computed(sources / "programs", "decode", random.Random(0))


def places_of_numbers(document: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], int | float]]:
    """Yield where the numbers of a document are, and what they are."""
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from places_of_numbers(value, (*path, key))
    elif isinstance(document, int | float):
        yield path, document


def set_number(document: Any, path: tuple[str | int, ...], value: int) -> None:
    """Put a number into a place of a document."""
    *outer, last = path
    for key in outer:
        document = document[key]
    document[last] = value


def rewrite(path: Path, number: tuple[str | int, ...], value: int) -> None:
    """Change a number of a program file or of an engine's file."""
    if path.suffix == ".yaml":
        document = yaml.safe_load(path.read_text())
        set_number(document, number, value)
        path.write_text(yaml.safe_dump(document))
    else:
        magic, fields, *lines = path.read_text().split("\n")
        document = json.loads(fields)
        set_number(document, number, value)
        path.write_text("\n".join([magic, json.dumps(document), *lines]))


def use(case: Path) -> str:
    """Use all that a folder of programs is good for; return how far that came."""
    listings = [accepted(lambda name=name: lamforge.disasm(case / name)) for name in PROGRAMS]
    timings = [accepted(lambda name=name: lamforge.simulate(case, program=name)) for name in ("decode", "prefill")]
    if None in timings:
        return "refused"
    assert None not in listings
    is_computed = [accepted(lambda name=name: computed(case, name, random.Random(0))) for name in ("decode", "prefill")]
    return "simulated" if None in is_computed else "computed"


def outcomes(sources: Path, folder: Path, files: Sequence[str], *, has_others: bool) -> Iterator[tuple[str, str]]:
    """Yield what becomes of each number of some files, which in all of them is one that no field can have, or that of another."""
    path = sources / "programs" / files[0]
    document = yaml.safe_load(path.read_text()) if path.suffix == ".yaml" else json.loads(path.read_text().split("\n")[1])
    numbers = dict(places_of_numbers(document))
    values = {int(number) for number in numbers.values()} if has_others else LARGE
    for number in numbers:
        for value in sorted({*values} - {numbers[number]}):
            case = Path(shutil.copytree(sources / "programs", folder / "case"))
            for file in files:
                rewrite(case / file, number, value)
            with_right_digests(case)
            found = use(case)
            name = ".".join(str(part) for part in number if isinstance(part, str))
            print(f"{name} of {', '.join(files)} is {value}: {found}")
            yield name, found
            shutil.rmtree(case)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    warm(folder)
    return folder


@pytest.mark.parametrize("files", [("decode.program",), PROGRAMS, ("engine.yaml",)], ids=["decode", "programs", "engine"])
def test_no_number_is_taken_that_nothing_can_have(files: tuple[str, ...], sources: Path, tmp_path: Path) -> None:
    assert use(sources / "programs") == "computed"
    found = list(outcomes(sources, tmp_path, files, has_others=False))
    assert len(found) >= 15 * len(LARGE)
    assert {what for _, what in found} == {"refused"}


@pytest.mark.long
@pytest.mark.parametrize("files", [("decode.program",), PROGRAMS, ("engine.yaml",)], ids=["decode", "programs", "engine"])
def test_numbers_that_contradict_others_are_refused_or_run(files: tuple[str, ...], sources: Path, tmp_path: Path) -> None:
    """Each number is that of another field: ranges overlap, or end where they did not."""
    found = collections.Counter(what for _, what in outcomes(sources, tmp_path, files, has_others=True))
    assert found["refused"] > found["computed"] + found["simulated"]


def test_some_damaged_programs(seed: int, sources: Path, tmp_path: Path) -> None:
    check(seed, 40, sources, tmp_path)


@pytest.mark.long
def test_many_damaged_programs(seed: int, sources: Path, tmp_path: Path) -> None:
    check(seed, 1_000, sources, tmp_path)
