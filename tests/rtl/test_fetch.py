"""FETCH requests, delivers and retires by docs/engine.md section 3, under stalls."""

import dataclasses
import itertools

import numpy as np
import pytest
from amaranth.sim import Simulator

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import Fetch as FetchInstruction
from hwsim.arch.timing import FIFO_LATENCY
from rtl.fetch import Fetch

READ_LATENCY = 5
BASE = 0x40000


@dataclasses.dataclass
class Trace:
    """What happened, by cycle."""

    issues: list[int]
    retires: list[int]
    addresses: list[list[tuple[int, int, int]]]
    """Of each port: cycle of acceptance, first beat, beats."""
    valid: list[list[int]]
    """Of each port: cycles in which its address was up."""
    beats: list[list[int]]
    """Of each port: cycle in which each beat arrived."""
    pops: list[int]
    heads: list[tuple[int, ...]]
    ready: list[int]
    """Cycles in which the heads could be popped."""


def content(port: int, beat: int, bits: int) -> int:
    """Return the word of a port's memory."""
    return (beat * 0x9E3779B97F4A7C15F39CC0605CEDC835 + port * 0x2545F4914F6CDD1D) % (1 << bits)


class Memory:
    """An AXI read port: beats from READ_LATENCY after acceptance on, in order, channels held down at random."""

    def __init__(self, port: int, config: EngineConfig, rng: np.random.Generator, stall: float, fail: int | None = None):
        self.port, self.config, self.rng, self.stall, self.fail = port, config, rng, stall, fail
        self.queue: list[tuple[int, int]] = []
        self.was_up: tuple[int, int] | None = None

    def drive(self, ctx, axi, cycle: int) -> bool:
        """Set this cycle's inputs; return whether a beat arrives."""
        has_beat = bool(self.queue) and self.queue[0][0] <= cycle and self.rng.random() >= self.stall
        ctx.set(axi.arready, int(self.rng.random() >= self.stall))
        ctx.set(axi.rvalid, int(has_beat))
        if has_beat:
            _, beat = self.queue.pop(0)
            ctx.set(axi.rdata, content(self.port, beat, self.config.tile.port_bits))
            ctx.set(axi.rresp, 2 if beat == self.fail else 0)
        return has_beat

    def observe(self, ctx, axi, cycle: int, trace: Trace) -> None:
        """Take an accepted address; a raised one must stay as it is until accepted."""
        is_up = ctx.get(axi.arvalid)
        request = ctx.get(axi.araddr), ctx.get(axi.arlen) + 1
        if self.was_up:
            assert is_up, "arvalid fell before it was accepted"
            assert request == self.was_up
        if is_up:
            trace.valid[self.port].append(cycle)
        self.was_up = request if is_up and not ctx.get(axi.arready) else None
        if is_up and ctx.get(axi.arready):
            first = (request[0] - BASE - (self.port << 20)) // self.config.tile.port_bytes
            trace.addresses[self.port].append((cycle, first, request[1]))
            self.queue += [(cycle + READ_LATENCY, first + index) for index in range(request[1])]
        assert ctx.get(axi.rready)


def play(config: EngineConfig, commands, *, stall: float, hunger: float, cycles: int, seed: int) -> Trace:
    """Run commands of (offset, register, beats); pop with probability `hunger` when the heads are valid."""
    rng = np.random.default_rng(seed)
    dut = Fetch(config, inline=True)
    ports = config.tile.ports
    trace = Trace([], [], [[] for _ in range(ports)], [[] for _ in range(ports)], [[] for _ in range(ports)], [], [], [])

    async def bench(ctx):
        memories = [Memory(port, config, rng, stall) for port in range(ports)]
        for port in range(ports):
            ctx.set(dut.bases[port], BASE + (port << 20))
        taken = 0
        for cycle in range(cycles):
            for port, memory in enumerate(memories):
                if memory.drive(ctx, dut.axi[port], cycle):
                    trace.beats[port].append(cycle)
            ctx.set(dut.command_valid, int(taken < len(commands)))
            if taken < len(commands):
                offset, register, beats = commands[taken]
                ctx.set(dut.command.word, FetchInstruction(offset=offset, beats=beats, registers=(1, 2, 0)).encode())
                ctx.set(dut.command.operand[0], register)
                ctx.set(dut.command.operand[1], 0)
            is_valid = ctx.get(dut.head_valid)
            pop = int(is_valid and rng.random() < hunger)
            ctx.set(dut.pop, pop)
            if is_valid:
                trace.ready.append(cycle)
            if pop:
                trace.pops.append(cycle)
                trace.heads.append(tuple(ctx.get(dut.head[port]) for port in range(ports)))
            for port, memory in enumerate(memories):
                memory.observe(ctx, dut.axi[port], cycle, trace)
            if ctx.get(dut.issue):
                trace.issues.append(cycle)
                taken += 1
            if ctx.get(dut.retire):
                trace.retires.append(cycle)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return trace


COMMANDS = [(0, 0, 40), (3, 4, 9), (16, 0, 0), (5, 0, 1), (1023, 0, 70), (8, 0, 16)]
ENGINES = [load_engine("tiny"), load_engine("tiny").with_values({"tile.ports": 4, "fetch.burst_beats": 4, "fetch.fifo_beats": 8})]


