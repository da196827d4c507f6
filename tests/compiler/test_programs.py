"""Programs of a fixed list of requests stay the words that they were, and every conflict between their steps is ordered."""

import dataclasses
import hashlib

import pytest

from compiler.pipeline import Compiled, Request, compile_request, quantized_graph
from compiler.schedule.dependencies import link
from compiler.schedule.placement import place_nodes, plan_memory
from compiler.schedule.program import epilogue, layer_body, prologue
from compiler.target.step import Step
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import CacheFormat, Destination, Dot, Format, Load, Norm, Space
from models.config import ModelConfig
from models.zoo import shape
from tests.random_model import tiny_config

NARROW = load_engine("small").with_values({"tile.ports": 1, "tile.port_bits": 128, "tile.tokens": 7, "vector.lanes": 8})
WIDE = load_engine("u280").with_values({"tile.ports": 8, "vector.lanes": 16, "tile.nibble_tokens": 4, "channel_bytes": 1 << 32})


def request(
    config: str | ModelConfig = "smollm2-135m",
    engine: str | EngineConfig = "small",
    layers: Format = Format.W4,
    head: Format = Format.W8,
    pattern: tuple[int, int] = (4, 252),
    rows: int = 1,
    batch: int = 1,
    context: int = 1024,
    cache: CacheFormat = CacheFormat.KV4,
) -> Request:
    return Request(
        config=shape(config) if isinstance(config, str) else config,
        engine=load_engine(engine) if isinstance(engine, str) else engine,
        layers=layers,
        head=head,
        sinks=pattern[0],
        window=pattern[1],
        prefill_rows=rows,
        batch=batch,
        context=context,
        cache=cache,
    )


QWEN3 = {"architecture": "Qwen3ForCausalLM"}
REQUESTS = {
    "small": request(rows=4),
    "small, a batch, 8-bit cache": request(batch=3, rows=2, cache=CacheFormat.KV8),
    "small, biases": request("qwen2-0.5b", layers=Format.W2S, rows=4, batch=2),
    "u280": request("llama-2-7b", "u280", Format.W2S, pattern=(4, 2044), rows=4, context=4096),
    "u280, no sinks": request("llama-2-7b", "u280", Format.W2, pattern=(0, 2048), batch=4, context=4096),
    "u280, a 4-bit head streamed twice": request("llama-2-7b", "u280", Format.W2S, Format.W4, batch=4),
    "u55c, grouped queries": request("llama-3-8b", "u55c", Format.W2S, pattern=(1, 60), rows=3, batch=2),
    "u55c, 8-bit weights": request("mistral-7b", "u55c", Format.W8, Format.W2S, (3, 1021), rows=2, cache=CacheFormat.KV8),
    "tiny": request(tiny_config(), "tiny", pattern=(4, 12), rows=2, context=32),
    "tiny, biases, one layer": request(
        tiny_config(qkv_bias=True, layers=1, vocab=97), "tiny", Format.W2, Format.W4, (0, 9), 1, 2, 5
    ),
    "one slice, seven rows": request(tiny_config(kv_heads=4), NARROW, Format.W2, pattern=(2, 60), rows=7, batch=5, context=100),
    "small, normalized heads": request("qwen3-0.6b", rows=3, context=300),
    "u280, normalized heads": request("qwen3-8b", "u280", Format.W2S, Format.W4, pattern=(4, 2044), rows=2, batch=2),
    "u280, normalized heads of half a block": request(
        tiny_config(**QWEN3 | {"heads": 5, "kv_heads": 5, "head_dim": 64}), "u280", pattern=(4, 60), rows=2, cache=CacheFormat.KV8
    ),
    "tiny, normalized heads": request(tiny_config(**QWEN3), "tiny", pattern=(4, 12), rows=2, context=32),
    "eight ports": request(tiny_config(head_dim=128, heads=6, vocab=5003), WIDE, Format.W2S, pattern=(2, 63), rows=3, batch=4),
}
DIGESTS = {
    "small": "3c7b2af1f15747f2",
    "small, a batch, 8-bit cache": "016310dc83864b4b",
    "small, biases": "8db807f058fad49a",
    "u280": "88a68bc3a243b12e",
    "u280, no sinks": "fda20c4faf13656f",
    "u280, a 4-bit head streamed twice": "8c319e66e9266663",
    "u55c, grouped queries": "6e5c903d8a2d37f0",
    "u55c, 8-bit weights": "38b8d3b935cb4d5d",
    "tiny": "e5ff3ffc7d1b2c86",
    "tiny, biases, one layer": "62ab6f46272dc80e",
    "one slice, seven rows": "b26a848feadf73cf",
    "small, normalized heads": "f09b0c171a268261",
    "u280, normalized heads": "2d6ac57ce722181e",
    "u280, normalized heads of half a block": "122f4f95edc8789b",
    "tiny, normalized heads": "9c8c37e467ac7d39",
    "eight ports": "760d045f37b609d7",
}


