"""The memory image: streamed into its file it equals its definition bit for bit, in bounded memory, whole or not at all."""

import dataclasses
import functools
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from compiler.model import compile_model, request_of
from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.formats import WEIGHT_FORMATS, PackedMatrix, unpacked_of
from hwsim.arch.image import ImageWriter, MemoryImage
from hwsim.arch.isa import Format
from hwsim.errors import ProgramError
from models.integer import IntegerModel
from models.matrices import HEAD, PARTS, layer_part
from tests.hwsim.slow_formats import pack_stream
from tests.random_model import random_model

ENGINES = ("tiny", "small")


@functools.cache
def model_of(format: Format) -> IntegerModel:
    return random_model(3, format=format, head=format)


def defined_ports(model: IntegerModel, compiled: Compiled, engine: EngineConfig) -> np.ndarray:
    """Return the ports as the formats define them, a whole stream at a time."""
    memory, tile = compiled.memory, engine.tile
    ports = np.zeros((tile.ports, memory.total_beats * tile.port_bytes), np.uint8)
    places = {
        layer_part(layer, part): layer * memory.layer_beats + memory.streams[f"layers.{{}}.{part}"]
        for layer in range(model.config.layers)
        for part in PARTS
    }
    for name, beat in (places | {HEAD: memory.streams[HEAD]}).items():
        matrix = unpacked_of(model.matrices[name])
        streams = pack_stream(matrix, tile.slices)
        words = streams.reshape(tile.ports, tile.slices_per_port, -1, 16).transpose(0, 2, 1, 3).reshape(tile.ports, -1)
        ports[:, beat * tile.port_bytes : beat * tile.port_bytes + words.shape[1]] = words
    return ports


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
def test_streamed_image_is_the_definition(tmp_path: Path, engine: str, format: Format) -> None:
    config, model = load_engine(engine), model_of(format)
    held = compile_model(model, config)
    streamed = compile_model(model, config, image=tmp_path / "image")
    assert held.image is not None and streamed.image is not None
    assert np.array_equal(held.image.ports, defined_ports(model, held, config))
    for name in ("ports", "side"):
        assert np.array_equal(getattr(held.image, name), getattr(streamed.image, name))
        assert np.array_equal(load_file(tmp_path / "image")[name], getattr(held.image, name))
    assert streamed.image.digest == held.image.digest == MemoryImage.load(tmp_path / "image").digest
    assert streamed.decode == held.decode
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_digest_sees_every_byte_and_the_shape() -> None:
    ports, side = np.zeros((2, 64), np.uint8), np.zeros(32, np.uint8)
    images = [MemoryImage(ports=ports, side=side), MemoryImage(ports=ports.reshape(4, 32), side=side)]
    for name, place in (("ports", (1, 63)), ("ports", (0, 0)), ("side", 31)):
        image = MemoryImage(ports=ports.copy(), side=side.copy())
        getattr(image, name)[place] = 1
        images.append(image)
    assert len({image.digest for image in images}) == len(images)


