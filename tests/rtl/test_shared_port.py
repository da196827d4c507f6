"""The shared master: each port gets what it asked for in order, however the answers come, and writes land where they should."""

import random

import pytest
from amaranth.sim import Simulator

from hwsim.arch.timing import SIDE_BURST_BEATS
from rtl.shared_port import SIDE_ID, SLOTS, SharedPort

SIDE_BYTES = 16
PAGE = 4096
MOST_CYCLES = 20_000


def content(address: int, count: int) -> int:
    """Return what the memory holds: every byte says its address, scrambled."""
    return int.from_bytes(bytes((at * 167 + (at >> 8) * 59 + 13) & 0xFF for at in range(address, address + count)), "little")


def response(address: int, unit: int) -> int:
    """Return what the memory answers for a beat of `unit` bytes: every third one is an error."""
    return 2 * (address // unit % 3 == 0)


class Memory:
    """Answers bursts of each identifier in their order, identifiers in any order and mixed, and takes writes."""

    def __init__(self, rng: random.Random, beat_bytes: int):
        self.rng, self.beat_bytes = rng, beat_bytes
        self.owed: dict[int, list[tuple[int, bool]]] = {0: [], SIDE_ID: []}
        self.bursts: dict[int, list[tuple[int, int]]] = {0: [], SIDE_ID: []}
        self.written: dict[int, int] = {}
        self.addresses: list[int] = []
        self.beats: list[tuple[int, int]] = []
        self.unanswered: list[int] = []
        self.offered: tuple[int, int, int] | None = None

    def drive(self, ctx, axi) -> None:
        ctx.set(axi.arready, self.rng.random() < 0.6)
        ctx.set(axi.awready, self.rng.random() < 0.5)
        ctx.set(axi.wready, self.rng.random() < 0.5)
        answers = bool(self.unanswered) and self.rng.random() < 0.5
        ctx.set(axi.bvalid, answers)
        if answers:
            ctx.set(axi.bresp, self.unanswered.pop(0))
        due = [number for number, beats in self.owed.items() if beats]
        if not due or self.rng.random() < 0.3:
            ctx.set(axi.rvalid, 0)
            return
        number = self.rng.choice(due)
        address, is_last = self.owed[number].pop(0)
        answer = response(address, self.beat_bytes)
        for name, value in (("rvalid", 1), ("rid", number), ("rlast", is_last), ("rresp", answer)):
            ctx.set(getattr(axi, name), value)
        ctx.set(axi.rdata, content(address, self.beat_bytes))

    def look(self, ctx, axi) -> None:
        offer = tuple(ctx.get(getattr(axi, name)) for name in ("arid", "araddr", "arlen")) if ctx.get(axi.arvalid) else None
        assert self.offered is None or offer == self.offered, "an address that is offered stays"
        self.offered = None if offer is not None and ctx.get(axi.arready) else offer
        if offer is not None and self.offered is None:
            number, address, length = offer
            assert address % self.beat_bytes == 0 and address % PAGE + (length + 1) * self.beat_bytes <= PAGE
            self.bursts[number].append((address, length))
            self.owed[number] += [(address + beat * self.beat_bytes, beat == length) for beat in range(length + 1)]
        if ctx.get(axi.awvalid) and ctx.get(axi.awready):
            assert (ctx.get(axi.awid), ctx.get(axi.awlen), ctx.get(axi.awaddr) % self.beat_bytes) == (SIDE_ID, 0, 0)
            self.addresses.append(ctx.get(axi.awaddr))
        if ctx.get(axi.wvalid) and ctx.get(axi.wready):
            assert ctx.get(axi.wlast), "a write is one beat"
            self.beats.append((ctx.get(axi.wdata), ctx.get(axi.wstrb)))
        while self.addresses and self.beats:
            address, (data, strobe) = self.addresses.pop(0), self.beats.pop(0)
            for byte in range(self.beat_bytes):
                if strobe >> byte & 1:
                    self.written[address + byte] = data >> 8 * byte & 0xFF
            self.unanswered.append(response(address, self.beat_bytes))


class Asker:
    """A port that offers bursts one after the other and keeps what comes."""

    def __init__(self, rng: random.Random, bursts: list[tuple[int, int]]):
        self.rng, self.waiting, self.came = rng, list(bursts), []
        self.is_up = False

    def drive(self, ctx, port) -> None:
        self.is_up = self.is_up or (bool(self.waiting) and self.rng.random() < 0.7)
        ctx.set(port.arvalid, self.is_up)
        if self.is_up:
            ctx.set(port.araddr, self.waiting[0][0])
            ctx.set(port.arlen, self.waiting[0][1])

    def look(self, ctx, port) -> None:
        if self.is_up and ctx.get(port.arready):
            self.is_up = False
            self.waiting.pop(0)
        if ctx.get(port.rvalid):
            self.came.append(tuple(ctx.get(getattr(port, name)) for name in ("rdata", "rlast", "rresp")))


class Writer:
    """Writes one beat after the other, as the engine's side port does: address and data stay until both are taken."""

    def __init__(self, rng: random.Random, beats: list[tuple[int, int, int]]):
        self.rng, self.waiting = rng, list(beats)
        self.is_up, self.left, self.answers = False, set(), []

    def drive(self, ctx, side) -> None:
        if not self.is_up and self.waiting and self.rng.random() < 0.7:
            self.is_up, self.left = True, {"aw", "w"}
        ctx.set(side.awvalid, "aw" in self.left)
        ctx.set(side.wvalid, "w" in self.left)
        ctx.set(side.wlast, 1)
        ctx.set(side.bready, 1)
        if self.is_up:
            for name, value in zip(("awaddr", "wdata", "wstrb"), self.waiting[0], strict=True):
                ctx.set(getattr(side, name), value)

    def look(self, ctx, side) -> None:
        self.left -= {name for name in self.left if ctx.get(getattr(side, f"{name}ready"))}
        if self.is_up and not self.left:
            self.is_up = False
            self.waiting.pop(0)
        if ctx.get(side.bvalid):
            self.answers.append(ctx.get(side.bresp))


def side_burst(rng: random.Random) -> tuple[int, int]:
    """Return address and length, less one, of a burst as the side reader makes them: inside 1 KiB."""
    length = rng.randint(1, SIDE_BURST_BEATS)
    first = rng.randint(0, SIDE_BURST_BEATS - length)
    return rng.randrange(0, 1 << 34, 1024) + SIDE_BYTES * first, length - 1


@pytest.mark.parametrize("data_bits", [128, 256, 512])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_port_gets_what_it_asked_for(data_bits: int, seed: int) -> None:
    rng, beat_bytes = random.Random(seed), data_bits // 8
    dut, memory = SharedPort(data_bits), Memory(rng, beat_bytes)
    most = min(16, PAGE // beat_bytes)
    stream_bursts = [(rng.randrange(0, 1 << 34, most * beat_bytes), rng.randint(0, most - 1)) for _ in range(40)]
    side_bursts = [side_burst(rng) for _ in range(25)]
    writes = [(rng.randrange(0, 1 << 34, SIDE_BYTES), rng.getrandbits(128), rng.getrandbits(16)) for _ in range(60)]
    stream, side, writer = Asker(rng, stream_bursts), Asker(rng, side_bursts), Writer(rng, writes)
    stream_beats = [
        (content(address + beat * beat_bytes, beat_bytes), int(beat == length), response(address + beat * beat_bytes, beat_bytes))
        for address, length in stream_bursts
        for beat in range(length + 1)
    ]
    side_beats = [
        (content(address + beat * SIDE_BYTES, SIDE_BYTES), int(beat == length), response(address + beat * SIDE_BYTES, beat_bytes))
        for address, length in side_bursts
        for beat in range(length + 1)
    ]
    most_under_way = [0]

    async def bench(ctx):
        for _ in range(MOST_CYCLES):
            memory.drive(ctx, dut.axi)
            for asker, port in ((stream, dut.stream), (side, dut.side), (writer, dut.side)):
                asker.drive(ctx, port)
            ctx.set(dut.stream.rready, 1)
            ctx.set(dut.side.rready, 1)
            assert (ctx.get(dut.axi.rready), ctx.get(dut.axi.bready)) == (1, 1)
            memory.look(ctx, dut.axi)
            for asker, port in ((stream, dut.stream), (side, dut.side), (writer, dut.side)):
                asker.look(ctx, port)
            came = sum(last for _, last, _ in side.came)
            most_under_way[0] = max(most_under_way[0], len(memory.bursts[SIDE_ID]) - came)
            await ctx.tick()
            is_done = (
                len(stream.came) == len(stream_beats) and len(side.came) == len(side_beats) and len(writer.answers) == len(writes)
            )
            if is_done and not writer.waiting:
                break
        else:
            raise AssertionError(f"nothing may stand still, but after {MOST_CYCLES} cycles {len(side.came)} side beats came")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert stream.came == stream_beats
    assert side.came == side_beats
    expected = {}
    for address, data, strobe in writes:
        expected |= {address + byte: data >> 8 * byte & 0xFF for byte in range(SIDE_BYTES) if strobe >> byte & 1}
    assert memory.written == expected
    assert writer.answers == [response(address, beat_bytes) for address, _, _ in writes]
    assert most_under_way[0] <= SLOTS + 1


@pytest.mark.parametrize("data_bits", [128, 256, 512])
def test_bursts_that_all_come_at_once_have_room(data_bits: int) -> None:
    """The memory answers a beat in every cycle, and 16 bytes leave in one: full bursts in a row and one of a single beat."""
    beat_bytes = data_bits // 8
    dut = SharedPort(data_bits)
    bursts = [(1024 * number, SIDE_BURST_BEATS - 1) for number in range(2 * SLOTS)] + [(1024 * 2 * SLOTS + 3 * SIDE_BYTES, 0)]
    came, most = [], SLOTS * SIDE_BURST_BEATS * SIDE_BYTES // beat_bytes
    ends = []

    async def bench(ctx):
        waiting, owed = list(bursts), []
        ctx.set(dut.axi.arready, 1)
        for cycle in range(SIDE_BURST_BEATS * 4 * SLOTS):
            # Nothing comes before as many bursts as fit have been asked for.
            is_due = bool(owed) and cycle >= SLOTS
            ctx.set(dut.axi.rvalid, is_due)
            ctx.set(dut.axi.rid, SIDE_ID)
            if is_due:
                ctx.set(dut.axi.rdata, content(owed.pop(0), beat_bytes))
            ctx.set(dut.side.arvalid, bool(waiting))
            if waiting:
                ctx.set(dut.side.araddr, waiting[0][0])
                ctx.set(dut.side.arlen, waiting[0][1])
                if ctx.get(dut.side.arready):
                    waiting.pop(0)
                    first = ctx.get(dut.axi.araddr)
                    owed += [first + beat * beat_bytes for beat in range(ctx.get(dut.axi.arlen) + 1)]
            assert len(owed) <= most
            if ctx.get(dut.side.rvalid):
                came.append(ctx.get(dut.side.rdata))
                if ctx.get(dut.side.rlast):
                    ends.append(cycle)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert came == [content(first + beat * SIDE_BYTES, SIDE_BYTES) for first, length in bursts for beat in range(length + 1)]
    # The first beat passes two registers, and between bursts there is a cycle without a beat (docs/decisions/0036).
    assert ends[:2] == [SLOTS + 2 + SIDE_BURST_BEATS - 1, SLOTS + 2 + 2 * SIDE_BURST_BEATS]


def test_a_stream_alone_passes_in_the_same_cycle() -> None:
    dut = SharedPort(512)

    async def bench(ctx):
        ctx.set(dut.axi.arready, 1)
        ctx.set(dut.stream.arvalid, 1)
        ctx.set(dut.stream.araddr, 0x1240)
        ctx.set(dut.axi.rvalid, 1)
        ctx.set(dut.axi.rdata, 77)
        assert (ctx.get(dut.axi.arvalid), ctx.get(dut.axi.araddr), ctx.get(dut.stream.arready)) == (1, 0x1240, 1)
        assert (ctx.get(dut.stream.rvalid), ctx.get(dut.stream.rdata), ctx.get(dut.side.rvalid)) == (1, 77, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
