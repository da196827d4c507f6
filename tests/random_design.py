"""Random designs: a network of some layers, formats, an engine and a window that the compiler takes."""

import dataclasses

import numpy as np

from compiler.pipeline import Request, compile_decode
from hwsim.arch.config import load_engine
from hwsim.arch.isa import CacheFormat, Format
from hwsim.errors import ScheduleError
from models.zoo import shape

__all__ = ["random_request"]


def random_request(rng: np.random.Generator, network: str = "smollm2-135m", layers: tuple[int, int] = (8, 20)) -> Request:
    """Return a design that compiles, its number of layers within bounds; clock, queues, bursts and FIFOs are of random sizes."""
    while True:
        request = _drawn(rng, network, layers)
        try:
            compile_decode(request)
        except ScheduleError:
            continue
        return request


def _drawn(rng: np.random.Generator, network: str, layers: tuple[int, int]) -> Request:
    def pick(*values: int) -> int:
        return int(rng.choice(values))

    burst, tokens = pick(2, 4, 8, 16), pick(1, 2, 4)
    settings: dict[str, object] = {
        "clock_hz": pick(150, 225, 300) * 1e6,
        "control.queue_depth": pick(4, 8, 64),
        "fetch.burst_beats": burst,
        "fetch.fifo_beats": max(16, burst * pick(2, 4, 16, 64)),
        "tile.ports": pick(4, 8, 16, 32),
        "tile.port_bits": pick(128, 256, 512),
        "tile.tokens": tokens,
        "tile.nibble_tokens": pick(2, 4),
        "vector.lanes": pick(8, 16, 32),
    }
    model = shape(network)
    if network == "smollm2-135m":
        model = dataclasses.replace(model, ffn=pick(512, 576, 1536), vocab=512)
    engine = load_engine("u280").with_values(settings)
    form = Format[str(rng.choice(["W2", "W2S", "W4", "W8"]))]
    return Request(
        config=dataclasses.replace(model, layers=min(model.layers, int(rng.integers(*layers)))),
        layers=form,
        head=Format[str(rng.choice(["W4", "W8"]))],
        cache=CacheFormat[str(rng.choice(["KV4", "KV8"]))],
        sinks=pick(0, 4),
        window=int(rng.integers(60, 250)),
        engine=engine,
        context=512,
        prefill_rows=1,
        batch=int(rng.integers(1, engine.tile.rows_of(form) + 1)),
    )