def test_a_copy_of_a_mapped_image_is_the_runs_own(tmp_path: Path) -> None:
    made = MemoryImage(ports=np.arange(128, dtype=np.uint8).reshape(2, 64), side=np.arange(32, dtype=np.uint8))
    made.save(tmp_path / "image")
    found = MemoryImage.load(tmp_path / "image")
    with pytest.raises(ValueError, match="read-only"):
        found.ports[0, 0] = 9
    first, second = found.copy(), found.copy()
    first.ports[1, 5], first.side[3] = 200, 201
    assert (found.ports[1, 5], second.ports[1, 5], second.side[3]) == (69, 69, 3)
    assert first.digest != found.digest == second.digest == made.digest
    assert first.copy().ports[1, 5] == 200
    # Another file at the same path does not change what is mapped, nor later copies of it.
    MemoryImage(ports=made.ports * 0, side=made.side).save(tmp_path / "image")
    assert np.array_equal(found.copy().ports, made.ports)


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_model(random_model(3), load_engine("tiny"), image=tmp_path / "image", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_bytes_out_of_order_are_refused(tmp_path: Path) -> None:
    data = np.ones(32, np.uint8)
    for offset, message in ((16, "Bytes of port 1 must lie in 32 to 64, not 16 to 48"), (48, "not 48 to 80")):
        with (
            pytest.raises(ProgramError, match=message),
            ImageWriter(tmp_path / "image", ports=2, port_bytes=64, side_bytes=16) as writer,
        ):
            writer.write(1, 0, data)
            writer.write(1, offset, data)
    assert list(tmp_path.iterdir()) == []


def without_bytes(ports: np.ndarray) -> bytes:
    return save({"ports": ports.astype(np.uint8), "side": np.zeros(16, np.uint8)})


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image"
    MemoryImage(ports=np.zeros((2, 64), np.uint8), side=np.zeros(16, np.uint8)).save(path)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:4], b"", *map(without_bytes, (np.zeros((2, 0)), np.zeros((0, 64))))):
        path.write_bytes(content)
        with pytest.raises(ProgramError, match="Memory image must be a safetensors file with ports and side, not"):
            MemoryImage.load(path)
    path.unlink()
    # A pipe, whose writer would be waited for.
    os.mkfifo(path)
    with pytest.raises(ProgramError, match="Memory image must be a safetensors file with ports and side, not"):
        MemoryImage.load(path)


def test_a_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image"
    MemoryImage(ports=np.zeros((2, 64), np.uint8), side=np.zeros(16, np.uint8)).save(path)
    image = MemoryImage.load(path)
    os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(ProgramError, match="Memory image must keep its length while it is read, not end at byte"):
        _ = image.digest


@dataclasses.dataclass(frozen=True)
class Zeros:
    """A matrix of zeros that takes no memory until it is asked for."""

    format: Format
    shape: tuple[int, int]

    def packed(self) -> PackedMatrix:
        rows, inputs = self.shape
        words = np.zeros((rows, WEIGHT_FORMATS[self.format].body_words(inputs), 16), np.uint8)
        return PackedMatrix(
            format=self.format, inputs=inputs, words=words, mantissa=np.zeros(rows, np.uint16), exponent=np.zeros(rows, np.int8)
        )


def test_memory_is_bounded_by_a_matrix(tmp_path: Path) -> None:
    """An image of 240 MB takes less than a quarter of it while it is written to a file, and all of it in memory."""
    small = random_model(3, format=Format.W8, max_positions=64)
    config = dataclasses.replace(small.config, hidden=2048, heads=32, kv_heads=32, head_dim=64, ffn=5632, layers=4)
    shapes = {"qkv": (6144, 2048), "o": (2048, 2048), "gateup": (11264, 2048), "down": (2048, 5632)}
    matrices = {layer_part(layer, part): Zeros(Format.W8, shapes[part]) for layer in range(4) for part in PARTS}
    gains = {
        name: dataclasses.replace(small.gains["final_norm"], values=np.ones(2048, np.int16))
        for layer in range(4)
        for name in (layer_part(layer, "attention_norm"), layer_part(layer, "ffn_norm"), "final_norm")
    }
    embedding = dataclasses.replace(small.embedding, codes=np.zeros((96, 2048), np.int8))
    large = dataclasses.replace(
        small, config=config, matrices=matrices | {HEAD: Zeros(Format.W8, (96, 2048))}, gains=gains, embedding=embedding
    )
    engine = load_engine("u280")
    request_of(large, engine)

    def peak(path: Path | None) -> tuple[int, int]:
        tracemalloc.start()
        image = compile_model(large, engine, image=path).image
        assert image is not None
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, image.ports.nbytes

    most, size = peak(tmp_path / "image")
    assert size > 200_000_000
    assert most < size / 4
    # The measure sees memory that is held.
    assert peak(None)[0] > size
