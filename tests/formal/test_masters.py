"""The bus masters: what is offered waits unchanged, bursts stay in their page, transfers are counted; for runs of any length."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth import Cat, Const, Mux, Signal, Value

from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.timing import FIFO_LATENCY, SIDE_BURST_BEATS
from rtl.fetch import Fetch, PortReader
from rtl.mover.side_port import BEATS_BITS, WRITE_QUEUE_BEATS, SideReader, SideWriter
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.passage import Passage
from tests.formal.prover import prove

PAGE = 4096
TINY, U280 = load_engine("tiny"), load_engine("u280")


class Request:
    """The beats of one request: which were asked for and which came, and the laws of the addresses that ask."""

    def __init__(self, laws: Laws, *, start: Value, first: Value, beats: Value, unit: int, clear: Value):
        m = laws.m
        self.laws, self.unit, self.clear = laws, unit, clear
        self.first, self.beats = Signal(64, name="first"), Signal(len(beats), name="requested")
        self.asked, self.owed = Signal(len(beats), name="asked"), Signal(len(beats), name="owed")
        with m.If(start):
            m.d.sync += [self.first.eq(first), self.beats.eq(beats), self.asked.eq(0)]
        self.start = start

    def asks(self, *, arvalid: Value, arready: Value, araddr: Value, arlen: Value, most: int, beat: Value, stop: Value) -> None:
        """Add the laws of the address channel; `beat` is a beat that comes back, only when one is owed."""
        laws, m = self.laws, self.laws.m
        length = arlen + 1
        accepted = arvalid & arready
        with m.If(~self.start & accepted):
            m.d.sync += self.asked.eq(self.asked + length)
        m.d.sync += self.owed.eq(self.owed + Mux(accepted, length, 0) - beat)
        with m.If(self.clear):
            m.d.sync += [self.asked.eq(self.beats), self.owed.eq(0)]
        laws.assume(~(beat & (self.owed == 0)))
        laws.held("address", arvalid, arready, Cat(araddr, arlen))
        laws.implies("burst_stays_in_its_page", arvalid, araddr[:12] + length * self.unit <= PAGE)
        laws.implies("address_is_aligned", arvalid, araddr % self.unit == 0)
        laws.implies("burst_is_no_longer_than_allowed", arvalid, length <= most)
        laws.implies("burst_is_no_longer_than_the_rest", arvalid, length <= (self.beats - self.asked)[: len(self.beats)])
        laws.implies("bursts_follow_each_other", arvalid, araddr == (self.first + self.asked * self.unit)[:64])
        offered = laws.past(arvalid & ~arready)
        laws.implies("stopped_raises_nothing", stop & ~offered, ~arvalid)


def port_reader(kind: Any, config: EngineConfig) -> Laws:
    reader = kind(config)
    laws = Laws(reader)
    burst, depth, unit = config.fetch.burst_beats, config.fetch.fifo_beats, config.tile.port_bytes
    base = laws.constant("page", 52)
    laws.drive("base", Cat(Const(0, 12), base))
    # FETCH has one instruction at a time; control clears what is stopped and quiet.
    laws.assume(~(reader.start & (reader.active | reader.clear)))
    laws.assume(~reader.clear | (reader.quiet & reader.stop))
    # No stream port is larger than 64 GiB.
    end = Signal(33)
    laws.m.d.comb += end.eq(reader.offset + reader.beats)
    laws.assume(~reader.start | (end <= 1 << 32))
    request = Request(
        laws,
        start=reader.start,
        first=(Cat(Const(0, 12), base) + reader.offset * unit)[:64],
        beats=reader.beats,
        unit=unit,
        clear=reader.clear,
    )
    request.asks(
        arvalid=reader.arvalid,
        arready=reader.arready,
        araddr=reader.araddr,
        arlen=reader.arlen,
        most=burst,
        beat=reader.beat,
        stop=reader.stop,
    )
    held = Signal(range(depth + 1), name="held")
    laws.m.d.sync += held.eq(held + reader.beat - reader.pop)
    with laws.m.If(reader.clear):
        laws.m.d.sync += held.eq(0)
    laws.assume(~(reader.pop & (held == 0)))
    state, asked = laws.state, request.asked
    laws.law("room_for_every_beat_asked_for", request.owed + held <= depth)
    laws.law("active_until_all_is_asked", reader.active == (asked != request.beats))
    # FETCH is quiet where its readers are, and they are stopped or have nothing more to ask for.
    laws.implies("quiet_owes_nothing", reader.quiet, request.owed == 0)
    laws.implies("quiet_offers_nothing", reader.quiet & (reader.stop | ~reader.active), ~reader.arvalid)
    waits = laws.past(reader.arvalid & ~reader.arready & ~reader.clear)
    laws.law("quiet_when_nothing_waits_and_nothing_is_owed", reader.quiet == (~waits & (request.owed == 0)))
    laws.implies("stays_quiet_while_stopped", laws.past(reader.quiet & reader.stop) & reader.stop, reader.quiet)
    rests = reader.quiet & (reader.clear | ~reader.active)
    laws.implies("stays_quiet_until_started", laws.past(rests & ~reader.start), reader.quiet & ~reader.active)
    laws.implies("stays_quiet_when_stopped", laws.past(rests) & reader.stop, reader.quiet)
    # Invariants.
    first_beat = Signal(32, name="first_beat")
    with laws.m.If(reader.start):
        laws.m.d.sync += first_beat.eq(reader.offset)
    first_address = (Cat(Const(0, 12), base) + first_beat * unit)[:64]
    laws.invariant("first_is_the_first_beat", reader.active, request.first == first_address)
    laws.invariant("no_more_asked_than_requested", asked <= request.beats)
    laws.invariant("beats_are_in_range", ~reader.active | (first_beat + request.beats <= 1 << 32))
    laws.invariant("offset_counts", reader.active, state["offset"] == (first_beat + asked)[:32])
    length, rest, within = state["length"], state["rest"], state["offset"] % burst
    laws.invariant("length_and_rest_count", reader.active, length + rest == request.beats - asked)
    laws.invariant("bursts_have_beats", reader.active, length != 0)
    laws.invariant("bursts_end_at_a_multiple", reader.active, within + length <= burst)
    laws.invariant("bursts_before_the_last_end_at_a_multiple", reader.active & (rest != 0), within + length == burst)
    laws.invariant("outstanding_counts", state["outstanding"] == request.owed)
    laws.invariant("none_outstanding_means_none", state["none_outstanding"] == (state["outstanding"] == 0))
    laws.invariant("credit_counts", state["credit"] + request.owed + held == depth)
    laws.invariant("waiting_means_offered", state["waiting"] == waits)
    laws.invariant("waiting_has_credit", state["waiting"], reader.active & (state["credit"] >= state["length"]))
    return laws


def side_reader(kind: Any) -> Laws:
    reader = kind()
    laws, axi = Laws(reader), reader.axi
    unit, kib = 16, 1024
    within = reader.address[:10]
    # The mover has one instruction at a time.
    request = Request(laws, start=reader.start, first=reader.address, beats=reader.beats, unit=unit, clear=reader.clear)
    came = Signal(BEATS_BITS, name="came")
    with laws.m.If(reader.start):
        laws.m.d.sync += came.eq(0)
    with laws.m.Elif(reader.clear):
        laws.m.d.sync += came.eq(request.beats)
    with laws.m.Elif(axi.rvalid):
        laws.m.d.sync += came.eq(came + 1)
    is_over = (request.asked == request.beats) & (came == request.beats)
    laws.assume(~reader.start | (is_over & ~reader.clear))
    laws.assume(~reader.start | ((within[:4] == 0) & ((within == 0) | (within + reader.beats * unit <= kib))))
    laws.assume(~reader.clear | (reader.quiet & reader.stop))
    request.asks(
        arvalid=axi.arvalid,
        arready=axi.arready,
        araddr=axi.araddr,
        arlen=axi.arlen,
        most=SIDE_BURST_BEATS,
        beat=axi.rvalid,
        stop=reader.stop,
    )
    laws.law("beats_are_always_taken", axi.rready)
    laws.law("beats_are_handed_on", reader.valid == axi.rvalid)
    laws.implies("last_is_the_last", axi.rvalid, reader.last == (came + 1 == request.beats))
    laws.law("error_is_an_error_response", reader.error == (axi.rvalid & axi.rresp[1]))
    laws.implies("quiet_owes_nothing", reader.quiet, ~(axi.arvalid & ~reader.stop) & (request.owed == 0))
    laws.implies("quiet_offers_nothing", reader.quiet, ~axi.arvalid)
    laws.implies("stays_quiet_while_stopped", laws.past(reader.quiet & reader.stop) & reader.stop, reader.quiet)
    rests = reader.quiet & (reader.clear | ~reader.stop)
    laws.implies("stays_quiet_until_started", laws.past(rests & ~reader.start), reader.quiet)
    laws.implies("stays_quiet_when_stopped", laws.past(reader.quiet) & reader.stop, reader.quiet)
    # Invariants.
    state = laws.state
    laws.invariant("no_more_asked_than_requested", request.asked <= request.beats)
    laws.invariant("to_ask_counts", state["to_ask"] == (request.beats - request.asked)[:BEATS_BITS])
    laws.invariant("to_come_counts", state["to_come"] == (request.beats - came)[:BEATS_BITS])
    laws.invariant("outstanding_counts", state["outstanding"] == request.owed)
    laws.invariant("none_outstanding_means_none", state["none_outstanding"] == (state["outstanding"] == 0))
    laws.invariant("asks_when_there_are_some", state["asks"] == (state["to_ask"] != 0))
    laws.invariant("what_was_asked_came_or_is_owed", (came + request.owed)[:BEATS_BITS] == request.asked)
    laws.invariant("no_more_owed_than_asked", request.owed <= request.asked)
    laws.invariant("address_counts", state["to_ask"] != 0, axi.araddr == (request.first + request.asked * unit)[:64])
    laws.invariant("full_bursts_until_the_last", state["to_ask"] != 0, request.asked % SIDE_BURST_BEATS == 0)
    first = request.first[:10]
    laws.invariant(
        "request_is_aligned", state["to_ask"] != 0, (first[:4] == 0) & ((first == 0) | (first + request.beats * unit <= kib))
    )
    laws.invariant("offered_means_offered", state["offered"] == laws.past(axi.arvalid & ~axi.arready))
    laws.invariant("offered_has_beats", state["offered"], state["to_ask"] != 0)
    return laws


def side_writer(kind: Any) -> Laws:
    writer = kind()
    laws, axi = Laws(writer), writer.axi
    m = laws.m
    laws.assume(~writer.clear | (writer.quiet & writer.stop))
    has_address, has_data = Signal(name="has_address"), Signal(name="has_data")
    takes_address, takes_data = axi.awvalid & axi.awready, axi.wvalid & axi.wready
    written = (has_address | takes_address) & (has_data | takes_data)
    m.d.sync += [has_address.eq((has_address | takes_address) & ~written), has_data.eq((has_data | takes_data) & ~written)]
    passage = Passage.follow(
        laws,
        depth=WRITE_QUEUE_BEATS,
        push=writer.push,
        pop=written,
        entered=Value.cast(writer.beat),
        left=Cat(axi.awaddr, axi.wdata, axi.wstrb),
        clear=writer.clear,
        pops_by_itself=True,
    )
    is_next = passage.is_inside & (passage.ahead == 0)
    laws.held("address", axi.awvalid, axi.awready, Cat(axi.awaddr, axi.awlen))
    laws.held("data", axi.wvalid, axi.wready, Cat(axi.wdata, axi.wstrb, axi.wlast))
    laws.implies("one_beat_a_burst", axi.awvalid | axi.wvalid, (axi.awlen == 0) & axi.wlast)
    laws.implies("one_address_a_beat", has_address, ~axi.awvalid)
    laws.implies("one_data_a_beat", has_data, ~axi.wvalid)
    laws.implies("address_is_the_beats", is_next & axi.awvalid, axi.awaddr == passage.content[:64])
    laws.implies("data_is_the_beats", is_next & axi.wvalid, Cat(axi.wdata, axi.wstrb) == passage.content[64:])
    laws.law("popped_when_both_are_taken", writer.popped == written)
    # A response only to what was written; no instruction has 65536 beats.
    owed = Signal(17, name="owed")
    m.d.sync += owed.eq(owed + written - axi.bvalid)
    laws.assume(~(axi.bvalid & (owed == 0)))
    laws.assume(owed < (1 << 16) - 1)
    laws.law("responses_are_always_taken", axi.bready)
    laws.law("responses_are_handed_on", writer.response == axi.bvalid)
    laws.law("error_is_an_error_response", writer.error == (axi.bvalid & axi.bresp[1]))
    laws.implies("quiet_owes_nothing", writer.quiet, ~axi.awvalid & ~axi.wvalid & (owed == 0) & ~has_address & ~has_data)
    laws.implies("stays_quiet_while_stopped", laws.past(writer.quiet & writer.stop) & writer.stop, writer.quiet)
    rests = writer.quiet & (writer.clear | ~writer.stop)
    laws.implies("stays_quiet_until_pushed", laws.past(rests & ~writer.push), writer.quiet)
    laws.implies("stays_quiet_when_stopped", laws.past(writer.quiet) & writer.stop, writer.quiet)
    waits = laws.past((axi.awvalid | axi.wvalid) & ~written)
    laws.implies("stopped_raises_nothing", writer.stop & ~waits, ~axi.awvalid & ~axi.wvalid)
    # Invariants.
    state = laws.state
    passage.lies(laws, "beats", state["read_index"], state["write_index"])
    laws.invariant("level_counts", state["level"] == passage.total)
    laws.invariant("has_beat_when_one_is_inside", state["has_beat"] == (passage.total != 0))
    laws.invariant("unanswered_counts", state["unanswered"] == owed[:16])
    laws.invariant("taken_is_remembered", (state["address_taken"] == has_address) & (state["data_taken"] == has_data))
    laws.invariant("risen_means_offered", state["risen"] == waits)
    laws.invariant("risen_is_inside", state["risen"], passage.total != 0)
    laws.invariant("taken_is_risen", has_address | has_data, state["risen"])
    laws.invariant("one_half_at_most", ~(has_address & has_data))
    return laws


def fetch(kind: Any) -> Laws:
    """The laws of FETCH around its readers, of whose bursts it is assumed what their own proof has as invariants."""
    config = TINY.with_values({"tile.ports": 2})
    unit = kind(config, inline=True)
    laws = Laws(unit)
    readers = [f"port_{number}.reader." for number in range(config.tile.ports)]
    quiet, active, valid = (Cat(laws.state[f"{reader}{name}"] for reader in readers) for name in ("quiet", "active", "arvalid"))
    # Control: no command once stopped, clear when stopped and quiet.
    laws.assume(~(unit.command_valid & unit.stop))
    laws.assume(~unit.clear | (unit.quiet & unit.stop))
    owed = [Signal(range(TINY.fetch.fifo_beats + 1), name=f"owed_{number}") for number in range(len(readers))]
    for axi, beats in zip(unit.axi, owed, strict=True):
        laws.m.d.sync += beats.eq(beats + Mux(axi.arvalid & axi.arready, axi.arlen + 1, 0) - axi.rvalid)
        laws.assume(~(axi.rvalid & (beats == 0)))
    laws.implies("starts_readers_that_rest", unit.issue, ~active.any())
    laws.implies("quiet_when_all_readers_are", unit.quiet, quiet.all() & (unit.stop | ~active.any()))
    laws.implies("quiet_owes_nothing", unit.quiet, ~valid.any() & Cat(beats == 0 for beats in owed).all())
    laws.implies("stays_quiet_when_stopped", laws.past(unit.quiet) & unit.stop, unit.quiet)
    laws.implies("errors_come_soon_after_beats", unit.bus_error, laws.past(laws.past(~unit.quiet)))
    heads = Cat(laws.state[f"port_{number}.ready"] for number in range(config.tile.ports))
    laws.law("heads_are_valid_when_all_are", unit.head_valid == heads.all())
    for number in range(config.tile.ports):
        level = laws.state[f"port_{number}.fifo.level"]
        laws.invariant(f"ready_{number}_when_one_can_be_popped", heads[number] == (level != 0))
        laws.invariant(f"has_two_{number}", laws.state[f"port_{number}.fifo.has_two"] == (level > 1))
        laws.invariant(f"fault_{number}_comes_after_a_beat", laws.state[f"port_{number}.fault"], laws.past(~unit.quiet))
    laws.assume(~unit.pop | unit.head_valid)
    laws.implies("stays_quiet_until_issued", laws.past(unit.quiet & (unit.clear | ~unit.stop) & ~unit.issue), unit.quiet)
    is_busy = Signal(name="is_busy")
    laws.m.d.sync += is_busy.eq((unit.issue | (is_busy & ~unit.retire)) & ~unit.clear)
    laws.law("issues_one_at_a_time", unit.issue == (unit.command_valid & ~is_busy))
    laws.law("retires_when_nothing_is_left_to_ask", unit.retire == (is_busy & ~active.any()))
    # Invariants.
    laws.invariant("busy_is_busy", laws.state["busy"] == is_busy)
    laws.invariant("readers_are_active_while_busy", active.any(), is_busy)
    for number, (reader, beats) in enumerate(zip(readers, owed, strict=True)):
        outstanding, length, waiting, credit = (
            laws.state[f"{reader}{name}"] for name in ("outstanding", "length", "waiting", "credit")
        )
        fifo = f"port_{number}.fifo."
        held = [laws.state[f"{fifo}level"], *(laws.state[f"{fifo}arrived_{stage}"] for stage in range(FIFO_LATENCY - 1))]
        laws.assume(~laws.state[f"{reader}active"] | ((length != 0) & (length <= config.fetch.burst_beats)))
        laws.assume(~waiting | (laws.state[f"{reader}active"] & (credit >= length)))
        laws.invariant(f"{reader}every_beat_has_its_place", sum(held, credit + outstanding) == config.fetch.fifo_beats)
        laws.invariant(f"{reader}outstanding_counts", outstanding == beats)
        laws.invariant(f"{reader}none_outstanding_means_none", laws.state[f"{reader}none_outstanding"] == (outstanding == 0))
    return laws


PROOFS: dict[str, Callable[[], Laws]] = {
    "port reader of tiny": lambda: port_reader(PortReader, TINY),
    "port reader of u280": lambda: port_reader(PortReader, U280),
    "fetch": lambda: fetch(Fetch),
    "side reader": lambda: side_reader(SideReader),
    "side writer": lambda: side_writer(SideWriter),
}


@pytest.mark.parametrize("name", PROOFS)
def test_master(name: str) -> None:
    verdict = prove(PROOFS[name](), depth=3, induction=True)
    assert verdict.is_proved, verdict.report


def tiny_reader(kind: Any) -> Laws:
    """Two bursts fill this FIFO: what overfills it shows early."""
    return port_reader(kind, TINY.with_values({"fetch.fifo_beats": 16}))


MUTANTS: list[tuple[Callable[[Any], Laws], Any, str, str, str]] = [
    (tiny_reader, PortReader, "waiting | (self.active", "(self.active", "address_stays_valid"),
    (tiny_reader, PortReader, "(credit >= length) & ~self.stop", "(credit >= length)", "stopped_raises_nothing"),
    (tiny_reader, PortReader, "room.eq(burst - self.offset % burst)", "room.eq(burst)", "burst_stays_in_its_page"),
    (tiny_reader, PortReader, "self.arlen.eq(length - 1)", "self.arlen.eq(length)", "burst_"),
    (tiny_reader, PortReader, "credit.eq(credit - taken + self.pop)", "credit.eq(credit + self.pop)", "room_for_every_beat"),
    (tiny_reader, PortReader, "offset.eq(offset + length)", "offset.eq(offset + burst)", "bursts_follow_each_other"),
    (tiny_reader, PortReader, "~waiting & none_outstanding", "~waiting", "quiet_owes_nothing"),
    (tiny_reader, PortReader, "~waiting & none_outstanding", "none_outstanding", "quiet_when_nothing_waits"),
    (tiny_reader, PortReader, "~accepted & Mux(self.beat", "Mux(self.beat", "quiet_owes_nothing"),
    (tiny_reader, PortReader, "Mux(self.beat, outstanding == 1", "Mux(self.beat, outstanding <= 2", "quiet_owes_nothing"),
    (tiny_reader, PortReader, "Mux(self.beat, outstanding == 1", "Mux(self.beat, outstanding == 0", "quiet_when_nothing_waits"),
    (tiny_reader, PortReader, "Mux(is_short, self.beats, room)", "room", "burst_is_no_longer_than_the_rest"),
    (tiny_reader, PortReader, "Mux(is_short, 0, self.beats - room)", "self.beats - room", "active_until_all_is_asked"),
    (tiny_reader, PortReader, "length.eq(Mux(is_long, burst, rest))", "length.eq(burst)", "burst_is_no_longer_than_the_rest"),
    (tiny_reader, PortReader, "is_long.eq(rest > burst)", "is_long.eq(rest > burst + 1)", "burst_is_no_longer_than_allowed"),
    (tiny_reader, PortReader, "accepted & (rest == 0)", "accepted & (rest <= 1)", "active_until_all_is_asked"),
    (fetch, Fetch, "self.command_valid & ~busy", "self.command_valid & ~(busy & any_active)", "issues_one_at_a_time"),
    (fetch, Fetch, "busy & ~any_active", "busy", "retires_when_nothing"),
    (fetch, Fetch, "& (self.stop | ~any_active)", "", "quiet_when_all"),
    (fetch, Fetch, "port.quiet for port in ports).all() &", "port.quiet for port in ports).any() &", "quiet_when_all"),
    (fetch, Fetch, "port.active for port in ports).any()", "port.active for port in ports).all()", "retires_when_nothing"),
    (fetch, Fetch, "Mux(self.pop, follow, stay) & ~self.clear", "Mux(self.pop, stay, stay) & ~self.clear", "heads_are_valid"),
    (fetch, Fetch, "Mux(self.pop, follow, stay) & ~self.clear", "Mux(self.pop, follow, stay)", "heads_are_valid"),
    (side_reader, SideReader, "(~self.stop | offered)", "~self.stop", "address_stays_valid"),
    (side_reader, SideReader, "self.last.eq(to_come == 1)", "self.last.eq(to_come == 2)", "last_is_the_last"),
    (side_reader, SideReader, "axi.arlen.eq(length - 1)", "axi.arlen.eq(SIDE_BURST_BEATS - 1)", "burst_is_no_longer"),
    (side_reader, SideReader, "~offered & none_outstanding", "~offered", "quiet_owes_nothing"),
    (side_reader, SideReader, "~accepted & Mux(axi.rvalid", "Mux(axi.rvalid", "quiet_owes_nothing"),
    (side_reader, SideReader, "outstanding == 1, none_outstanding", "outstanding <= 2, none_outstanding", "quiet_owes_nothing"),
    (side_reader, SideReader, "asks.eq(to_ask > SIDE_BURST_BEATS)", "asks.eq(to_ask >= SIDE_BURST_BEATS)", "burst_is_no_longer"),
    (side_reader, SideReader, "asks.eq(0), ", "", "burst_is_no_longer"),
    (side_reader, SideReader, "self.error.eq(axi.rvalid & axi.rresp[1])", "self.error.eq(axi.rresp[1])", "error_is_an_error"),
    (side_writer, SideWriter, "risen | (has_beat", "(has_beat", "address_stays_valid"),
    (
        side_writer,
        SideWriter,
        "self.push | Mux(self.popped, level > 1",
        "self.push | Mux(self.popped, level > 0",
        "only_what_is_inside",
    ),
    (side_writer, SideWriter, "has_beat.eq(0), ", "", "only_what_is_inside"),
    (side_writer, SideWriter, "address_taken.eq(present & address_done & ~self.popped)", "address_taken.eq(0)", "one_address"),
    (side_writer, SideWriter, "address_done & data_done)", "address_done)", "popped_when_both_are_taken"),
    (side_writer, SideWriter, "(unanswered == 0) & (self.stop", "(self.stop", "quiet_owes_nothing"),
    (side_writer, SideWriter, "read.addr.eq(read_index)", "read.addr.eq(read_index + axi.awready)", "comes_out_as_it_went_in"),
    (side_writer, SideWriter, "self.go & ~self.stop", "self.go", "stopped_raises_nothing"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_masters_are_caught(number: int) -> None:
    laws, kind, text, changed, law = MUTANTS[number]
    verdict = prove(laws(mutant(kind, text, changed)), depth=8, induction=False)
    assert not verdict.is_proved
    assert any(name.startswith(law) for name in verdict.broken), verdict.broken
