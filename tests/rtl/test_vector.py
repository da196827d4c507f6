"""The vector unit writes what the arithmetic of docs/engine.md section 5 says, in exactly the cycles it says."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from amaranth.sim import Simulator

from hwsim.arch import numerics, timing
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Instruction
from hwsim.arch.isa import CacheKind, KvQuant, Norm, Quant, Rope, Softmax, SwiGlu
from hwsim.errors import ConfigError
from rtl.control import CLEAR_CYCLES
from rtl.vector import Vector
from rtl.vector.unit import check_timing

READ_PORTS = {"y_a": "y", "y_b": "y", "x": "x", "p": "p", "h": "h"}
KINDS = (Norm, Quant, SwiGlu, Rope, Softmax, KvQuant)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """What an instruction leaves behind, in the order of the writes."""

    codes: list[tuple[int, int, list[int]]] = dataclasses.field(default_factory=list)
    """Row, address in words of V codes, codes."""
    scales: list[tuple[int, int, int, int]] = dataclasses.field(default_factory=list)
    """Entry, mantissa, exponent, zero sum."""
    packed: list[tuple[int, list[int], int]] = dataclasses.field(default_factory=list)
    """Entry, words, parameter."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """An instruction with the operand registers it is dispatched with."""

    instruction: Instruction
    operands: tuple[int, int, int] = (0, 0, 0)

    def value(self, name: str) -> int:
        declared = type(self.instruction).field(name)
        return getattr(self.instruction, name) + (0 if declared.register is None else self.operands[declared.register])

    @property
    def rows(self) -> int:
        return getattr(self.instruction, "rows", 1)

    @property
    def words(self) -> int:
        if isinstance(self.instruction, Softmax):
            return self.value("sink_words") + self.value("ring_words")
        return self.value("length")

    @property
    def cycles(self) -> int:
        """Cycles from issue to retirement by the law."""
        passes, scalar = {
            Norm: (2, timing.NORM_SCALAR),
            Softmax: (3, timing.SOFTMAX_SCALAR),
            KvQuant: (2, timing.KV_SCALAR),
        }.get(type(self.instruction), (2, timing.QUANT_SCALAR))
        return 1 + self.rows * (passes * (self.words + timing.PASS_LATENCY) + scalar)


def parameter(words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mantissa, exponent and zero point of parameter words."""
    exponent = (words >> 16) & 0xFF
    return words & 0xFFFF, exponent - 256 * (exponent >> 7), (words >> 24) & 0xFF


