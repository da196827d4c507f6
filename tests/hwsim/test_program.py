"""Program files: what they hold is checked field by field, and what is none is refused in a sentence."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.isa import End, isa_digest
from hwsim.arch.program import Buffer, Program
from hwsim.errors import ProgramError

PROGRAM = Program(
    name="decode",
    words=(End().encode(),),
    symbols=("end",),
    buffers=(Buffer(name="input", offset=0, size=192),),
    rows=2,
    sequences=1,
    caches=3,
    input_row_bytes=64,
    sinks=4,
    window=12,
    ring_start=4,
    max_position=64,
    isa=isa_digest(),
    engine="",
    weights="",
)
ROWS = "Program must have rows of one sequence, or one of each sequence that has a cache"
NONE = "Program file must start with 'lamforge program 1' and hold its fields and words, not what is in text"


def test_a_program_is_read_back() -> None:
    assert Program.from_text(PROGRAM.to_text()) == PROGRAM
    empty = dataclasses.replace(PROGRAM, words=(), symbols=(), buffers=())
    assert Program.from_text(empty.to_text()) == empty
    odd = dataclasses.replace(PROGRAM, symbols=("a \u2028 b\x85\x0cc",))
    assert Program.from_text(odd.to_text()) == odd


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": 0}, "Program file 'text' rows must be an integer from 1 to 7, not 0"),
        ({"rows": "2"}, "Program file 'text' rows must be an integer from 1 to 7, not '2'"),
        ({"sequences": True}, "Program file 'text' sequences must be an integer from 1 to 7, not True"),
        ({"window": 0}, "Program file 'text' window must be an integer from 1 to 65536, not 0"),
        ({"sinks": -1}, "Program file 'text' sinks must be an integer from 0 to 65536, not -1"),
        ({"max_position": 1 << 40}, "Program file 'text' max_position must be an integer from 1 to 4294967296, not 1099511627776"),
        ({"input_row_bytes": 1.5}, "Program file 'text' input_row_bytes must be a multiple of 16 from 16 to 68719476736, not 1.5"),
        ({"isa": "x"}, "Program file 'text' isa must be hexadecimal digits, not 'x'"),
        ({"engine": None}, "Program file 'text' engine must be hexadecimal digits, not None"),
        ({"name": 3}, "Program file 'text' name must be text, not 3"),
        ({"speed": 3}, "Program file 'text' field must be one of its own such as 'sequences', not 'speed'"),
        ({"buffers": [3]}, "Program file 'text' buffer must be a mapping of name, offset and size, not 3"),
        (
            {"buffers": [{"name": "input", "offset": -1, "size": 192}]},
            "Program file 'text' buffer offset must be a multiple of 1024 from 0 to 68719475712, not -1",
        ),
        (
            {"buffers": [{"name": "input", "offset": 64, "size": 192}]},
            "Program file 'text' buffer offset must be a multiple of 1024 from 0 to 68719475712, not 64",
        ),
        (
            {"buffers": [{"name": "input", "offset": 0, "size": 10**30}]},
            f"Program file 'text' buffer size must be a multiple of 16 from 16 to 68719476736, not {10**30}",
        ),
        (
            {"buffers": [{"name": "input", "offset": 1024, "size": 1 << 36}]},
            "Buffer 'input' must end within the 68719476736 bytes of a side memory, not at 68719477760",
        ),
        (
            {"buffers": [{"name": name, "offset": 1024 * place, "size": 1040} for place, name in enumerate(("input", "output"))]},
            "Program must have buffers that lie apart, not 'input' up to byte 1040 and 'output' from 1024 on",
        ),
        (
            {"buffers": [{"name": "input", "offset": offset, "size": 192} for offset in (0, 1024)]},
            "Program must have one buffer of a name, not 2 called 'input'",
        ),
        (
            {"buffers": [{"name": "input", "offset": 0, "size": 112}]},
            "Program must have a buffer 'input' of the 128 bytes that its rows take or more, not of 112",
        ),
        (
            {"buffers": [{"name": "rotation", "offset": 0, "size": 8176}]},
            "Program must have a buffer 'rotation' of the 8192 bytes that its positions take or more, not of 8176",
        ),
        ({"rows": 4}, "Program must have a buffer 'input' of the 256 bytes that its rows take or more, not of 192"),
        ({"caches": 65537}, "Program file 'text' caches must be an integer from 1 to 65536, not 65537"),
        ({"rows": 8}, "Program file 'text' rows must be an integer from 1 to 7, not 8"),
        (
            {"input_row_bytes": 10**18 + 1},
            f"Program file 'text' input_row_bytes must be a multiple of 16 from 16 to 68719476736, not {10**18 + 1}",
        ),
        ({"sequences": 2, "caches": 4}, f"{ROWS}, not 2 of 2 with 4 caches"),
        ({"buffers": {}}, NONE),
        ({"sequences": 3}, f"{ROWS}, not 2 of 3 with 3 caches"),
        ({"sequences": 2}, f"{ROWS}, not 2 of 2 with 3 caches"),
        ({"ring_start": 3}, "Program must have its ring of 12 slots behind its 4 sinks and below slot 65536, not from 3 on"),
        (
            {"ring_start": 65525},
            "Program must have its ring of 12 slots behind its 4 sinks and below slot 65536, not from 65525 on",
        ),
    ],
)
def test_fields_that_are_refused(changes: dict[str, object], sentence: str) -> None:
    magic, fields, *words = PROGRAM.to_text().split("\n")
    text = "\n".join([magic, json.dumps(json.loads(fields) | changes), *words])
    with pytest.raises(ProgramError) as refusal:
        Program.from_text(text)
    assert str(refusal.value) == sentence


WORD = f"{End().encode():032x}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lamforge program 1", "lamforge program 2"),
        (WORD, WORD[:-1]),
        (WORD, f"0x{WORD[2:]}"),
        (WORD, f"-{WORD[1:]}"),
        (WORD, f"{WORD[:15]}_{WORD[16:]}"),
        (WORD, f"\u0660{WORD[1:]}"),
        (f"{WORD} end", WORD),
        (f"{WORD} end", ""),
        ('"rows": 2', '"rows": 2, "rows": 2'),
        ('"rows": 2', '"rows": NaN'),
        ('"rows": 2', '"rows": 2, "words": []'),
        ('"rows": 2', '"rows": ' + "[" * 10_000),
    ],
)
def test_texts_that_are_no_programs_are_refused(old: str, new: str) -> None:
    text = PROGRAM.to_text()
    assert old in text
    with pytest.raises(ProgramError) as refusal:
        Program.from_text(text.replace(old, new) + ("\n" if not new else ""))
    assert str(refusal.value) == NONE


def test_a_program_has_no_more_rows_than_its_engine() -> None:
    engine = load_engine("tiny")
    rows = engine.tile.tokens
    dataclasses.replace(PROGRAM, engine=engine.digest, rows=rows).check(engine)
    with pytest.raises(ProgramError, match=f"Program decode must have at most {rows} rows, as engine tiny has, not {rows + 1}"):
        dataclasses.replace(PROGRAM, engine=engine.digest, rows=rows + 1).check(engine)


def test_a_program_fits_the_memories_of_its_engine() -> None:
    engine = load_engine("tiny")
    # 128 words of 4 lanes of 4 bytes; 65536 beats of a slice, of which a cache of 16 slots takes 32.
    large = Buffer(name="input", offset=0, size=8192)
    program = dataclasses.replace(PROGRAM, engine=engine.digest, buffers=(large,), input_row_bytes=2048, caches=2048)
    program.check(engine)
    sentence = "input rows that fit the 2048 bytes of the residual memory of engine tiny, not of 2064 bytes"
    with pytest.raises(ProgramError, match=f"^Program decode must have {sentence}$"):
        dataclasses.replace(program, input_row_bytes=2064).check(engine)
    sentence = "caches that fit the 1048576 bytes behind each port of engine tiny, not 2049 of 16 slots"
    with pytest.raises(ProgramError, match=f"^Program decode must have {sentence}$"):
        dataclasses.replace(program, caches=2049).check(engine)


def test_a_program_has_as_many_words_as_the_largest_program_memory() -> None:
    def text(count: int) -> str:
        return PROGRAM.to_text().replace(f"{WORD} end\n", f"{WORD} end\n" * count)

    assert len(Program.from_text(text(4096)).words) == 4096
    with pytest.raises(ProgramError, match="^Program must have at most 4096 words, not 4097$"):
        Program.from_text(text(4097))
    code = Buffer(name="program.decode", offset=1024, size=32)
    program = dataclasses.replace(PROGRAM, buffers=(*PROGRAM.buffers, code), words=PROGRAM.words * 2, symbols=("end",) * 2)
    sentence = "Program must have a buffer 'program.decode' of the 48 bytes that its instructions take or more, not of 32"
    with pytest.raises(ProgramError, match=f"^{sentence}$"):
        dataclasses.replace(program, words=PROGRAM.words * 3, symbols=("end",) * 3)


def test_sequences_are_those_that_have_caches() -> None:
    slot = 4 | 2 << 16
    assert PROGRAM.slot_of(4, 2) == slot
    with pytest.raises(ProgramError, match="^Sequence must be 0 to 2, not 3$"):
        PROGRAM.slot_of(4, 3)
    with pytest.raises(ProgramError, match="^Sequence must be 0 to 0, not 1$"):
        dataclasses.replace(PROGRAM, sequences=2, caches=2).slot_of(4, 1)


def test_places_that_are_no_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b" " * ((1 << 20) + 1))
    sentences = {
        tmp_path / "pipe": "readable, not '{}' (it is no regular file)",
        Path("/dev/zero"): "readable, not '{}' (it is no regular file)",
        tmp_path: "readable, not '{}' (it is no regular file)",
        tmp_path / "none": "readable, not '{}' (No such file or directory)",
        tmp_path / "binary": "readable, not '{}' (it is no UTF-8)",
    }
    for path, sentence in sentences.items():
        with pytest.raises(ProgramError) as refusal:
            Program.load(path)
        assert str(refusal.value) == f"Program file must be {sentence.format(path)}"
    with pytest.raises(ProgramError, match="Program file must have at most 1048576 bytes, not more as '.*large' has"):
        Program.load(tmp_path / "large")