def digest(compiled: Compiled) -> str:
    programs = [dataclasses.replace(program, isa="", engine="") for program in (compiled.decode, compiled.prefill)]
    return hashlib.sha256(repr([dataclasses.astuple(program) for program in programs]).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_program_is_the_one_it_was(name: str) -> None:
    """Words, symbols and buffers are compared; a change of the schedule that is meant writes its digests down anew."""
    assert digest(compile_request(REQUESTS[name])) == DIGESTS[name]


def unordered(steps: list[Step]) -> list[tuple[int, int]]:
    """Return pairs of steps on different units that touch the same region, one of them writing, and may overlap.

    What is known at a step's issue and at its retirement, as bits of the steps that have retired: issue is in order in a
    unit, as is retirement; a token comes from a step that has retired; a product has used up the streams before it.
    """
    at_issue, at_retirement = [0] * len(steps), [0] * len(steps)
    previous: dict[Unit, int] = {}
    tokens: dict[tuple[Unit, Unit], list[int]] = {}
    fetched: list[int] = []
    for index, step in enumerate(steps):
        unit = type(step.instruction).unit
        if unit is None:
            continue
        if unit in previous:
            at_issue[index] |= at_issue[previous[unit]]
            at_retirement[index] |= at_retirement[previous[unit]]
        for other in Unit:
            if step.instruction.wait >> other & 1 and tokens.get((other, unit)):
                at_issue[index] |= at_retirement[tokens[other, unit].pop(0)]
        for _ in range(step.consumes):
            at_retirement[index] |= at_retirement[fetched.pop(0)]
        at_retirement[index] |= at_issue[index] | 1 << index
        for other in Unit:
            if step.instruction.signal >> other & 1:
                tokens.setdefault((unit, other), []).append(index)
        if unit is Unit.FETCH:
            fetched.append(index)
        previous[unit] = index
    found = []
    for late, second in enumerate(steps):
        for early, first in enumerate(steps[:late]):
            reads = {*second.reads, *second.awaits, *second.writes}
            is_conflict = reads & {*first.writes} or {*second.writes} & {*first.reads, *first.frees}
            if is_conflict and type(first.instruction).unit != type(second.instruction).unit and not at_issue[late] >> early & 1:
                found.append((early, late))
    return found


def with_ports(step: Step) -> Step:
    """Return a step with the shared ports of the residual memory, which has no arbiter, as regions that it writes."""
    word = step.instruction
    is_added = isinstance(word, Dot) and word.destination == Destination.RESIDUAL
    reads = is_added or isinstance(word, Norm)
    writes = is_added or (isinstance(word, Load) and word.space == Space.RESIDUAL)
    ports = (*(("X read port",) if reads else ()), *(("X write port",) if writes else ()))
    return dataclasses.replace(step, writes=(*step.writes, *ports))


def sections(request: Request, tokens: int, sequences: int) -> list[list[Step]]:
    graph = quantized_graph(request)
    memory = plan_memory(graph, request.engine, max_position=64, tokens=tokens, sequences=sequences, cache=request.cache)
    placed = place_nodes(graph, request.engine, memory, tokens=tokens, sequences=sequences)
    return link([prologue(placed), layer_body(placed), epilogue(placed)])


@pytest.mark.parametrize(
    "name, tokens, sequences",
    [
        ("tiny", 2, 1),
        ("tiny", 2, 2),
        ("one slice, seven rows", 5, 1),
        ("eight ports", 3, 1),
        ("small, biases", 2, 2),
        ("tiny, normalized heads", 2, 1),
        ("tiny, normalized heads", 2, 2),
        ("u280, normalized heads of half a block", 2, 1),
    ],
)
def test_steps_that_conflict_are_ordered(name: str, tokens: int, sequences: int) -> None:
    """Among them: a token's key and value are appended only when the token before needs the slot they replace no more."""
    body = sections(REQUESTS[name], tokens, sequences)[1]
    assert any(step.frees for step in body)
    assert unordered(body) == []
    assert unordered([with_ports(step) for step in body]) == []
    # The law sees an order that is missing.
    waits = [step for step in body if step.instruction.wait]
    loose = [dataclasses.replace(s, instruction=dataclasses.replace(s.instruction, wait=0)) if s is waits[-1] else s for s in body]
    assert unordered(loose)
