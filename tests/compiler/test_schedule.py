"""Programs of whole models: sizes, balance of tokens, layout without overlap, and refusals that say by how much."""

import collections
import dataclasses
import re

import pytest

from compiler.pipeline import Compiled, Request, compile_request, quantized_graph
from compiler.schedule.placement import place_nodes, plan_memory
from compiler.target.memory import MemoryMap, OnChip
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Unit
from hwsim.arch.isa import CacheFormat, Format, Loop, decode
from hwsim.errors import ScheduleError
from hwsim.machine.rules import check
from hwsim.machine.time import run_time
from hwsim.machine.trace import run_control
from hwsim.memory.models import IDEAL
from models.zoo import shape


def request(model: str = "smollm2-135m", engine: str | EngineConfig = "small", **changes: object) -> Request:
    values: dict[str, object] = {
        "config": shape(model),
        "layers": Format.W4,
        "head": Format.W8,
        "sinks": 4,
        "window": 252,
        "engine": load_engine(engine) if isinstance(engine, str) else engine,
        "context": 1024,
        "prefill_rows": 4,
    }
    return Request(**(values | changes))  # type-checked at run time by Request


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_request(request())


def test_programs_are_short(compiled: Compiled) -> None:
    assert compiled.decode.size_bytes <= 64 * 1024
    assert compiled.prefill.size_bytes <= 64 * 1024


@pytest.mark.parametrize(
    "model, engine, window", [("llama-2-7b", "u280", 2044), ("llama-3-8b", "u280", 2044), ("qwen2-0.5b", "small", 252)]
)
def test_large_models_compile_to_short_programs(model: str, engine: str, window: int) -> None:
    compiled = compile_request(request(model, engine, window=window, layers=Format.W2S, context=4096))
    assert compiled.decode.size_bytes <= 64 * 1024
    assert compiled.prefill.size_bytes <= 64 * 1024


@pytest.mark.parametrize("name", ["decode", "prefill"])
def test_tokens_balance_in_every_iteration(compiled: Compiled, name: str) -> None:
    """Every token a loop body or the code around it sends is taken again; only a program without a head leaves its last."""
    words = [decode(word) for word in getattr(compiled, name).words]
    start = next(index for index, word in enumerate(words) if isinstance(word, Loop))
    loop = words[start]
    assert isinstance(loop, Loop)
    sections = [words[:start], words[start + 1 : start + 1 + loop.length], words[start + 1 + loop.length :]]

    def flow(section: list) -> collections.Counter:
        balance: collections.Counter = collections.Counter()
        for word in section:
            for other in Unit:
                if word.unit is not None and word.wait >> other & 1:
                    balance[other, word.unit] -= 1
                if word.unit is not None and word.signal >> other & 1:
                    balance[word.unit, other] += 1
        return balance

    prologue, body, rest = map(flow, sections)
    assert not any(body.values())
    left = collections.Counter(prologue)
    left.update(rest)
    if name == "decode":
        assert not any(left.values())
    else:
        assert all(count >= 0 for count in left.values())


@pytest.mark.parametrize("cache", CacheFormat)
@pytest.mark.parametrize(
    "model, engine, window", [("smollm2-135m", "small", 252), ("qwen2-0.5b", "small", 252), ("llama-2-7b", "u280", 2044)]
)
def test_the_machine_takes_every_instruction(model: str, engine: str, window: int, cache: CacheFormat) -> None:
    """Both programs keep every rule of the machine and end, at the first position and with a full window."""
    config = load_engine(engine)
    layers = Format.W2S if engine == "u280" else Format.W4
    compiled = compile_request(request(model, engine, window=window, layers=layers, context=4096, cache=cache))
    for program in (compiled.decode, compiled.prefill):
        last = program.buffers[-1]
        for position in (0, window + 100):
            trace = run_control(program.words, position=position, slot=program.slot_of(position))
            check(trace, config, compiled.memory.total_beats * config.tile.port_bytes, last.offset + last.size)
            assert run_time(trace, config, IDEAL).cycles > 0