def rotated(values: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return a head turned by its rotation; values and rotation are (words, lanes)."""
    half = len(values) // 2
    partner = np.concatenate([values[half:], values[:half]])
    cosine = ((rotation & 0xFFFF) ^ 0x8000) - 0x8000
    total = values * cosine + partner * (rotation >> 16)
    return numerics.saturate(numerics.round_shift(total, numerics.ROPE_BITS), 32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """A call, the memories it read, what it wrote and what it should have."""

    call: Call
    memories: dict[str, np.ndarray]
    written: Written
    golden: Written


class Golden:
    """Meaning of the vector instructions on memories of shape (words, lanes), straight from the arithmetic."""

    def __init__(self, memories: dict[str, np.ndarray], lanes: int):
        self.memories, self.lanes = memories, lanes

    def run(self, call: Call) -> Written:
        written = Written()
        if isinstance(call.instruction, KvQuant):
            self._pack(call, written)
            return written
        for row in range(call.rows):
            codes, mantissa, exponent, zero_sum = self._row(call, row)
            base = call.value("destination") * (64 // self.lanes)
            written.codes.extend((row, base + number, word.tolist()) for number, word in enumerate(codes))
            written.scales.append((call.value("scale") + row, int(mantissa), int(exponent), int(zero_sum)))
        return written

    def _read(self, memory: str, start: int, words: int) -> np.ndarray:
        return self.memories[memory][start : start + words]

    def _row(self, call: Call, row: int) -> tuple[np.ndarray, int, int, int]:
        kind, words = type(call.instruction), call.words
        start = call.value("source") + row * call.value("stride")
        if kind is Softmax:
            return self._softmax(call, self._read("y", start, words))
        factor = None
        if kind is Norm:
            x = self._read("x", start, words)
            gain = self._read("p", call.value("parameter"), words)
            constants = self._read("p", call.value("parameter") + words, 1)[0]
            y = numerics.saturate(numerics.round_shift(x * gain, call.value("shift")), 32)
            squares = numerics.round_shift(x * x, numerics.SQUARE_SHIFT).sum() + constants[0]
            mantissa, exponent = numerics.normalize(squares)
            factor = numerics.rsqrt(numerics.combine((mantissa, exponent - 18), parameter(constants[1])[:2]))
        elif kind is SwiGlu:
            gate = self._read("y", start, words)
            up = self._read("y", call.value("up") + row * call.value("stride"), words)
            y = numerics.saturate(numerics.round_shift(numerics.silu(gate) * up, 16), 32)
        elif kind is Rope:
            y = rotated(self._read("y", start, words), self._read("p", call.value("parameter"), words))
            factor = np.int64(call.value("mantissa")), np.int64(call.value("exponent"))
        else:
            y = self._read("y", start, words)
        inverse, (mantissa, exponent) = numerics.quantize_inverse(np.abs(y).max())
        scale = mantissa, exponent - 16
        if factor is not None:
            scale = numerics.combine(scale, factor)
        return numerics.quantize_act(y, inverse), *scale, 0

    def _softmax(self, call: Call, scores: np.ndarray) -> tuple[np.ndarray, int, int, int]:
        sinks = call.value("sink_words") * self.lanes
        index = np.arange(scores.size)
        valid = np.where(index < sinks, index < call.value("sinks"), index - sinks < call.value("ring"))
        valid = valid.reshape(scores.shape)
        mantissa, exponent, zero = parameter(self._read("h", call.value("side"), len(scores)))
        top = scores[valid].max(initial=-(1 << 31))
        e = np.where(valid, numerics.exp2_neg(np.maximum(top - scores, 0)), 0)
        w = numerics.apply_scale(e, (mantissa, exponent), 5)
        inverse, s = numerics.quantize_inverse(w.max())
        share = numerics.reciprocal(numerics.normalize(e.sum()))
        scale = numerics.combine((s[0], s[1] - 20), (share[0], share[1] + 15))
        codes = np.where(valid, np.maximum(numerics.quantize_act(w, inverse), 0), 0)
        return codes, *scale, numerics.wrap32((codes * zero).sum())

    def _pack(self, call: Call, written: Written) -> None:
        y = self._read("y", call.value("source"), call.words)
        if call.value("kind") == CacheKind.KEY:
            y = rotated(y, self._read("p", call.value("parameter"), call.words))
        inverse, (mantissa, exponent), zero = numerics.kv_inverse(min(y.min(), 0), max(y.max(), 0))
        codes = numerics.quantize_kv(y, inverse, zero).reshape(-1)
        words = [0] * 4
        spread = codes.size // 32
        for d, code in enumerate(codes.tolist()):
            word, nibble = (d // 32, d % 32) if call.value("kind") == CacheKind.KEY else (d % spread, d // spread)
            words[word] |= code << (4 * nibble)
        word = int(mantissa) | (int(exponent - 16) & 0xFF) << 16 | int(zero) << 24
        written.packed.append((call.value("entry"), words, word))


class Bench:
    """Memories around a vector unit, and a record of what it writes and when."""

    def __init__(self, config: EngineConfig):
        self.unit = Vector(config)
        self.config, self.lanes = config, config.vector.lanes
        self.words: dict[str, list[int]] = {}
        self.memories: dict[str, np.ndarray] = {}
        self.simulator = Simulator(self.unit)
        self.simulator.add_clock(1e-8)
        self.simulator.add_process(self._serve)
        self.written = Written()
        self.retired: list[int] = []
        self.issued: list[int] = []
        self.simulator.add_testbench(self._watch, background=True)

    def load(self, memories: dict[str, np.ndarray]) -> None:
        """Fill the memories with (words, lanes) values."""
        self.memories = memories
        for name, values in memories.items():
            rows = (values & 0xFFFFFFFF).astype("<u4")
            self.words[name] = [int.from_bytes(row.tobytes(), "little") for row in rows]

    async def _serve(self, ctx):
        unit = self.unit
        addresses = [getattr(unit, f"{port}_address") for port in READ_PORTS]
        outputs = [getattr(unit, f"{port}_data") for port in READ_PORTS]
        async for _, _, *wanted in ctx.tick().sample(*addresses):
            for memory, address, output in zip(READ_PORTS.values(), wanted, outputs, strict=True):
                ctx.set(output, self.words[memory][address])

    async def _watch(self, ctx):
        unit, cycle = self.unit, 0
        codes = unit.a_enable, unit.a_row, unit.a_address, unit.a_data
        scale = unit.scale_enable, unit.scale_address, unit.scale_data.as_value()
        state = unit.issue, unit.retire, unit.busy, unit.clear
        ticks = ctx.tick().sample(*codes, *scale, *state)
        async for _, _, coded, row, address, word, scaled, entry, value, issue, retire, busy, clear in ticks:
            if coded:
                values = np.frombuffer(word.to_bytes(self.lanes, "little"), np.int8).tolist()
                self.written.codes.append((row, address, values))
            if scaled:
                exponent, zero_sum = (value >> 16) & 0x3FF, value >> 26
                self.written.scales.append(
                    (entry, value & 0xFFFF, exponent - 1024 * (exponent >> 9), zero_sum - (zero_sum >> 31 << 32))
                )
            assert busy == (len(self.issued) > len(self.retired))
            assert busy or not (coded or scaled)
            if issue:
                self.issued.append(cycle)
            if retire:
                self.retired.append(cycle)
            if clear:
                del self.issued[len(self.retired) :]
            cycle += 1

    def run(self, calls: Iterator[tuple[dict[str, np.ndarray], Call, int]]) -> list[Result]:
        """Run each of (memories, call, idle cycles before it)."""
        results = []

        async def drive(ctx):
            for memories, call, gap in calls:
                self.load(memories)
                await self.execute(ctx, call, gap)
                golden = Golden(memories, self.lanes).run(call)
                results.append(Result(call=call, memories=memories, written=self.written, golden=golden))
                self.written = Written()

        self.simulator.add_testbench(drive)
        self.simulator.run()
        return results

    async def execute(self, ctx, call: Call, gap: int) -> None:
        """Issue a call after idle cycles and wait until it has retired, at the cycle of the law."""
        unit = self.unit
        if gap:
            await ctx.tick().repeat(gap)
        ctx.set(unit.command.word, call.instruction.encode())
        for slot, operand in enumerate(call.operands):
            ctx.set(unit.command.operand[slot], operand)
        ctx.set(unit.command_valid, 1)
        assert ctx.get(unit.issue)
        await ctx.tick()
        # The unit has taken the command: the queue may show another one.
        ctx.set(unit.command.word, (1 << 128) - 1 - call.instruction.encode())
        await ctx.tick().until(unit.retire)
        ctx.set(unit.command_valid, 0)
        assert self.retired[-1] - self.issued[-1] == call.cycles, call
        if isinstance(call.instruction, KvQuant):
            # Addressed in the cycle after retirement.
            entry = call.value("entry")
            ctx.set(unit.pack_address, entry)
            await ctx.tick()
            packed = ctx.get(unit.pack_data.as_value())
            words = [(packed >> (128 * word)) & ((1 << 128) - 1) for word in range(4)]
            self.written.packed.append((entry, words, packed >> 512))


def engine(lanes: int) -> EngineConfig:
    return load_engine("tiny").with_values({"vector.lanes": lanes})


def fixed_values(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return fixed values of one flavour: moderate, of every magnitude, extremes only, or all zero."""
    flavour = rng.choice(["moderate", "every", "extreme", "zero", "tiny"], p=[0.4, 0.3, 0.15, 0.05, 0.1])
    if flavour == "zero":
        return np.zeros(shape, dtype=np.int64)
    if flavour == "extreme":
        return rng.choice(np.array([-(2**31), 2**31 - 1, 0, 1, -1]), shape)
    limit = {"moderate": 20, "every": 31, "tiny": 3}[str(flavour)]
    values = rng.integers(-(2**limit), 2**limit, shape)
    return values >> rng.integers(0, 31, shape) if flavour == "every" else values


def parameters(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return parameter words as signed values, now and then with a zero mantissa or an odd exponent."""
    mantissa = np.where(rng.random(shape) < 0.05, 0, rng.integers(32768, 65536, shape))
    exponent = np.where(rng.random(shape) < 0.05, rng.integers(-128, 128, shape), rng.integers(-24, -8, shape))
    zero = np.where(rng.random(shape) < 0.05, 255, rng.integers(0, 16, shape))
    return numerics.wrap32(mantissa | (exponent & 0xFF) << 16 | zero << 24)


def rotation(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return rotation words: mostly points on the circle, at times any bits."""
    if rng.random() < 0.2:
        return rng.integers(-(2**31), 2**31, shape)
    angle = rng.random(shape) * 2 * np.pi
    cosine, sine = (np.round(f(angle) * (1 << numerics.ROPE_BITS)).astype(np.int64) for f in (np.cos, np.sin))
    return numerics.wrap32((cosine & 0xFFFF) | sine << 16)


def random_memories(rng: np.random.Generator, config: EngineConfig) -> dict[str, np.ndarray]:
    """Return contents of every memory the unit reads."""
    lanes, buffer = config.vector.lanes, config.buffer
    return {
        "y": fixed_values(rng, (buffer.result_words, lanes)),
        "x": fixed_values(rng, (buffer.residual_words, lanes)),
        "p": fixed_values(rng, (buffer.parameter_words, lanes)),
        "h": parameters(rng, (buffer.side_words, lanes)),
    }


def random_call(rng: np.random.Generator, kind: type[Instruction], config: EngineConfig, memories: dict) -> Call:
    """Return a random instruction inside the memories; its constants are put into the parameter memory."""
    buffer, lanes = config.buffer, config.vector.lanes
    rows = int(rng.choice(4, p=[0.05, 0.45, 0.25, 0.25]))
    length = int(rng.integers(1, 12))
    p = memories["p"]

    def place(limit: int, words: int) -> int:
        return int(rng.integers(0, limit - words + 1))

    stride = int(rng.integers(0, 24))
    span = max(0, rows - 1) * stride + length + 1
    shared = {
        "rows": rows,
        "stride": stride,
        "destination": place(buffer.activation_segments, 4),
        "scale": place(buffer.scales, rows),
    }
    if kind is Norm:
        at = place(buffer.parameter_words, length + 1)
        p[at + length, 0] = rng.choice([0, 1, 700, 2**31 - 1])
        p[at + length, 1] = parameters(rng, ())
        source = place(buffer.residual_words, span)
        return Call(
            instruction=Norm(
                **shared, source=source, length=length, parameter=at, shift=int(rng.choice([0, 14, 16, 31]))
            )
        )
    source = place(buffer.result_words, span)
    if kind is Quant:
        return Call(instruction=Quant(**shared, source=source, length=length))
    if kind is SwiGlu:
        up = place(buffer.result_words, span)
        return Call(instruction=SwiGlu(**shared, source=source, up=up, length=length))
    if kind is Rope:
        length = 2 * max(1, length // 2)
        at = place(buffer.parameter_words, length)
        p[at : at + length] = rotation(rng, (length, lanes))
        factor = {"mantissa": int(rng.integers(0, 65536)), "exponent": int(rng.integers(-128, 128))}
        return Call(instruction=Rope(**shared, **factor, source=source, length=length, parameter=at))
    if kind is KvQuant:
        half = CacheKind(int(rng.integers(0, 2)))
        # Keys have an even number of words.
        length = max(int(rng.choice([32, 64, 128])) // lanes, 2 if half == CacheKind.KEY else 1)
        at = place(buffer.parameter_words, length)
        p[at : at + length] = rotation(rng, (length, lanes))
        source = place(buffer.result_words, length)
        entry = int(rng.integers(0, 8))
        return Call(instruction=KvQuant(kind=half, source=source, length=length, parameter=at, entry=entry))
    sink_words, ring_words = int(rng.integers(0, 4)), int(rng.integers(0, 8))
    words = max(1, sink_words + ring_words)
    ring_words = words - sink_words
    sinks = int(rng.integers(0, sink_words * lanes + 1))
    ring = int(rng.integers(0, ring_words * lanes + 1))
    parts = [min(sinks, 3), min(ring_words, 2), min(ring, 200)]
    source = place(buffer.result_words, max(0, rows - 1) * stride + words)
    instruction = Softmax(
        **shared,
        source=source,
        side=place(buffer.side_words, words),
        sink_words=sink_words,
        sinks=parts[0],
        ring_words=parts[1],
        ring=parts[2],
    )
    return Call(instruction=instruction, operands=(sinks - parts[0], ring_words - parts[1], ring - parts[2]))


def random_calls(rng: np.random.Generator, config: EngineConfig, calls: int, kinds: Sequence[type[Instruction]]):
    """Yield memories, a call and idle cycles before it, `calls` of each kind; most are issued when the unit is free."""
    for _ in range(calls):
        memories = random_memories(rng, config)
        order = [kinds[place] for place in rng.permutation(len(kinds))]
        for kind in order:
            memories = {**memories, "p": memories["p"].copy()}
            yield memories, random_call(rng, kind, config, memories), int(rng.choice([0, 0, 3]))


@pytest.mark.parametrize(("lanes", "calls"), [(4, 12), (8, 6), (32, 1)])
def test_random_instructions(lanes, calls, rng):
    config = engine(lanes)
    for result in Bench(config).run(random_calls(rng, config, calls, KINDS)):
        assert result.written == result.golden, result.call


def test_a_golden_that_rounds_down_is_refuted(rng, monkeypatch):
    config = engine(4)
    results = Bench(config).run(random_calls(rng, config, 2, (Quant, Rope)))
    assert all(result.written == result.golden for result in results)
    monkeypatch.setattr(numerics, "round_shift", lambda x, shift: x >> shift)
    assert any(result.written != Golden(result.memories, 4).run(result.call) for result in results)


def test_clear_forgets_the_instruction_under_way(rng):
    config = engine(4)
    bench = Bench(config)
    calls = list(random_calls(rng, config, 1, (Softmax, SwiGlu)))
    results = []

    async def drive(ctx):
        unit = bench.unit
        for memories, call, _ in calls:
            bench.load(memories)
            ctx.set(unit.command.word, dataclasses.replace(call.instruction, rows=3).encode())
            ctx.set(unit.command_valid, 1)
            await ctx.tick()
            ctx.set(unit.command_valid, 0)
            await ctx.tick().repeat(int(rng.integers(1, 90)))
            assert ctx.get(unit.busy)
            ctx.set(unit.clear, 1)
            await ctx.tick().repeat(CLEAR_CYCLES)
            ctx.set(unit.clear, 0)
            bench.written = Written()
            await bench.execute(ctx, call, 0)
            results.append((bench.written, Golden(memories, 4).run(call)))
            bench.written = Written()

    bench.simulator.add_testbench(drive)
    bench.simulator.run()
    assert len(results) == 2
    assert all(written == golden for written, golden in results)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PASS_LATENCY", "PASS_LATENCY must be at least 18 cycles, not 1"),
        ("QUANT_SCALAR", "QUANT_SCALAR must be at least 9 cycles, not 1"),
        ("KV_SCALAR", "KV_SCALAR must be at least 9 cycles, not 1"),
    ],
)
def test_a_law_without_time_for_the_circuit_is_refused(name, text, monkeypatch):
    monkeypatch.setattr("rtl.vector.unit." + name, 1)
    with pytest.raises(ConfigError, match=text):
        check_timing(32)
