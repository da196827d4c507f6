"""The compiler from end to end: graph, passes, memory, schedule, programs, image."""

import contextlib
import dataclasses
from collections.abc import Callable

from compiler.frontend.llama import llama_graph
from compiler.graph import Graph, check
from compiler.passes import passes
from compiler.schedule.placement import Placement, place_nodes, plan_memory
from compiler.schedule.program import emit_program
from compiler.target.memory import MemoryMap
from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.program import MemoryImage, Program
from hwsim.errors import ScheduleError
from models.config import ModelConfig

__all__ = ["Compiled", "Request", "compile_request", "quantized_graph"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What to compile: a model's geometry, its formats and pattern, for an engine and a context.

    Attributes:
        config: geometry.
        layers, head: weight formats.
        cache: format of keys and values.
        sinks, window: tokens kept for good and recent tokens.
        engine: target.
        context: positions that can be run; the rotation table has as many rows.
        prefill_rows: most tokens of one prefill run; fewer where the memories are too small.
        batch: sequences that are decoded together, at the same position, each with a cache of its own.
    """

    config: ModelConfig
    layers: Format
    head: Format
    sinks: int
    window: int
    engine: EngineConfig
    context: int
    prefill_rows: int
    batch: int = 1
    cache: CacheFormat = CacheFormat.KV4

    def __post_init__(self) -> None:
        if self.context < 1:
            raise ScheduleError(f"Positions to run must be at least 1, not {self.context}")
        limit = self.engine.tile.rows_of(self.layers)
        for what, rows in (("Rows of a prefill run", self.prefill_rows), ("Batch", self.batch)):
            if not 1 <= rows <= limit:
                raise ScheduleError(
                    f"{what} must be 1 to {limit}, the engine's token rows for {self.layers.name} weights, not {rows}"
                )
        if self.window < 1 or self.sinks < 0:
            raise ScheduleError(f"Pattern must have a window of at least 1 and no negative sinks, not {self.sinks}+{self.window}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Compiled:
    """Programs of one model on one engine and where its data lies; `image` is None when there were only shapes."""

    request: Request
    memory: MemoryMap
    decode: Program
    prefill: Program
    image: MemoryImage | None


def quantized_graph(request: Request, dump: Callable[[str, Graph], None] | None = None) -> Graph:
    """Return the quantized graph; each pass is followed by a check, and `dump` sees every graph with its pass's name."""
    graph = llama_graph(request.config, sinks=request.sinks, window=request.window)
    check(graph, "frontend")
    if dump is not None:
        dump("frontend", graph)
    for step in passes(layers=request.layers, head=request.head):
        graph = step.apply(graph)
        check(graph, step.name)
        if dump is not None:
            dump(step.name, graph)
    return graph


def _widest(graph: Graph, request: Request, memory: MemoryMap) -> Placement:
    """Return the nodes placed for a prefill run with as many rows as fit, at most `prefill_rows`."""
    for tokens in range(request.prefill_rows, 1, -1):
        with contextlib.suppress(ScheduleError):
            return place_nodes(graph, request.engine, memory, tokens=tokens)
    return place_nodes(graph, request.engine, memory, tokens=1)


def compile_request(request: Request, *, build: Callable[[Placement], MemoryImage] | None = None) -> Compiled:
    """Return the programs of a request, and the image that `build` makes of its placed nodes; raise ScheduleError or GraphError."""
    graph = quantized_graph(request)
    tokens = max(request.prefill_rows, request.batch)
    memory = plan_memory(
        graph, request.engine, max_position=request.context, tokens=tokens, sequences=request.batch, cache=request.cache
    )
    placed = place_nodes(graph, request.engine, memory, tokens=request.batch, sequences=request.batch)
    image = None if build is None else build(placed)
    weights = image.digest if image is not None else "0" * 64
    decode = emit_program(placed, name="decode", head=True, max_position=request.context, weights=weights)
    widest = _widest(graph, request, memory)
    prefill = emit_program(widest, name="prefill", head=False, max_position=request.context, weights=weights)
    return Compiled(request=request, memory=memory, decode=decode, prefill=prefill, image=image)