def test_no_two_regions_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, list[tuple[int, int]]] = {}
    take = OnChip.take

    def recorded(chip: OnChip, memory: str, size: int, user: str) -> int:
        start = take(chip, memory, size, user)
        taken.setdefault(memory, []).append((start, size))
        return start

    monkeypatch.setattr(OnChip, "take", recorded)
    engine = load_engine("small")
    graph = quantized_graph(request())
    memory = plan_memory(graph, engine, max_position=1024, tokens=4)
    nodes = {node.name: node for node in place_nodes(graph, engine, memory, tokens=4).nodes}
    for regions in taken.values():
        for (start, size), (following, _) in zip(regions, regions[1:], strict=False):
            assert start + size == following
    assert sum(taken["result"][-1]) <= engine.buffer.result_words
    # Values that are over share a place; the residual is added to in its own.
    codes = {name: nodes[name].place for name in ("layers.{}.attention_norm", "layers.{}.attention_codes", "layers.{}.swiglu")}
    assert len({place.start for place in codes.values()}) == 3
    assert nodes["final_norm"].place == nodes["layers.{}.ffn_norm"].place == codes["layers.{}.attention_norm"]
    assert nodes["layers.{}.down"].place == nodes["layers.{}.o"].place == nodes["input"].place
    ends = [buffer.offset + buffer.size for buffer in memory.buffers]
    assert all(end <= buffer.offset for end, buffer in zip(ends, memory.buffers[1:], strict=False))


def test_weights_and_the_caches_of_every_sequence_fit_a_channel_or_are_refused() -> None:
    engine = load_engine("small")
    graph = quantized_graph(request())

    def planned(channel_bytes: int) -> MemoryMap:
        return plan_memory(graph, engine.with_values({"channel_bytes": channel_bytes}), max_position=1024, tokens=3, sequences=3)

    memory = planned(1 << 30)
    assert memory.total_beats == memory.cache_start + 3 * graph.repeats["layers"] * memory.cache_layer_beats
    need = memory.total_beats * engine.tile.port_bytes
    enough = 1 << need.bit_length()
    assert planned(enough) == memory
    text = f" must fit {enough // 2} bytes behind each port of small, not need {need} ({need - enough // 2} too many)"
    with pytest.raises(ScheduleError, match=re.escape(text) + "$"):
        planned(enough // 2)


def test_rotations_that_no_side_memory_holds_are_refused() -> None:
    graph = quantized_graph(request())

    def planned(positions: int) -> MemoryMap:
        return plan_memory(graph, load_engine("small"), max_position=positions, tokens=3)

    most = next(buffer for buffer in planned(1).buffers if buffer.name == "rotation")
    rows = ((1 << 36) - most.offset) // most.size
    assert planned(rows).buffers[-1].end <= 1 << 36
    need = 4096 + (1 << 36)
    sentence = f"Tables of {rows + 1} positions must fit the {1 << 36} bytes of a side memory, not need {need} (4096 too many)"
    with pytest.raises(ScheduleError, match=f"^{re.escape(sentence)}$"):
        planned(rows + 1)


def test_refusals_say_by_how_much() -> None:
    tiny = load_engine("tiny")
    with pytest.raises(ScheduleError) as refused:
        compile_request(request(engine=tiny, prefill_rows=2))
    assert str(refused.value) == "Head dimension of a kv4 cache must be 32, 64 or 128 and at most 32 x 1 slices, not 64"
    with pytest.raises(ScheduleError) as refused:
        compile_request(request(engine=tiny, prefill_rows=2, cache=CacheFormat.KV8))
    assert str(refused.value) == "Head dimension of a kv8 cache must be 32, 64 or 128 and at most 16 x 1 slices, not 64"
    odd = dataclasses.replace(shape("smollm2-135m"), hidden=600)
    with pytest.raises(ScheduleError) as refused:
        compile_request(request(config=odd))
    assert str(refused.value) == "Inputs of layers.{}.qkv must be a multiple of 32, the W4 group (24 too many), not 600"
    with pytest.raises(ScheduleError, match=r"Rows of a prefill run must be 1 to 4, the engine's token rows for W4 weights, not 5"):
        compile_request(request(prefill_rows=5))
    with pytest.raises(ScheduleError, match=r"Weights and cache must fit 268435456 bytes behind each port of small, not need"):
        compile_request(request("llama-2-7b", layers=Format.W2S))
    small = load_engine("small").with_values({"buffer.result_words": 1024})
    with pytest.raises(
        ScheduleError,
        match=r"Node layers\.\{\}\.gateup must fit the result memory of small: it needs 768 words, 640 of 1024 are left",
    ):
        compile_request(request(engine=small))
