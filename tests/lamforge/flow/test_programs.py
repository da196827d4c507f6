"""The folder of a compilation: written as the image is made, all or nothing, and run from the mapped file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.image import MemoryImage
from hwsim.arch.isa import Format
from hwsim.errors import ProgramError
from hwsim.host.inputs import Inputs, place
from hwsim.memory.models import IDEAL
from lamforge.flow.compile import compiled_model
from lamforge.flow.programs import IMAGE, Programs
from lamforge.flow.simulate import simulate_run
from lamforge.flow.verb import Listener
from models.attention import parse
from models.compressed import CompressedModel
from models.shaped import shaped_model
from reports.documents.programs import programs_document
from testbenches.simulated import Simulated
from tests.random_model import tiny_config

ENGINE = load_engine("tiny")


class Interrupting(Listener):
    def progress(self, name: str, fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def made() -> CompressedModel:
    return shaped_model(tiny_config(), format=Format.W4, head=Format.W8, pattern=parse("lambda:4+12"), seed=1)


def test_a_run_from_the_mapped_image_is_the_run_in_memory(made: CompressedModel, tmp_path: Path) -> None:
    held = compiled_model(made, ENGINE)
    compiled_model(made, ENGINE, output=tmp_path / "program")
    found = Programs.load(tmp_path / "program", has_image=True)
    before = (tmp_path / "program" / IMAGE).read_bytes()
    assert held.image is not None and found.image is not None
    assert programs_document(found) == programs_document(held)
    inputs = Inputs(position=0, rows=made.model.embedding.rows([5]))
    outputs = [Simulated(ENGINE).run(each.decode, each.image, inputs, IDEAL)[0] for each in (held, found)]
    for part in ("ports", "side"):
        ours, theirs = (getattr(output.image, part) for output in outputs)
        assert np.array_equal(ours, theirs), part
    assert not np.array_equal(outputs[1].image.ports, found.image.ports)
    assert (tmp_path / "program" / IMAGE).read_bytes() == before


def test_an_interrupted_compilation_leaves_what_was_there(made: CompressedModel, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        compiled_model(made, ENGINE, output=tmp_path / "program", listener=Interrupting())
    assert list(tmp_path.iterdir()) == []
    compiled_model(made, ENGINE, output=tmp_path / "program")
    before = {path.name: path.read_bytes() for path in (tmp_path / "program").iterdir()}
    with pytest.raises(KeyboardInterrupt):
        compiled_model(made, ENGINE, positions=64, output=tmp_path / "program", listener=Interrupting())
    assert {path.name: path.read_bytes() for path in (tmp_path / "program").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["program"]


def test_programs_that_are_not_for_one_memory_are_refused(made: CompressedModel, tmp_path: Path) -> None:
    compiled_model(made, ENGINE, output=tmp_path)
    programs = Programs.load(tmp_path, has_image=True)
    assert programs.image is not None
    moved = tuple(dataclasses.replace(buffer, offset=buffer.offset + (1 << 20)) for buffer in programs.decode.buffers)
    changes: dict[str, dict[str, object]] = {
        "Programs of a folder must be for one memory, not differ in caches, window": {"caches": 2, "window": 11},
        "Programs of a folder must be for one memory, not differ in buffers": {"buffers": moved},
        "Program in decode.program must be called decode, not 'prefill'": {"name": "prefill"},
    }
    for sentence, change in changes.items():
        dataclasses.replace(programs.decode, **change).save(tmp_path / "decode.program")
        with pytest.raises(ProgramError) as refusal:
            Programs.load(tmp_path)
        assert str(refusal.value) == sentence
    for program in (programs.decode, programs.prefill):
        dataclasses.replace(program, buffers=moved).save(tmp_path / f"{program.name}.program")
    assert Programs.load(tmp_path).decode.buffers == moved
    ends = len(programs.image.side), len(programs.image.side) + (1 << 20)
    sentence = f"Programs must have buffers within the {ends[0]} bytes of side memory of {IMAGE}, not up to byte {ends[1]}"
    with pytest.raises(ProgramError, match=f"^{sentence}$"):
        Programs.load(tmp_path, has_image=True)


def test_a_run_stays_in_the_side_memory(made: CompressedModel) -> None:
    """The time of a program is refused where its meaning is: its buffers are all the side memory that there is."""
    programs = compiled_model(made, ENGINE)
    program = programs.decode
    assert program.buffers[-1].name == "rotation"
    fewer = dataclasses.replace(programs, decode=dataclasses.replace(program, buffers=program.buffers[:-1]))
    assert simulate_run(programs, position=255).cycles > 0
    with pytest.raises(ProgramError, match="within the 1216 16-byte units of side memory, not 72 beyond"):
        simulate_run(fewer, position=0)
    assert programs.image is not None
    held = MemoryImage(ports=programs.image.ports, side=programs.image.side[:4096])
    inputs = Inputs(position=0, rows=made.model.embedding.rows([5]))
    with pytest.raises(ProgramError, match="^Side memory must hold 12672 bytes for program decode, not 4096$"):
        place(ENGINE, program, held, inputs)


def test_an_image_that_was_changed_is_refused(made: CompressedModel, tmp_path: Path) -> None:
    compiled_model(made, ENGINE, output=tmp_path / "program")
    content = bytearray((tmp_path / "program" / IMAGE).read_bytes())
    content[-1] ^= 1
    (tmp_path / "program" / IMAGE).write_bytes(content)
    with pytest.raises(ProgramError, match="Program decode must be compiled for weights"):
        Programs.load(tmp_path / "program", has_image=True)
