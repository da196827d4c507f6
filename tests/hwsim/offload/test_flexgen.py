"""FlexGen: two rows of its tables worked out by hand from its printed equations, bytes that go where the policy says, and laws."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.systems import system
from hwsim.offload.systems.flexgen import FlexGen, Split
from hwsim.offload.systems.system import DRIVE, HOST, LINK, UP_LINK
from hwsim.plain import set_values
from hwsim.units import Value
from models.zoo import network

GIB = 2.0**30
WORK = Workload(network=network("opt-30b"), prompt=512, generated=32, batch=144)


def flexgen(*settings: str) -> FlexGen:
    """Return FlexGen's machine with three GPU batches and settings."""
    found = system("flexgen-t4", set_values(["batches=3", *settings]))
    assert isinstance(found, FlexGen)
    return found


SHIPPED = flexgen()


def by_hand(layers: int, h1: float, s: float, n: float, gbs: float, batches: int, policy: tuple[float, ...]) -> float:
    """Return token/s by the cost model of FlexGen's section 4.3, in the form of its released code, host attention on.

    Its rates, but for those that other tables of it contradict: disk reads (table 5) and products and attention of a step
    (tables 2 and 5). Added to it: each GPU batch reads a layer's weights from GPU memory.
    """
    gpu, host, drive, rates = SHIPPED.gpu, SHIPPED.host, SHIPPED.drive, SHIPPED.rates
    wg, wc, cg, cc, hg, hc = (percent / 100 for percent in policy)
    wd, cd = 1 - wg - wc, 1 - cg - cc
    h2, bls = 4 * h1, gbs * batches
    wi = 8 * h1**2 + 4 * h1 * h2
    ctog, gtoc_cache, gtoc_hidden = 12.89 * GIB, 0.97 * GIB, 4.82 * GIB
    mm_prompt, bmm_prompt, mm_step, cpu = 21.24e12, 9.97e12, 21.24e12, float(host.known("attention_rate").value)
    dtoc_first = ctod_token = float(rates.fault_rate.value.value)
    dtoc = ctod_prompt = 2e9 * drive.file_share.value
    gpu_memory = gpu.memory_share.value * 320e9
    gpu_cache = gpu.attention_share.value * 320e9

    ctog_p = ((wc + wd) * wi + 2 * hc * s * h1 * bls) / ctog
    dtoc_p = wd * wi / dtoc_first
    gtoc_p = 4 * cc * (s + 1) * h1 * bls / gtoc_cache + 2 * hc * s * h1 * bls / gtoc_hidden
    ctod_p = 4 * cd * bls * (s + 1) * h1 / ctod_prompt
    comp_p = bls * (8 * s * h1**2 + 4 * s * h1 * h2) / mm_prompt + 4 * bls * s**2 * h1 / bmm_prompt
    prompt = max(ctog_p + dtoc_p, gtoc_p + ctod_p, comp_p)

    ctog_g = ((wc + wd) * wi + 2 * hc * h1 * bls) / ctog
    dtoc_g = (4 * cd * bls * (s + n / 2) * h1 + wd * wi) / dtoc
    gtoc_g = 4 * cc * h1 * bls / gtoc_cache + 2 * hc * h1 * bls / gtoc_hidden
    ctod_g = 4 * cd * bls * h1 / ctod_token
    products = bls * (8 * h1**2 + 4 * h1 * h2) / mm_step + wi * batches / gpu_memory
    attention = 4 * cg * bls * (s + n / 2) * h1 / gpu_cache + 4 * (cc + cd) * bls * (s + n / 2) * h1 / cpu
    step = ctog_g + max(dtoc_g, gtoc_g + ctod_g, products + attention)
    return bls * n / (layers * (prompt + step * (n - 1)))


@pytest.mark.parametrize(
    ("model", "sizes", "batch", "policy", "placed", "published"),
    [
        # Of the matrices of a layer (four of a twelfth, two of a third) these shares place the last twelfth, or none, on the GPU.
        ("opt-30b", (48, 7168, 512, 32), (48, 3), (20, 80, 0, 100, 0, 100), (100 / 12, 1100 / 12), 7.32),
        ("opt-30b", (48, 7168, 256, 32), (160, 2), (10, 90, 0, 100, 0, 100), (0, 100), 16.01),
        ("opt-175b", (96, 12288, 512, 32), (32, 8), (0, 50, 0, 0, 0, 100), (0, 50), 0.69),
    ],
)
def test_rows_by_hand(
    model: str,
    sizes: tuple[int, int, int, int],
    batch: tuple[int, int],
    policy: tuple[int, ...],
    placed: tuple[float, float],
    published: float,
) -> None:
    layers, h1, prompt, generated = sizes
    expected = by_hand(layers, h1, prompt, generated, *batch, (*placed, *policy[2:]))
    places = ("weights.gpu", "weights.host", "cache.gpu", "cache.host", "activations.gpu", "activations.host")
    chosen = flexgen(f"batches={batch[1]}", *(f"{place}={share}" for place, share in zip(places, policy, strict=True)))
    work = Workload(network=network(model), prompt=prompt, generated=generated, batch=batch[0] * batch[1])
    assert float(chosen.answer(work).tokens_per_second) == pytest.approx(expected, rel=2e-3)
    assert expected == pytest.approx(published, rel=0.16)


