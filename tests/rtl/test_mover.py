"""The mover against its law: when beats rise and instructions retire, and which bytes move, under random stalls."""

import random

import pytest
from amaranth import Module
from amaranth.sim import Simulator

from hwsim.arch.config import load_engine
from hwsim.arch.isa import Append, CacheKind, Load, Space, Store
from hwsim.arch.timing import MOVER_WRITES, READ_LATENCY, SIDE_BURST_BEATS, STALL_RATE, WRITE_LATENCY, WRITE_LEAD
from rtl.interfaces import PACK_WORDS
from rtl.mover import Landing, Mover

SIDE = 0x10_0000_0000
BASES = [0x4000_0000 * (port + 1) for port in range(8)]
AR, R, AW, W, B = range(5)
MASK = 0xFFFF_FFFF


def gap(seed, port, channel, cycle):
    """Return whether the channel is held down in the cycle (docs/engine.md section 7); never for seed None."""
    if seed is None:
        return False
    x = (cycle * 0x9E3779B1 & MASK) ^ ((seed + port * 8 + channel) * 0x85EBCA77 & MASK)
    x ^= x >> 15
    x = x * 0x2C1B3C6D & MASK
    x ^= x >> 12
    x = x * 0x297A2D39 & MASK
    x ^= x >> 15
    return (x & 0xFF) < STALL_RATE


class SideMemory:
    """The memory behind the side port: drives the memory's signals of a cycle, then looks at what was accepted."""

    def __init__(self, seed, port, contents):
        self.seed, self.port, self.contents = seed, port, contents
        self.beats, self.addresses, self.data, self.responses = [], [], [], []
        self.accepted, self.written, self.bad_read, self.bad_write = [], [], False, False
        self.trouble = []
        self.previous = None

    def free(self, channel, cycle):
        return not gap(self.seed, self.port, channel, cycle)

    def drive(self, ctx, dut, cycle):
        read, write = dut.read, dut.write
        ctx.set(read.arready, self.free(AR, cycle))
        ready = self.beats and self.beats[0][0] <= cycle and self.free(R, cycle)
        ctx.set(read.rvalid, int(bool(ready)))
        if ready:
            address = self.beats.pop(0)[1]
            ctx.set(read.rdata, self.contents(address))
            ctx.set(read.rresp, 2 if self.bad_read else 0)
        ctx.set(write.awready, self.free(AW, cycle))
        ctx.set(write.wready, self.free(W, cycle))
        answer = self.responses and self.responses[0] <= cycle and self.free(B, cycle)
        ctx.set(write.bvalid, int(bool(answer)))
        ctx.set(write.bresp, 2 if self.bad_write else 0)
        if answer:
            self.responses.pop(0)

    def look(self, ctx, dut, cycle):
        read, write = dut.read, dut.write
        offered = (ctx.get(read.arvalid), ctx.get(read.araddr), ctx.get(read.arlen))
        if self.previous and self.previous[0] and offered != self.previous:
            self.trouble.append(f"Read address changed in cycle {cycle}")
        taken = ctx.get(read.arvalid) and ctx.get(read.arready)
        self.previous = None if taken else offered
        if taken:
            self.accepted.append(cycle)
            address, beats = offered[1], offered[2] + 1
            if address // 4096 != (address + 16 * beats - 1) // 4096:
                self.trouble.append(f"Burst at {address:#x} crosses 4 KiB")
            self.beats += [(cycle + READ_LATENCY, address + 16 * i) for i in range(beats)]
        if ctx.get(write.awvalid) and ctx.get(write.awready):
            self.addresses.append((cycle, ctx.get(write.awaddr)))
        if ctx.get(write.wvalid) and ctx.get(write.wready):
            self.data.append((cycle, ctx.get(write.wdata), ctx.get(write.wstrb)))
        if self.addresses and self.data:
            (a, address), (d, data, strobe) = self.addresses.pop(0), self.data.pop(0)
            self.written.append((max(a, d), address, data, strobe))
            self.responses.append(max(a, d) + WRITE_LATENCY)


