"""The cache of a text in progress: which tokens it holds, where, and how its memory grows."""

import dataclasses

import numpy as np
import pytest

from models.integer.cache import LayerCache, State
from models.integer.ops import KvEntry
from tests.models.tiny import tiny_config


def slots_in(cache: LayerCache) -> int:
    """Return how many slots a cache has room for, the same in all of its arrays."""
    slots = {cache.codes.shape[1], cache.mantissa.shape[1], cache.exponent.shape[1], cache.zero.shape[1]}
    assert len(slots) == 1
    assert cache.codes.shape == (2, *slots, 8)
    assert cache.mantissa.shape == cache.exponent.shape == cache.zero.shape == (2, *slots)
    return slots.pop()


@pytest.mark.parametrize(("sinks", "window"), [(0, 1), (0, 5), (3, 1), (4, 7)])
def test_sinks_and_the_latest_tokens_are_held_each_in_a_slot_of_its_own(sinks: int, window: int) -> None:
    state = State(tiny_config(), sinks=sinks, window=window)
    for length in range(25):
        held = state.kept(length)
        assert held.tolist() == [place for place in range(length) if place < sinks or place >= length - window]
        assert state.valid(length) == ((held < sinks).sum(), (held >= sinks).sum())
        slots = state.slots_of(held)
        assert sorted(slots.tolist()) == list(range(len(held)))
        assert slots[:sinks].tolist() == held[:sinks].tolist(), "Sinks stand where they are in the text."
        if length > sinks + window:
            assert state.slots_of(np.array([length - 1])) == state.slots_of(np.array([length - 1 - window]))


def test_memory_doubles_until_all_has_room() -> None:
    config = dataclasses.replace(tiny_config(), head_dim=8)
    state = State(config, sinks=4, window=600)
    assert len(state.keys) == len(state.values) == config.layers
    rooms = []
    for length in (0, 1, 64, 65, 128, 129, 600, 605, 9000):
        state.reserve(length)
        (room,) = {slots_in(cache) for cache in (*state.keys, *state.values)}
        rooms.append(room)
    assert rooms == [0, 64, 64, 128, 128, 256, 600, 604, 604]
    # A text that comes at once has room for itself, and a short ring needs no more than itself.
    for window, length, room in ((600, 300, 300), (6, 1, 10)):
        state = State(dataclasses.replace(config, layers=1), sinks=4, window=window)
        assert state.length == 0
        state.reserve(length)
        assert slots_in(state.keys[0]) == room


def test_what_is_written_is_read_and_stays_when_the_cache_grows(rng: np.random.Generator) -> None:
    cache = LayerCache(2, 8)
    assert slots_in(cache) == 0
    cache.reserve(3)
    assert slots_in(cache) == 3
    codes = rng.integers(1, 256, (2, 3, 8))
    mantissa, exponent, zero = (rng.integers(1, 100, (2, 3)) for _ in range(3))
    cache.write(np.array([2, 0, 1]), KvEntry(codes, (mantissa, exponent), zero))
    for asked, room in ((3, 3), (2, 3), (4, 4), (9, 9)):
        cache.reserve(asked)
        assert slots_in(cache) == room
        found = cache.read(np.array([2, 0, 1]))
        assert found.codes.dtype == np.int64
        for one, other in zip((found.codes, *found.scale, found.zero), (codes, mantissa, exponent, zero), strict=True):
            assert np.array_equal(one, other)
    new = cache.read(np.arange(3, 9))
    assert not any(part.any() for part in (new.codes, *new.scale, new.zero))