def test_a_step_moves_what_is_elsewhere() -> None:
    h, layers = 7168, 48
    weights, hidden = layers * 24 * h * h, layers * 2 * h * 144
    cache = layers * 4 * h * 144
    places = ("weights={gpu: 20, host: 70}", "cache={gpu: 30, host: 60}", "activations={gpu: 40, host: 60}")
    step = flexgen(*places, "has_whole_matrices=false").answer(WORK).step
    assert float(step.moved[LINK].value) == pytest.approx(0.8 * weights + 0.6 * hidden)
    assert float(step.moved[DRIVE].value) == pytest.approx(0.1 * weights + 0.1 * cache * (512 + 16) + 0.1 * cache)
    assert float(step.moved[UP_LINK].value) == pytest.approx(0.6 * cache + 0.6 * hidden)


def test_without_the_host_attending_the_cache_comes_too() -> None:
    with_host, without = flexgen(), flexgen("has_host_attention=false")
    one, two = with_host.answer(WORK).step, without.answer(WORK).step
    cache = 48 * 4 * 7168 * 144 * (512 + 16)
    assert float(two.moved[LINK].value - one.moved[LINK].value) == pytest.approx(cache)
    assert HOST in one.busy
    assert HOST not in two.busy


def test_the_prompt_moves_weights_and_cache_once() -> None:
    prefill = flexgen("has_whole_matrices=false").answer(WORK).prefill
    h, layers = 7168, 48
    assert float(prefill.moved[LINK].value) == pytest.approx(layers * (0.8 * 24 * h * h + 2 * h * 144 * 512))
    assert float(prefill.moved[UP_LINK].value) == pytest.approx(layers * (4 * h * 144 * 513 + 2 * h * 144 * 512))


def test_the_first_read_of_weights_is_slow_and_the_prompts_cache_goes_through_buffers() -> None:
    places = ("weights={gpu: 20, host: 30}", "cache={gpu: 0, host: 0}", "has_whole_matrices=false")
    answer = flexgen(*places).answer(WORK)
    h, layers = 7168, 48
    weights, cache = layers * 0.5 * 24 * h * h, layers * 4 * h * 144
    faults, files = float(SHIPPED.rates.fault_rate.value.value), float(SHIPPED.drive.file_rate.value)
    assert float(answer.prefill.busy[DRIVE].value) == pytest.approx(weights / faults)
    hidden = layers * 2 * h * 144 * 512
    assert float(answer.prefill.busy[UP_LINK].value) == pytest.approx(cache * 513 / files + hidden / (4.82 * GIB))
    assert float(answer.step.busy[DRIVE].value) == pytest.approx((weights + cache * 528) / files + cache / faults)


def test_overlap_hides_but_does_not_remove() -> None:
    overlapping, one_by_one = flexgen(), flexgen("has_overlap=false")
    for hidden, plain in (
        (overlapping.answer(WORK).step, one_by_one.answer(WORK).step),
        (overlapping.answer(WORK).prefill, one_by_one.answer(WORK).prefill),
    ):
        assert float(hidden.time.value) < float(plain.time.value)
        assert float(plain.time.value) == pytest.approx(sum(float(time.value) for time in plain.busy.values()))


def test_what_is_packed_is_unpacked() -> None:
    """At 4.5 bits copies shrink in proportion, and the GPU's memory carries what unpacking moves."""
    plain = flexgen().answer(WORK).step
    packed = flexgen().answer(dataclasses.replace(WORK, weight_bits=4.5)).step
    hidden = 48 * 2 * 7168 * 144
    assert float(packed.moved[LINK].value) - hidden == pytest.approx((float(plain.moved[LINK].value) - hidden) * 4.5 / 16)
    unpacked = 48 * 24 * 7168**2 * 3
    extra = float(packed.busy["GPU memory"].value - plain.busy["GPU memory"].value)
    assert extra == pytest.approx(SHIPPED.rates.unpacking.value * unpacked / (SHIPPED.gpu.memory_share.value * 320e9))


