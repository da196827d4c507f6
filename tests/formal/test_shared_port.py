"""The shared master: offers stay, bursts stay in their page, answers have room; for runs of any length."""

from typing import Any

import pytest
from amaranth import Cat, Const, Mux, Signal, Value

from hwsim.arch.timing import SIDE_BURST_BEATS
from rtl.shared_port import SIDE_ID, SLOTS, SharedPort
from tests.formal.laws import Laws
from tests.formal.mutants import mutant
from tests.formal.prover import prove

PAGE, KIB = 4096, 1024
BITS = 512
LANES = BITS // 128
MOST_WORDS = SIDE_BURST_BEATS // LANES
DEPTH = SLOTS * MOST_WORDS


def shared_port(kind: Any) -> Laws:
    port = kind(BITS)
    laws, axi, side, stream = Laws(port), port.axi, port.side, port.stream
    m, state = laws.m, laws.state
    # What both ports keep to (test_masters.py): offers stay, and bursts in their page or in 1 KiB.
    for asker in (side, stream):
        waits = laws.past(asker.arvalid & ~asker.arready)
        offer = Cat(asker.araddr, asker.arlen)
        laws.assume(~waits | (asker.arvalid & (offer == laws.past(offer))))
    end = Signal(14)
    m.d.comb += end.eq(side.araddr[:10] + (side.arlen + 1) * 16)
    laws.assume((side.araddr[:4] == 0) & (end <= KIB))
    laws.assume((stream.araddr[:6] == 0) & (stream.araddr[:12] + (stream.arlen + 1) * (BITS // 8) <= PAGE))
    accepted = axi.arvalid & axi.arready
    words = Signal(9)
    m.d.comb += words.eq(axi.arlen + 1)
    owed = Signal(16, name="owed")
    is_side = axi.rvalid & (axi.rid == SIDE_ID)
    m.d.sync += owed.eq(owed + Mux(accepted & (axi.arid == SIDE_ID), words, 0) - is_side)
    laws.assume(~(is_side & (owed == 0)))
    laws.held("address", axi.arvalid, axi.arready, Cat(axi.araddr, axi.arlen, axi.arid))
    laws.implies("burst_stays_in_its_page", axi.arvalid, axi.araddr[:12] + words * (BITS // 8) <= PAGE)
    laws.implies("address_is_aligned", axi.arvalid, axi.araddr[:6] == 0)
    laws.law("one_is_taken_at_a_time", ~(side.arready & stream.arready))
    is_of_side = axi.arid == SIDE_ID
    laws.implies("takes_what_was_offered", accepted, Mux(is_of_side, side.arvalid & side.arready, stream.arvalid & stream.arready))
    laws.implies("takes_nothing_else", ~accepted, ~(side.arvalid & side.arready) & ~(stream.arvalid & stream.arready))
    laws.implies("room_for_every_beat", is_side, state["level"] < DEPTH)
    laws.law("always_takes_beats", axi.rready)
    laws.law("stream_beats_pass", stream.rvalid == (axi.rvalid & (axi.rid != SIDE_ID)))
    # Writes pass: whose bytes of a beat they are, the strobes say.
    own = [Mux(side.awaddr[4:6] == lane, side.wstrb, 0) for lane in range(LANES)]
    asks, answers = (axi.awvalid, axi.wvalid, axi.wlast, axi.bready), (axi.awready, axi.wready, axi.bvalid, axi.bresp)
    laws.law("writes_pass", Cat(*asks) == Cat(side.awvalid, side.wvalid, side.wlast, side.bready))
    laws.law("answers_to_writes_pass", Cat(*answers) == Cat(side.awready, side.wready, side.bvalid, side.bresp))
    laws.law("writes_are_aligned", axi.awaddr == Cat(Const(0, 6), side.awaddr[6:]))
    laws.law("strobes_are_of_one_lane", axi.wstrb == Cat(*own))
    laws.law("data_is_in_every_lane", axi.wdata == side.wdata.replicate(LANES))
    # Words that a burst takes, of those that wait and of the one under way.
    free, waiting = state["free_slots"], state["waiting"]
    newest, oldest, busy = state["newest"], state["oldest"], state["is_under_way"]
    current = state["current"]
    laws.invariant("slots_are_counted", (free + waiting + busy) == SLOTS)
    laws.invariant("room_is_told", state["has_room"] == (free != 0))
    laws.invariant("words_are_told", state["has_word"] == (state["level"] != 0))
    laws.invariant("indices_enclose", (newest - oldest)[: len(newest)] == waiting[: len(newest)])
    total: Value = Const(0)
    for place in range(SLOTS):
        number = (oldest + place)[: len(newest)]
        burst = state["burst_0"]
        for other in range(1, SLOTS):
            burst = Mux(number == other, state[f"burst_{other}"], burst)
        taken = _words(burst)
        laws.invariant(f"burst_{place}_fits", waiting > place, taken <= MOST_WORDS)
        total = total + Mux(waiting > place, taken, 0)
    left = _words(current)
    laws.invariant("current_fits", busy, left <= MOST_WORDS)
    laws.invariant("words_are_counted", (owed + state["level"]) == total + Mux(busy, left, 0))
    laws.invariant("level_fits", state["level"] <= DEPTH)
    laws.invariant("offered_means_offered", state["is_offered"] == laws.past(axi.arvalid & ~axi.arready))
    laws.invariant("chosen_has_room", state["is_offered"] & state["was_chosen"], state["has_room"] & side.arvalid)
    laws.invariant("not_chosen_is_the_streams", state["is_offered"] & ~state["was_chosen"], stream.arvalid)
    return laws


def _words(burst: Value) -> Value:
    """Return the beats of the master that a burst of the side port takes from its lane on."""
    lane_bits = (LANES - 1).bit_length()
    bits = Value.cast(burst)
    return ((bits[:lane_bits] + bits[lane_bits:]) >> lane_bits) + 1


def test_shared_port() -> None:
    verdict = prove(shared_port(SharedPort), depth=3, induction=True)
    assert verdict.is_proved, verdict.report


MUTANTS = [
    ("Mux(is_offered, was_chosen, side.arvalid & has_room)", "side.arvalid & has_room", "address_stays_the_same"),
    ("(side.arlen + lane) >> place_bits", "side.arlen", "burst_stays_in_its_page"),
    ("side.arready.eq(chosen & axi.arready)", "side.arready.eq(axi.arready)", "one_is_taken_at_a_time"),
    ("stream.rvalid.eq(axi.rvalid & (axi.rid != SIDE_ID))", "stream.rvalid.eq(axi.rvalid)", "stream_beats_pass"),
    ("axi.arvalid.eq(chosen | stream.arvalid)", "axi.arvalid.eq(stream.arvalid)", "takes_nothing_else"),
    ("side.wstrb << (lane * _BEAT_BYTES)", "side.wstrb << lane", "strobes_are_of_one_lane"),
    ('"awready", "wready", "bresp", "bvalid"', '"awready", "wready", "bvalid"', "answers_to_writes_pass"),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_broken_shared_ports_are_caught(number: int) -> None:
    text, changed, law = MUTANTS[number]
    verdict = prove(shared_port(mutant(SharedPort, text, changed)), depth=3, induction=False)
    assert not verdict.is_proved
    assert any(name.startswith(law) for name in verdict.broken), verdict.broken


def test_bursts_without_room_are_caught() -> None:
    """Five bursts are under way where four have room; the proof's own count of them says so."""
    verdict = prove(shared_port(mutant(SharedPort, "side.arvalid & has_room", "side.arvalid")), depth=8, induction=True)
    assert not verdict.is_proved
    assert "slots_are_counted" in verdict.broken
