"""What binds a design: the resource that most cycles of its decode step go to, and its place under the roofs of its engine."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from lamforge.explore.space import Space
from lamforge.flow.roofline import roof
from models.zoo import network_of

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
    engine, network = request.engine, network_of(request.config)
    cache = 2 * network.heads * network.head_dim * (request.sinks + request.window)
    reached = (network.layers * (network.layer_weights + cache) + network.head_weights) * token_per_s
    most = roof(engine, (request.layers, request.head), min(request.batch, engine.tile.tokens))
    return Roofs(
        bytes_per_s=engine.peak_bytes_per_s,
        products_per_s=most.products_per_cycle * engine.clock_hz,
        reached_per_s=reached,
        intensity=reached / (engine.peak_bytes_per_s * fraction_of_peak),
    )
