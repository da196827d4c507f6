"""What binds a design: the resource that most cycles of its decode step go to, and its place under the roofs of its engine."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

import numpy as np

from hwsim.arch.config import LANES_PER_SLICE
from lamforge.explore.space import Space

__all__ = ["Binding", "Resource", "Roofs", "binding", "roofs"]


class Resource(enum.Enum):
    """What cycles of the matrix unit are spent on; the value says it in words."""

    STREAM = "bandwidth of the stream ports: a beat is taken in every cycle"
    MEMORY = "the memory: the next beat is not there yet"
    MATRIX = "the matrix unit: second halves of beats, and results that leave the array"
    FETCH = "exposed waits for fetch: latency before first beats"
    OWN = "exposed waits for the matrix unit's own results"
    VECTOR = "exposed waits for the vector unit"
    MOVER = "exposed waits for the mover: loads, stores and appends"
    CONTROL = "control: nothing is dispatched"


_WAITS = {
    "memory": Resource.MEMORY,
    "on_fetch": Resource.FETCH,
    "on_matrix": Resource.OWN,
    "on_vector": Resource.VECTOR,
    "on_mover": Resource.MOVER,
    "control": Resource.CONTROL,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binding:
    """Cycles of a decode step by resource; they sum to the cycles of the step."""

    cycles: Mapping[Resource, float]

    @property
    def resource(self) -> Resource:
        """What most cycles are spent on."""
        return max(self.cycles, key=lambda each: self.cycles[each])

    @property
    def shares(self) -> Mapping[Resource, float]:
        """Shares of the cycles by resource, the largest first."""
        total = sum(self.cycles.values()) or 1.0
        order = sorted(self.cycles, key=lambda each: -self.cycles[each])
        return {each: self.cycles[each] / total for each in order}


def binding(causes: Mapping[str, float], fraction_of_peak: float) -> Binding:
    """Return what binds a design.

    causes: cycles of the matrix unit by cause, simulated.
    fraction_of_peak: bytes through the stream ports, of what they carry with a beat in every cycle.
    """
    worked = causes["compute"] + causes["drain"]
    beats = min(fraction_of_peak * sum(causes.values()), worked)
    waits = {resource: causes[cause] for cause, resource in _WAITS.items()}
    return Binding(cycles={Resource.STREAM: beats, Resource.MATRIX: worked - beats, **waits})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roofs:
    """A design under the roofs of its engine; zeros of padding are no products, those of 2:4 pruning are.

    Attributes:
        bytes_per_s: most that the stream ports bring.
        products_per_s: most that the multipliers make for the sequences of the batch.
        reached_per_s: products that the design makes.
        intensity: products for each byte of the stream.
    """

    bytes_per_s: float
    products_per_s: float
    reached_per_s: float
    intensity: float


def roofs(space: Space, point: int, token_per_s: float, fraction_of_peak: float) -> Roofs:
    """Return the roofs of a point and its place under them, given what it reaches."""
    request, _ = space.request(point)
    columns = space.columns(np.array(point))
    engine, network = request.engine, request.config
    attention = network.heads * network.head_dim
    weights = network.hidden * (2 * attention + 2 * network.kv_heads * network.head_dim + 3 * network.ffn)
    cache = 2 * attention * int(columns["context"])
    products = network.layers * (weights + cache) + network.vocab * network.hidden
    per_slice = max(LANES_PER_SLICE, *(each.sizes.inputs_per_cycle for each in (request.layers, request.head)))
    bytes_per_s = engine.tile.beat_bytes * engine.clock_hz
    reached = products * token_per_s
    return Roofs(
        bytes_per_s=bytes_per_s,
        products_per_s=engine.tile.slices * per_slice * min(request.batch, engine.tile.tokens) * engine.clock_hz,
        reached_per_s=reached,
        intensity=reached / (bytes_per_s * fraction_of_peak),
    )
