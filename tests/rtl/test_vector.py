"""The vector unit writes what the arithmetic of docs/engine.md section 5 says, in exactly the cycles it says, rows overlapped."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from amaranth import Module
from amaranth.sim import Simulator

from hwsim.arch import numerics, timing
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.fields import Instruction
from hwsim.arch.isa import CacheFormat, CacheKind, KvQuant, Norm, Quant, Rope, Softmax, SwiGlu
from hwsim.errors import ConfigError
from rtl.control import CLEAR_CYCLES
from rtl.interfaces import PACK_WORDS
from rtl.vector import Vector
from rtl.vector.operation import Decoder, Length
from rtl.vector.stages import check_timing

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
        if self.rows == 0:
            return 1
        if isinstance(self.instruction, Softmax):
            return self.value("sink_words") + self.value("ring_words")
        return self.value("length")

    @property
    def first_cycles(self) -> int:
        """Cycles of the first passes over a row."""
        if isinstance(self.instruction, Softmax):
            return 2 * self.words + timing.PEAK_LATENCY if self.rows else 1
        return self.words + (1 if isinstance(self.instruction, Norm) and self.rows else 0)


class Law:
    """The timing law, by trying cycle after cycle: `issue` takes calls in order and keeps what was expected of each."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.free_from = self.codes_end = self.issue_from = 0
        self.rows: list[tuple[int, int]] = []

    def issue(self, call: Call, cycle: int) -> int:
        """Return the cycle of retirement of a call issued in `cycle`."""
        start = cycle + 1
        for _ in range(max(1, call.rows)):
            start = max(start, self.free_from)
            while not self._fits(call.words, start):
                start += 1
            self.free_from = start + call.first_cycles
            self.codes_end = max(self.free_from + timing.MEASURE_LATENCY, self.codes_end) + call.words
            self.rows.append((call.words, self.codes_end))
        self.issue_from = max(start + 1, self.free_from - 1)
        return self.codes_end + timing.CODE_LATENCY

    def _fits(self, words: int, cycle: int) -> bool:
        held = [length for length, end in self.rows if end > cycle]
        return len(held) < timing.VECTOR_ROWS and sum(held) + words <= self.capacity


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
    """Calls that overlapped, the memories they read, what they wrote and what they should have."""

    calls: list[Call]
    memories: dict[str, np.ndarray]
    written: Written
    golden: Written