def first_free(seed, port, channel, cycle):
    while gap(seed, port, channel, cycle):
        cycle += 1
    return cycle


def read_law(seed, port, start, beats):
    """Return the cycle of the last beat of a read started in cycle `start`."""
    accept, last = start, -1
    while beats:
        accept = first_free(seed, port, AR, accept + 1)
        for _ in range(min(beats, SIDE_BURST_BEATS)):
            last = first_free(seed, port, R, max(accept + READ_LATENCY, last + 1))
            beats -= 1
    return last


def write_law(seed, port, issue, beats, last):
    """Return the cycles in which each beat was accepted, and that of the last response; the one before came in `last`."""
    rise, done = issue + 1 + WRITE_LEAD, []
    for _ in range(beats):
        done.append(max(first_free(seed, port, AW, rise), first_free(seed, port, W, rise)))
        rise = done[-1] + 1
        last = first_free(seed, port, B, max(done[-1] + WRITE_LATENCY, last + 1))
    return done, last


def append_law(config, instruction, operands, entry):
    """Return the (address, data, strobe) of the beats of an APPEND."""
    slices, per_port, port_bytes = config.tile.slices, config.tile.slices_per_port, config.tile.port_bytes
    group = 1 << instruction.segments
    offset, slot, keys = (instruction.offset + operands[0], instruction.slot + operands[1], instruction.keys + operands[2])
    block, own = slot // slices, slot % slices

    def address(slice_, beat):
        return BASES[slice_ // per_port] + beat * port_bytes + 16 * (slice_ % per_port)

    beats = []
    for j in range(group):
        if instruction.kind == CacheKind.KEY:
            place = address(own, offset + block // 2 * (1 + 2 * group) + 1 + block % 2 * group + j)
        else:
            place = address(slot % (slices // group) * group + j, offset + slot // (slices // group))
        beats.append((place, entry["words"][j], 0xFFFF))
    byte = 8 * (block % 2) + (4 if instruction.kind == CacheKind.VALUE else 0)
    beats.append((address(own, keys + block // 2 * (1 + 2 * group)), entry["parameter"] << 8 * byte, 0xF << byte))
    return beats


def contents(address):
    return random.Random(address).getrandbits(128)


CONFIGS = {
    "tiny": load_engine("tiny"),
    "small": load_engine("small"),
    "wide": load_engine("tiny").with_values({"tile.ports": 4, "tile.port_bits": 512, "vector.lanes": 16, "fetch.burst_beats": 8}),
    "one port": load_engine("tiny").with_values({"tile.port_bits": 512, "vector.lanes": 8}),
}


def random_instruction(config, rng):
    kind = rng.choice((Load, Store, Append))
    lanes, buffer = config.vector.lanes, config.buffer
    if kind is Append:
        segments = rng.choice([g for g in range(4) if 1 << g <= config.tile.slices])
        return Append(
            kind=rng.choice(tuple(CacheKind)),
            entry=rng.randrange(8),
            segments=segments,
            offset=rng.randrange(1 << 20),
            keys=rng.randrange(1 << 20),
            slot=rng.randrange(1 << 15),
        )
    words = rng.choice((1, 2, 7, 40))
    beats = max(1, words * lanes // 4 - rng.randrange(2))
    offset = 64 * rng.randrange(1 << 12)
    if kind is Load:
        space = rng.choice(tuple(Space))
        depth = buffer.residual_words if space == Space.RESIDUAL else buffer.parameter_words
        return Load(space=space, address=rng.randrange(depth - words), beats=beats, offset=offset)
    return Store(address=rng.randrange(buffer.result_words - words), beats=beats, offset=offset)


LANDING = 2
"""Cycles from the retirement of a LOAD until its last beat has landed."""


def run(config, seed, instructions, *, body=None, cycles=None):
    """Issue the instructions as soon as the mover is free; return events, memory and what was written where."""
    dut, landing = Mover(config), Landing(config)
    whole = Module()
    whole.submodules += [dut, landing]
    whole.d.comb += landing.loaded.eq(dut.loaded)
    lanes = config.vector.lanes
    rng = random.Random(5)
    y = [rng.getrandbits(32 * lanes) for _ in range(config.buffer.result_words)]
    pack = [{"words": [rng.getrandbits(128) for _ in range(PACK_WORDS)], "parameter": rng.getrandbits(32)} for _ in range(8)]
    memory = SideMemory(seed, config.tile.ports, contents)
    events = {"issue": [], "retire": [], "x": {}, "p": {}, "y": y, "pack": pack, "memory": memory, "errors": []}

    async def bench(ctx):
        queue = list(instructions)
        ctx.set(dut.side, SIDE)
        for port in range(config.tile.ports):
            ctx.set(dut.bases[port], BASES[port])
        cycle, addressed, landing_left = 0, 0, LANDING
        while landing_left if cycles is None else cycle < cycles:
            landing_left -= len(events["retire"]) == len(instructions)
            memory.drive(ctx, dut, cycle)
            ctx.set(dut.command_valid, int(bool(queue)))
            ctx.set(dut.running, int(bool(queue)))
            if queue:
                word, operands = queue[0]
                ctx.set(dut.command.word, word.encode())
                for slot, value in enumerate(operands):
                    ctx.set(dut.command.operand[slot], value)
            if body is not None:
                body(ctx, dut, cycle, events)
            memory.look(ctx, dut, cycle)
            if ctx.get(dut.issue):
                events["issue"].append(cycle)
                queue.pop(0)
            if ctx.get(dut.retire):
                events["retire"].append(cycle)
            for name in ("x", "p"):
                enable = ctx.get(getattr(landing, f"{name}_enable"))
                data = ctx.get(getattr(landing, f"{name}_data"))
                address = ctx.get(getattr(landing, f"{name}_address"))
                for lane in range(lanes):
                    if enable >> lane & 1:
                        events[name][address * lanes + lane] = data >> 32 * lane & MASK
            events["errors"].append((ctx.get(dut.read_error), ctx.get(dut.write_error)))
            assert cycle < 20000
            y_address = ctx.get(dut.y_address)
            entry, addressed = pack[addressed], ctx.get(dut.pack_address)
            await ctx.tick()
            # Synchronous memories: what was addressed in the cycle before, of packed entries in the one before that.
            ctx.set(dut.y_data, y[y_address])
            ctx.set(dut.pack_data, sum(w << 128 * i for i, w in enumerate(entry["words"])) | entry["parameter"] << 128 * PACK_WORDS)
            cycle += 1

    simulator = Simulator(whole)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert not memory.trouble
    return events


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", [None, 7])
def test_instructions_follow_the_law(name, seed):
    config = CONFIGS[name]
    rng = random.Random(f"{name} {seed}")
    instructions = []
    for _ in range(12):
        instruction = random_instruction(config, rng)
        large = 1 << 10 if isinstance(instruction, Append) else 0
        instructions.append((instruction, [rng.randrange(large) if large else 64 * rng.randrange(64) for _ in range(3)]))
    events = run(config, seed, instructions)
    port, lanes = config.tile.ports, config.vector.lanes
    expected, written = {"x": {}, "p": {}}, []
    release, answered, retires = -1, -1, []
    for number, (instruction, operands) in enumerate(instructions):
        # A LOAD waits for all responses, a write for those of the write eight before it.
        behind = 1 if isinstance(instruction, Load) else MOVER_WRITES
        issue = max(release, retires[-behind] if len(retires) >= behind else -1) + 1
        assert events["issue"][number] == issue
        if isinstance(instruction, Load):
            retire = read_law(seed, port, issue, instruction.beats) + 1
            target = expected["x" if instruction.space == Space.RESIDUAL else "p"]
            for i in range(instruction.beats):
                beat = contents(SIDE + 16 * (instruction.offset + operands[0] + i))
                for k in range(4):
                    target[instruction.address * lanes + 4 * i + k] = beat >> 32 * k & MASK
        else:
            if isinstance(instruction, Store):
                values = [
                    events["y"][instruction.address + v // lanes] >> 32 * (v % lanes) & MASK for v in range(4 * instruction.beats)
                ]
                beats = [
                    (SIDE + 16 * (instruction.offset + operands[0] + i), sum(values[4 * i + k] << 32 * k for k in range(4)), 0xFFFF)
                    for i in range(instruction.beats)
                ]
            else:
                beats = append_law(config, instruction, operands, events["pack"][instruction.entry])
            done, answered = write_law(seed, port, issue, len(beats), answered)
            written += [(cycle, *beat) for cycle, beat in zip(done, beats, strict=True)]
            retire = answered + 1
        release = retire if isinstance(instruction, Load) else done[-1]
        retires.append(retire)
        assert events["retire"][number] == retire, instruction

    def masked(beats):
        return [
            (cycle, address, data & sum(0xFF << 8 * i for i in range(16) if strobe >> i & 1), strobe)
            for cycle, address, data, strobe in beats
        ]

    assert masked(events["memory"].written) == masked(written)
    assert {name: events[name] for name in expected} == expected


def test_the_program_passes_through_in_the_cycle_it_arrives():
    seen = []

    def body(ctx, dut, cycle, events):
        ctx.set(dut.program_start, int(cycle == 3))
        ctx.set(dut.program_address, 0x8400)
        ctx.set(dut.program_beats, 130)
        if ctx.get(dut.program_valid):
            seen.append((ctx.get(dut.program_data), ctx.get(dut.program_last), cycle))

    events = run(CONFIGS["tiny"], 3, [], body=body, cycles=400)
    assert [data for data, _, _ in seen] == [contents(0x8400 + 16 * i) for i in range(130)]
    assert [last for _, last, _ in seen] == [0] * 129 + [1]
    assert seen[-1][2] == read_law(3, 1, 3, 130)
    assert len(events["memory"].accepted) == 3


@pytest.mark.parametrize(
    "instruction", [Load(space=Space.RESIDUAL, address=0, beats=120, offset=0), Store(address=0, beats=60, offset=0)]
)
@pytest.mark.parametrize("stop_at", [1, 2, 3, 9, 20, 45])
def test_stop_ends_outstanding_transactions_and_clear_starts_afresh(instruction, stop_at):
    state = {}

    def body(ctx, dut, cycle, events):
        ctx.set(dut.stop, int(stop_at <= cycle and "cleared" not in state))
        ctx.set(dut.clear, 0)
        memory = events["memory"]
        if cycle >= stop_at and "cleared" not in state and ctx.get(dut.quiet):
            assert not memory.beats and not memory.addresses and not memory.data and not memory.responses
            ctx.set(dut.clear, 1)
            state["cleared"] = cycle
        if cycle == 300:
            state["before"] = len(memory.accepted), len(memory.written), len(events["retire"])
            ctx.set(dut.program_start, 1)
        else:
            ctx.set(dut.program_start, 0)
        ctx.set(dut.program_beats, 2)
        if cycle > 300 and ctx.get(dut.program_valid):
            state["arrived"] = cycle

    events = run(CONFIGS["tiny"], 11, [(instruction, (0, 0, 0))], body=body, cycles=400)
    assert state["cleared"] < 250
    assert all(cycle <= state["cleared"] for cycle in events["retire"])
    assert state["arrived"] == read_law(11, 1, 300, 2)
    assert len(events["memory"].accepted) == state["before"][0] + 1 and len(events["memory"].written) == state["before"][1]


def test_bad_responses_are_reported():
    for instruction, bad, expected in (
        (Load(space=Space.PARAMETER, address=0, beats=3, offset=0), "bad_read", (3, 0)),
        (Store(address=0, beats=2, offset=0), "bad_write", (0, 2)),
    ):

        def body(ctx, dut, cycle, events, bad=bad):
            setattr(events["memory"], bad, True)

        events = run(CONFIGS["tiny"], None, [(instruction, (0, 0, 0))], body=body)
        assert tuple(map(sum, zip(*events["errors"], strict=True))) == expected
