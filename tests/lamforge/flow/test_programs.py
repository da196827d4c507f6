"""The folder of a compilation: written as the image is made, all or nothing, and run from the mapped file."""

from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.isa import Format
from hwsim.errors import ProgramError
from hwsim.host.inputs import Inputs
from hwsim.memory.models import IDEAL
from lamforge.flow.compile import compiled_model
from lamforge.flow.programs import IMAGE, Programs
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


def test_an_image_that_was_changed_is_refused(made: CompressedModel, tmp_path: Path) -> None:
    compiled_model(made, ENGINE, output=tmp_path / "program")
    content = bytearray((tmp_path / "program" / IMAGE).read_bytes())
    content[-1] ^= 1
    (tmp_path / "program" / IMAGE).write_bytes(content)
    with pytest.raises(ProgramError, match="Program decode must be compiled for weights"):
        Programs.load(tmp_path / "program", has_image=True)
