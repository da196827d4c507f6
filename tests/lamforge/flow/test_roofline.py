"""The roofline shares out a run's cycles and bytes, and names of instructions and windows of layers agree with its timeline."""

import numpy as np
import pytest

import lamforge
from hwsim.arch.fields import Unit
from lamforge.flow.executed import FAMILIES, Executed
from lamforge.flow.roofline import points, roofline
from lamforge.flow.simulate import Timing

PARTS = {"qkv", "o", "gateup", "down", "head"}


@pytest.fixture(scope="module")
def timing() -> Timing:
    found = lamforge.simulate(workload="smollm2-135m", engine="small", context=256, layers="w4")
    assert isinstance(found, Timing)
    return found


@pytest.fixture(scope="module")
def executed(timing: Timing) -> Executed:
    return Executed(timing=timing)


def test_points_share_out_every_cycle_and_byte(timing: Timing, executed: Executed) -> None:
    found, timeline = points(timing), timing.timeline
    matrix = np.flatnonzero(timeline.unit == Unit.MATRIX)
    cycles = np.diff(timeline.release[matrix], prepend=-1)
    has_work = [executed.part(index) in {"attention", *PARTS} for index in matrix]
    assert sum(point.cycles for point in found) == cycles[has_work].sum() > 0.99 * timeline.cycles
    assert sum(point.stream_bytes for point in found) == timeline.stream_bytes
    assert {point.name for point in found} == {"qkv", "attention scores", "attention mix", "o", "gateup", "down", "head"}


def test_no_point_is_above_the_roof(timing: Timing) -> None:
    found = roofline([timing, timing])
    assert len(found.points) == 2 * len(points(timing))
    assert [roof.rows for roof in found.roofs] == [1, timing.engine.tile.tokens]
    for point in found.points:
        assert point.rate <= point.intensity * found.bytes_per_cycle
        assert point.rate <= found.roofs[-1].products_per_cycle == 32 * timing.engine.tile.slices * timing.engine.tile.tokens


def test_zeros_of_pruned_weights_count_as_products(timing: Timing) -> None:
    pruned = lamforge.simulate(workload="smollm2-135m", engine="small", context=256, layers="w2s")
    assert isinstance(pruned, Timing)
    assert roofline([pruned]).roofs[0].products_per_cycle == 2 * roofline([timing]).roofs[0].products_per_cycle


def test_products_of_a_matrix_are_its_weights(timing: Timing) -> None:
    products = {point.name: point.multiply_accumulates for point in points(timing)}
    assert products["gateup"] == 30 * 2 * 1536 * 576
    assert products["head"] == 49152 * 576


def test_iterations_count_earlier_runs_of_a_word(timing: Timing, executed: Executed) -> None:
    pc = timing.timeline.pc
    slow = np.array([(pc[:index] == word).sum() for index, word in enumerate(pc)])
    assert np.array_equal(executed.iteration, slow)
    assert executed.name(int(np.flatnonzero(executed.iteration == 29)[0])).startswith("layers.29.")


def test_the_layer_window_is_a_thirtieth_of_the_layers(timing: Timing, executed: Executed) -> None:
    (start, stop), (first, last) = executed.layer_window, executed.attention_window
    assert start <= first < last <= stop
    assert stop - start < timing.cycles / 30


def test_spans_of_layers_follow_each_other(timing: Timing, executed: Executed) -> None:
    spans = [executed.layer_spans[f"layer {layer}"] for layer in range(30)]
    assert all(first <= last for first, last in spans)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
    assert executed.layer_spans["head"][1] <= timing.cycles


def test_families_are_named(executed: Executed) -> None:
    assert {executed.family(index) for index in range(200)} <= set(FAMILIES)