class Golden:
    """Meaning of the vector instructions on memories of shape (words, lanes), straight from the arithmetic."""

    def __init__(self, memories: dict[str, np.ndarray], lanes: int):
        self.memories, self.lanes = memories, lanes

    def run(self, calls: Sequence[Call]) -> Written:
        """Return what calls leave behind that follow each other."""
        written = Written()
        for call in calls:
            self._run(call, written)
        return written

    def _run(self, call: Call, written: Written) -> None:
        if isinstance(call.instruction, KvQuant):
            self._pack(call, written)
            return
        for row in range(call.rows):
            codes, mantissa, exponent, zero_sum = self._row(call, row)
            base = call.value("destination") * (64 // self.lanes)
            written.codes.extend((row, base + number, word.tolist()) for number, word in enumerate(codes))
            written.scales.append((call.value("scale") + row, int(mantissa), int(exponent), int(zero_sum)))

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
        bits = 8 if call.value("cache") == CacheFormat.KV8 else 4
        inverse, (mantissa, exponent), zero = numerics.kv_inverse(min(y.min(), 0), max(y.max(), 0), bits)
        codes = numerics.quantize_kv(y, inverse, zero, bits).reshape(-1)
        words = [0] * PACK_WORDS
        spread = codes.size // 32
        for d, code in enumerate(codes.tolist()):
            part, nibble = (d // 32, d % 32) if call.value("kind") == CacheKind.KEY else (d % spread, d // spread)
            if bits == 8:
                words[2 * part] |= (code & 15) << (4 * nibble)
                words[2 * part + 1] |= (code >> 4) << (4 * nibble)
            else:
                words[part] |= code << (4 * nibble)
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
        self.cycle = 0
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
        unit = self.unit
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
                self.issued.append(self.cycle)
            if retire:
                self.retired.append(self.cycle)
            if clear:
                del self.issued[len(self.retired) :]
            self.cycle += 1

    def run(self, batches: Iterator[tuple[dict[str, np.ndarray], list[tuple[Call, int]]]]) -> list[Result]:
        """Run batches of (memories, calls with the idle cycles before each)."""
        results = []

        async def drive(ctx):
            for memories, calls in batches:
                self.load(memories)
                await self.execute(ctx, calls)
                plain = [call for call, _ in calls]
                golden = Golden(memories, self.lanes).run(plain)
                results.append(Result(calls=plain, memories=memories, written=self.written, golden=golden))
                self.written = Written()

        self.simulator.add_testbench(drive)
        self.simulator.run()
        return results

    async def execute(self, ctx, calls: Sequence[tuple[Call, int]]) -> None:
        """Issue calls after idle cycles, each as soon as the unit takes it, and wait until all have retired, by the law."""
        unit = self.unit
        law, expected = Law(self.config.temporary_words), []
        first = len(self.retired)
        for call, gap in calls:
            if gap:
                await ctx.tick().repeat(gap)
            ctx.set(unit.command.word, call.instruction.encode())
            for slot, operand in enumerate(call.operands):
                ctx.set(unit.command.operand[slot], operand)
            ctx.set(unit.command_valid, 1)
            asked = self.cycle
            while not ctx.get(unit.issue):
                await ctx.tick()
            assert self.cycle == max(asked, law.issue_from), call
            expected.append(law.issue(call, self.cycle))
            await ctx.tick()
            ctx.set(unit.command_valid, 0)
            # The unit has taken the command: the queue may show another one.
            ctx.set(unit.command.word, (1 << 128) - 1 - call.instruction.encode())
        while len(self.retired) < first + len(calls):
            await ctx.tick()
        assert self.retired[first:] == expected, (self.retired[first:], expected, calls)
        for call, _ in calls:
            if isinstance(call.instruction, KvQuant):
                entry = call.value("entry")
                ctx.set(unit.pack_address, entry)
                await ctx.tick().repeat(2)
                packed = ctx.get(unit.pack_data.as_value())
                words = [(packed >> (128 * word)) & ((1 << 128) - 1) for word in range(PACK_WORDS)]
                self.written.packed.append((entry, words, packed >> 128 * PACK_WORDS))


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
        return Call(instruction=Norm(**shared, source=source, length=length, parameter=at, shift=int(rng.choice([0, 14, 16, 31]))))
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
        cache = CacheFormat(int(rng.integers(0, 2)))
        return Call(instruction=KvQuant(kind=half, source=source, length=length, parameter=at, entry=entry, cache=cache))
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


def random_batches(rng: np.random.Generator, config: EngineConfig, batches: int, kinds: Sequence[type[Instruction]]):
    """Yield memories and calls, one of each kind in any order, now and then after idle cycles; parameters do not overlap."""
    for _ in range(batches):
        memories = random_memories(rng, config)
        calls: list[tuple[Call, int]] = []
        for place in rng.permutation(len(kinds)):
            # A call writes its constants into a copy, which counts for all unless it changes what another reads.
            while True:
                attempt = {**memories, "p": memories["p"].copy()}
                call = random_call(rng, kinds[place], config, attempt)
                others = [other for other, _ in calls]
                before, after = Golden(memories, config.vector.lanes), Golden(attempt, config.vector.lanes)
                if all(before.run([other]) == after.run([other]) for other in others):
                    break
            memories = attempt
            calls.append((call, int(rng.choice([0, 0, 0, 3, 60]))))
        yield memories, calls


@pytest.mark.parametrize(("lanes", "batches"), [(4, 14), (8, 7), (32, 2)])
def test_random_instructions_overlapped(lanes, batches, rng):
    config = engine(lanes)
    for result in Bench(config).run(random_batches(rng, config, batches, KINDS)):
        assert result.written == result.golden, result.calls


@pytest.mark.parametrize(("lanes", "batches"), [(4, 40), (32, 16)])
def test_heads_of_both_caches_with_other_codes_under_way(lanes, batches, rng):
    config = engine(lanes)
    results = Bench(config).run(random_batches(rng, config, batches, (Quant, KvQuant)))
    assert all(result.written == result.golden for result in results)
    packed = [call.instruction for result in results for call in result.calls if isinstance(call.instruction, KvQuant)]
    assert {instruction.cache for instruction in packed} == set(CacheFormat)
    assert {instruction.kind for instruction in packed} == set(CacheKind)


def test_rows_wait_for_room_in_the_temporary_memory_and_for_rows_before(rng):
    config = engine(4).with_values({"buffer.result_words": 16})
    memories = random_memories(rng, config)
    shared = {"rows": 2, "source": 0, "stride": 0, "destination": 0, "scale": 0}
    long, short = (Call(instruction=Quant(**shared, length=length)) for length in (15, 1))
    calls = [(call, 0) for call in (long, short, long, *[short] * 8, long)]
    (result,) = Bench(config).run(iter([(memories, calls)]))
    assert result.written == result.golden


def test_a_golden_that_rounds_down_is_refuted(rng, monkeypatch):
    config = engine(4)
    results = Bench(config).run(random_batches(rng, config, 2, (Quant, Rope)))
    assert all(result.written == result.golden for result in results)
    monkeypatch.setattr(numerics, "round_shift", lambda x, shift: x >> shift)
    assert any(result.written != Golden(result.memories, 4).run(result.calls) for result in results)


def test_a_law_of_one_row_more_in_flight_is_refuted(rng, monkeypatch):
    config = engine(4)
    memories = random_memories(rng, config)
    call = Call(instruction=Quant(rows=2, source=0, stride=0, length=1, destination=0, scale=0))
    bench = Bench(config)
    monkeypatch.setattr(timing, "VECTOR_ROWS", timing.VECTOR_ROWS + 1)
    with pytest.raises(AssertionError):
        bench.run(iter([(memories, [(call, 0)] * 9)]))


def test_clear_forgets_the_instructions_under_way(rng):
    config = engine(4)
    bench = Bench(config)
    batches = list(random_batches(rng, config, 2, (Softmax, SwiGlu)))
    results = []

    async def drive(ctx):
        unit = bench.unit
        for memories, calls in batches:
            call = calls[0][0]
            bench.load(memories)
            ctx.set(unit.command.word, dataclasses.replace(call.instruction, rows=3).encode())
            ctx.set(unit.command_valid, 1)
            await ctx.tick()
            await ctx.tick().repeat(int(rng.integers(1, 60)))
            ctx.set(unit.command_valid, 0)
            assert ctx.get(unit.busy)
            ctx.set(unit.clear, 1)
            await ctx.tick().repeat(CLEAR_CYCLES)
            ctx.set(unit.clear, 0)
            bench.written = Written()
            await bench.execute(ctx, [(call, 0)])
            results.append((bench.written, Golden(memories, 4).run([call])))
            bench.written = Written()

    bench.simulator.add_testbench(drive)
    bench.simulator.run()
    assert len(results) == 2
    assert all(written == golden for written, golden in results)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PEAK_LATENCY", "PEAK_LATENCY must be at least 6 cycles, not 1"),
        ("MEASURE_LATENCY", "MEASURE_LATENCY must be at least 31 cycles, not 1"),
        ("CODE_LATENCY", "CODE_LATENCY must be at least 10 cycles, not 1"),
    ],
)
def test_a_law_without_time_for_the_circuit_is_refused(name, text, monkeypatch):
    monkeypatch.setattr("rtl.vector.stages." + name, 1)
    with pytest.raises(ConfigError, match=text):
        check_timing(32)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_of_0_and_1_are_told_before_the_sum(kind: type[Instruction], rng: np.random.Generator) -> None:
    m = Module()
    m.submodules.decoder, m.submodules.length = decoder, length = Decoder(), Length()
    counts = [0, 0]

    async def bench(ctx):
        for _ in range(300):
            few = {field.name: int(rng.integers(0, min(4, 1 << field.width))) for field in kind.layout}
            registers = rng.choice([0, 1, 2, 2**32 - 1, 2**32 - 2, 2**12], 3).tolist()
            for command in (decoder.command, length.command):
                ctx.set(command.word, kind(**few).encode())
                for slot, value in enumerate(registers):
                    ctx.set(command.operand[slot], value)
            for number, told in enumerate((length.empty, length.single)):
                is_so = ctx.get(decoder.operation.length) == number
                assert ctx.get(told) == is_so, (few, registers)
                counts[number] += is_so

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    print(f"lengths of 0 and 1: {counts}")
    assert counts[1] > 10