def test_more_on_the_gpu_copies_less_and_takes_more_room() -> None:
    moved, room = [], []
    for share in (0, 10, 20, 50, 100):
        answer = flexgen(f"weights.gpu={share}", f"weights.host={100 - share}").answer(WORK)
        moved.append(float(answer.step.moved[LINK].value))
        room.append(float(answer.tiers[0].used.value))
    assert moved == sorted(moved, reverse=True)
    assert room == sorted(room)


def test_tiers_hold_everything_once() -> None:
    """Beside buffers, what is on GPU, host and drive adds up to weights, cache and the prompt's activations."""
    places = ("weights={gpu: 10, host: 30}", "cache={gpu: 20, host: 30}", "activations={gpu: 0, host: 100}")
    split = flexgen(*places, "has_whole_matrices=false")
    whole = flexgen("weights={gpu: 0, host: 0}", "cache={gpu: 0, host: 0}", "activations={gpu: 0, host: 100}")
    weights = 48 * 24 * 7168**2
    cache = 48 * 4 * 7168 * 144 * (512 + 32)
    assert float(whole.tiers(WORK)[3].used.value) == pytest.approx(weights + cache)
    assert float(split.tiers(WORK)[3].used.value) == pytest.approx(0.6 * weights + 0.5 * cache)
    host = 0.3 * weights + 0.3 * cache + 2 * 7168 * 144 * 512
    buffers = 0.6 * weights / 48 + 2 * 0.5 * cache / 48 / 3
    assert float(split.tiers(WORK)[2].used.value) == pytest.approx(host + buffers)


@given(st.sampled_from(["opt-30b", "llama-3-8b"]), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_matrices_are_in_one_place_each(name: str, first: int, second: int, further: int) -> None:
    """Shares of weights are sums of whole matrices, and as many percent as asked for but for half of the largest matrix."""
    shape = network(name)
    width, entries = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    matrices = [width, entries, entries, width] + [shape.ffn] * (3 if shape.is_gated else 2)
    on_gpu, on_host = min(first, second), max(first, second) - min(first, second)
    shares = dataclasses.replace(SHIPPED, weights=Split(gpu=on_gpu, host=on_host)).weight_shares(shape)
    assert sum(shares) == pytest.approx(1)
    sums = {sum(each) for size in range(len(matrices) + 1) for each in itertools.combinations(matrices, size)}
    for share in shares:
        assert min(abs(share * sum(matrices) - each) for each in sums) < 1e-6
    assert abs(shares[0] - on_gpu / 100) <= 0.25 + 1e-9
    assert abs(shares[2] - (100 - on_gpu - on_host) / 100) <= 0.25 + 1e-9
    more = min(100, on_gpu + further)
    assert dataclasses.replace(SHIPPED, weights=Split(gpu=more, host=100 - more)).weight_shares(shape)[0] >= shares[0]


def test_shares_are_met_where_matrices_need_not_be_whole() -> None:
    chosen = flexgen("weights={gpu: 20, host: 30}", "has_whole_matrices=false")
    assert chosen.weight_shares(network("opt-30b")) == (0.2, 0.3, 0.5)


def test_a_drive_that_holds_nothing_is_no_part() -> None:
    names = [[part.device.name for part in flexgen(*places).answer(WORK).parts] for places in ((), ("cache={gpu: 0, host: 0}",))]
    assert names == [["t4", "flexgen-gcp"], ["t4", "flexgen-gcp", "flexgen-cloud"]]


def test_a_split_is_three_shares_of_one() -> None:
    split = Split(gpu=20, host=30)
    assert split.drive == 50
    assert split.shares == (0.2, 0.3, 0.5)
    # In floats the two miss 100 now and then; that puts nothing on the drive.
    assert {Split(gpu=100 * (part / 997), host=100 * (1 - part / 997)).drive for part in range(998)} == {0.0}
    assert Split(gpu=99.9, host=0).drive == pytest.approx(0.1)
    for gpu, host in ((60, 41), (-1, 50), (50, -1)):
        sentence = f"^Split must add up to at most 100 percent, not {gpu} on the GPU and {host} on the host$"
        with pytest.raises(SpecError, match=sentence):
            Split(gpu=gpu, host=host)


@pytest.mark.parametrize("batch", [4.0, np.array([3.0, 4.0, 6.0])])
def test_a_batch_that_cannot_be_divided_is_refused(batch: Value) -> None:
    with pytest.raises(SpecError) as refusal:
        flexgen("batches=3").answer(dataclasses.replace(WORK, batch=batch))
    assert str(refusal.value) == "Batch of flexgen-t4 must be a multiple of its 3 GPU batches, not 4"
