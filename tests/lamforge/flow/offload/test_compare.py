"""Systems over contexts: each point is the answer to its own question, in the batch with the most token/s."""

import dataclasses
import math

import numpy as np
import pytest

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from lamforge.flow.offload.compare import BATCHES, CONTENDERS, CONTEXTS, Comparison, compared
from lamforge.flow.offload.contender import contender
from models.zoo import network

LLAMA = network("llama-2-7b")
GENERATED = 64
CONTEXT = 2.0**12


def some(*names: str, batches: tuple[int, ...] = BATCHES) -> Comparison:
    return compared(LLAMA, [contender(name) for name in names], CONTEXTS, GENERATED, batches)


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_point_is_the_best_of_its_batches(name: str) -> None:
    """Every batch asked for alone, against the one that the grid took."""
    (line,) = some(name).lines
    place = CONTEXTS.index(CONTEXT)
    rates = {}
    for batch in BATCHES:
        if batch <= line.contender.system.most_sequences:
            asked = Workload(network=LLAMA, prompt=CONTEXT, generated=float(GENERATED), batch=float(batch))
            answer = line.contender.answer(asked)
            if answer.fits:
                rates[batch] = (float(answer.tokens_per_second), answer.binding, float(answer.step.time.value))
    best = max(rates, key=lambda batch: rates[batch][0])
    assert line.batch[place] == best
    assert (line.token_per_s[place], line.step_s[place]) == pytest.approx((rates[best][0], rates[best][2]))
    assert line.binding[place] == rates[best][1]


def test_where_a_workload_does_not_fit_there_is_no_figure() -> None:
    (line,) = some("gpu-rtx-4090").lines
    rates = line.values("token_per_s")
    assert math.isnan(line.token_per_s[-1])
    assert (rates[-1], line.binding[-1]) == (None, None)
    assert rates[0] == line.token_per_s[0] > 0


def test_contexts_are_spread_evenly() -> None:
    found = some("gpu-a100")
    assert found.spread(9) == list(range(0, 65, 8))
    assert found.spread(6) == [0, 13, 26, 38, 51, 64]
    assert found.spread(1000) == list(range(65))
    assert dataclasses.replace(found, contexts=(5.0,)).spread(6) == [0]


def test_the_fastest_comes_first_and_what_does_not_fit_last() -> None:
    found = compared(LLAMA, [contender(name) for name in ("gpu-rtx-4090", "gpu-a100", "gpu-h200")], (65536.0,), GENERATED, (1,))
    assert [line.contender.name for line in found.fastest_first] == ["gpu-h200", "gpu-a100", "gpu-rtx-4090"]


def test_systems_change_places_where_their_lines_cross() -> None:
    found = some("gpu-a100", "gpu-a100:w2a8kv4:2048", batches=(1,))
    one, other = found.lines
    gap = one.token_per_s - other.token_per_s
    turns = np.count_nonzero(np.diff(np.sign(gap[np.isfinite(gap)])))
    assert len(found.crossovers) == turns


def test_a_crossover_lies_between_its_neighbours() -> None:
    found = some(*CONTENDERS)
    assert found.crossovers
    lines = {line.contender.name: line.token_per_s for line in found.lines}
    for each in found.crossovers:
        left = int(np.searchsorted(CONTEXTS, each.context)) - 1
        before, after = lines[each.before], lines[each.after]
        assert before[left] > after[left]
        assert before[left + 1] < after[left + 1]
        assert CONTEXTS[left] <= each.context <= CONTEXTS[left + 1]


def test_a_system_made_for_one_sequence_is_asked_for_one() -> None:
    (line,) = some("triforce-a100").lines
    assert set(line.batch[np.isfinite(line.batch)]) == {1.0}
    with pytest.raises(SpecError) as refusal:
        some("triforce-a100", batches=(2, 4))
    assert str(refusal.value) == "Batch of triforce-a100 must be at most 1, not 2"


def test_the_same_system_twice_is_refused() -> None:
    with pytest.raises(SpecError) as refusal:
        some("gpu-a100", "gpu-a100")
    assert str(refusal.value) == "Compared systems must differ, not gpu-a100, gpu-a100"