@pytest.mark.parametrize("config", ENGINES, ids=["one_port", "four_ports"])
@pytest.mark.parametrize(("stall", "hunger"), [(0.0, 1.0), (0.3, 1.0), (0.0, 0.2), (0.3, 0.5)])
def test_laws(config, stall, hunger):
    trace = play(config, COMMANDS, stall=stall, hunger=hunger, cycles=900, seed=1)
    burst, depth = config.fetch.burst_beats, config.fetch.fifo_beats
    ranges = [(offset + register, beats) for offset, register, beats in COMMANDS]
    wanted = [first + index for first, beats in ranges for index in range(beats)]

    # Data, in order.
    assert trace.heads == [
        tuple(content(port, beat, config.tile.port_bits) for port in range(config.tile.ports)) for beat in wanted
    ]
    # Bursts end at multiples of the burst length, and rise in the first cycle with the credit for them.
    assert len(trace.issues) == len(trace.retires) == len(COMMANDS)
    for port in range(config.tile.ports):
        accepted = iter(trace.addresses[port])
        asked = 0
        for (first, beats), issue, retire in zip(ranges, trace.issues, trace.retires, strict=True):
            since, rest = issue + 1, beats
            while rest:
                length = min(rest, burst - first % burst)
                cycle, got_first, got_length = next(accepted)
                assert (got_first, got_length) == (first, length)
                asked += length
                missing = asked - depth
                has_credit = trace.pops[missing - 1] + 1 if missing > 0 else 0
                up = [c for c in trace.valid[port] if since <= c <= cycle]
                assert up == list(range(max(since, has_credit), cycle + 1))
                since, first, rest = cycle + 1, first + length, rest - length
            assert since <= retire
        assert next(accepted, None) is None
    # A beat can be popped FIFO_LATENCY after it arrived, exactly.
    latest = np.array(trace.beats).max(axis=0) + FIFO_LATENCY
    ready, popped = set(), 0
    for cycle in range(900):
        if popped < len(latest) and latest[popped] <= cycle:
            ready.add(cycle)
        popped += cycle in trace.pops
    assert ready == set(trace.ready)
    # Retirement follows the last acceptance of any port, or the issue of an empty range.
    last = [[c for c, _, _ in trace.addresses[port]] for port in range(config.tile.ports)]
    for issue, retire, (_, beats) in zip(trace.issues, trace.retires, ranges, strict=True):
        final = max((c for cycles in last for c in cycles if issue < c < retire), default=issue)
        assert retire == (final if beats else issue) + 1
    # The next issue is the cycle after retirement: its queue entry waited.
    assert trace.issues[1:] == [retire + 1 for retire in trace.retires[:-1]]


def test_full_rate():
    trace = play(ENGINES[0], [(0, 0, 200)], stall=0.0, hunger=1.0, cycles=300, seed=0)
    assert len(trace.pops) == 200
    assert trace.pops == list(range(trace.pops[0], trace.pops[0] + 200))


def test_error_stop_and_clear():
    config = ENGINES[1]
    dut = Fetch(config, inline=True)
    rng = np.random.default_rng(5)
    trace = Trace([], [], [[] for _ in range(4)], [[] for _ in range(4)], [[] for _ in range(4)], [], [], [])

    clock = itertools.count()

    async def run(ctx, memories, cycles, *, hungry, until=None):
        for _ in range(cycles):
            if until is not None and until():
                return
            cycle = next(clock)
            for port, memory in enumerate(memories):
                memory.drive(ctx, dut.axi[port], cycle)
            ctx.set(dut.pop, int(hungry and ctx.get(dut.head_valid)))
            if ctx.get(dut.pop):
                trace.heads.append(tuple(ctx.get(dut.head[port]) for port in range(4)))
            for port, memory in enumerate(memories):
                memory.observe(ctx, dut.axi[port], cycle, trace)
            issued = ctx.get(dut.issue)
            await ctx.tick()
            if issued:
                ctx.set(dut.command_valid, 0)
        assert until is None

    async def bench(ctx):
        for port in range(4):
            ctx.set(dut.bases[port], BASE + (port << 20))
        memories = [Memory(port, config, rng, 0.3, fail=9 if port == 2 else None) for port in range(4)]
        ctx.set(dut.command.word, FetchInstruction(offset=2, beats=60).encode())
        ctx.set(dut.command_valid, 1)
        await run(ctx, memories, 200, hungry=True, until=lambda: ctx.get(dut.bus_error))
        assert ctx.get(dut.bus_error_port) == 2
        ctx.set(dut.stop, 1)
        await run(ctx, memories, 200, hungry=False, until=lambda: ctx.get(dut.quiet))
        assert not any(memory.queue for memory in memories)
        accepted = [len(port) for port in trace.addresses]
        await run(ctx, memories, 20, hungry=False)
        assert accepted == [len(port) for port in trace.addresses]
        assert ctx.get(dut.quiet)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        ctx.set(dut.stop, 0)
        assert not ctx.get(dut.head_valid)
        trace.heads.clear()
        memories = [Memory(port, config, rng, 0.3) for port in range(4)]
        ctx.set(dut.command.word, FetchInstruction(offset=7, beats=30).encode())
        ctx.set(dut.command_valid, 1)
        await run(ctx, memories, 300, hungry=True)
        assert trace.heads == [tuple(content(port, 7 + beat, config.tile.port_bits) for port in range(4)) for beat in range(30)]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
