"""How fast weights are packed: each format alone, and a model of a well-known network from files to a memory image."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.formats import WEIGHT_FORMATS, pack
from hwsim.arch.isa import Format
from hwsim.errors import SpecError
from lamforge.flow.dummy import PATTERN, DummyRequest
from lamforge.flow.dummy import run as write_dummy
from models.shaped import random_matrix

__all__ = ["PackingRate", "ShapedCompilation", "compile_shaped", "packing_rates"]

_REPEATS = 3
_SEED = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackingRate:
    """Dense weights a second in one format: codes into words, and words into the streams of an engine's ports, checked."""

    format: str
    pack_weights_per_s: float
    deal_weights_per_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapedCompilation:
    """One compilation of a shape with random weights, in a process of its own.

    Attributes:
        shape, engine: what was compiled, for what.
        model_bytes, image_bytes: sizes on disk; an image may take less room where files are sparse.
        write_s: seconds to make and write the model.
        compile_s, memory_mb: wall-clock seconds and most memory of the compilation, the start of Python included.
    """

    shape: str
    engine: str
    model_bytes: int
    image_bytes: int
    write_s: float
    compile_s: float
    memory_mb: float


def packing_rates(engine: EngineConfig, *, rows: int = 4096, inputs: int = 4096) -> tuple[PackingRate, ...]:
    """Return the rate of every format on a random matrix, the best of several."""
    return tuple(_rate(format, engine, rows, inputs) for format in WEIGHT_FORMATS)


def _rate(format: Format, engine: EngineConfig, rows: int, inputs: int) -> PackingRate:
    tile = engine.tile
    matrix = random_matrix(format, (rows, inputs), np.random.default_rng(_SEED))
    packed = pack(matrix)

    def deal() -> None:
        packed.check("a random matrix")
        for port in range(tile.ports):
            packed.port_stream(port, tile.slices, tile.slices_per_port)

    return PackingRate(
        format=format.name.lower(),
        pack_weights_per_s=rows * inputs / _best(lambda: pack(matrix)),
        deal_weights_per_s=rows * inputs / _best(deal),
    )


def _best(run: Callable[[], object]) -> float:
    """Return the least seconds of several runs after one that compiles."""
    run()
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def compile_shaped(shape: str, engine: str, folder: Path, *, pattern: str = PATTERN) -> ShapedCompilation:
    """Write a shape's random model under `folder`, compile it in another process, and remove both.

    pattern: attention pattern of the model.

    Raises:
        SpecError: the compilation was refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="shaped.") as place:
        model, output = Path(place) / "model", Path(place) / "program"
        began = time.perf_counter()
        write_dummy(DummyRequest(shape, output=model, attention=pattern))
        write_s = time.perf_counter() - began
        command = [sys.executable, "-m", "lamforge", "compile", str(model), "--engine", engine, "-o", str(output)]
        run = subprocess.run(
            [sys.executable, "-m", "reports.studies.peak", *command], stdout=subprocess.PIPE, text=True, check=True
        )
        ended = json.loads(run.stdout)
        if ended["code"]:
            raise SpecError(f"Compilation of {shape} must succeed, not end with: {ended['said']}")
        return ShapedCompilation(
            shape=shape,
            engine=engine,
            model_bytes=sum(path.stat().st_size for path in model.iterdir()),
            image_bytes=(output / "image.safetensors").stat().st_size,
            write_s=write_s,
            compile_s=ended["seconds"],
            memory_mb=ended["peak_bytes"] / 1e6,
        )
