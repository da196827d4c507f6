"""ZeRO-Inference: a step moves the weights, no more and no less, and takes as long as the slower of moving and computing."""

import dataclasses

import pytest

from hwsim.arch.workload import Workload
from hwsim.offload.devices import GPUS, HOSTS
from hwsim.offload.systems import system
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST, LINK, UP_LINK
from hwsim.offload.systems.zero import ZeroInference
from hwsim.plain import set_values
from models.zoo import network

OPT = network("opt-30b")
WORK = Workload(network=OPT, prompt=512, generated=32, batch=8)
WEIGHTS = 48 * (4 * 7168**2 + 8 * 7168**2)
BYTES = 2 * WEIGHTS


@pytest.mark.parametrize("bits", [16.0, 4.0])
@pytest.mark.parametrize(
    ("name", "settings", "links"),
    [
        ("zero-v100", (), {LINK}),
        ("zero-v100", ("weights=drive",), {LINK, DRIVE}),
        ("zero-v100", ("weights=gpu",), set()),
        ("zero-a100", (), {LINK, DRIVE}),
        ("zero-h100", ("is_direct=true",), {LINK, DRIVE}),
        ("zero-a6000", (), {LINK}),
        ("zero-a100-host", (), {LINK}),
    ],
)
def test_a_step_moves_exactly_the_weights(name: str, settings: tuple[str, ...], links: set[str], bits: float) -> None:
    step = system(name, set_values(settings)).answer(dataclasses.replace(WORK, weight_bits=bits)).step
    assert {link: float(amount.value) for link, amount in step.moved.items()} == dict.fromkeys(
        links, pytest.approx(WEIGHTS * bits / 8, rel=1e-12)
    )


def test_a_step_by_hand() -> None:
    """Weights over the link of the DGX-2 in blocking copies, hooks in every layer, and the head from the GPU's memory."""
    found = system("zero-v100")
    step = found.answer(WORK).step
    rate = BYTES / float(step.busy[LINK].value)
    assert isinstance(found, ZeroInference)
    assert rate == pytest.approx(12e9 * found.copy_share.value)
    hooks = float(found.layer_cost.value.value)
    layer = BYTES / 48 / rate + hooks
    assert float(step.busy[FRAMEWORK].value) == pytest.approx(48 * hooks)
    head = 50272 * 7168 * 2 / 900e9
    assert float(step.time.value) == pytest.approx(48 * layer + head, rel=1e-3)


def test_batches_are_free_until_the_gpu_is_slower_than_the_link() -> None:
    found = system("zero-v100")
    times = [float(found.answer(dataclasses.replace(WORK, batch=batch)).step.time.value) for batch in (1, 32, 16384)]
    assert times[1] == pytest.approx(times[0], rel=0.001)
    assert times[2] > 1.5 * times[0]


def test_drives_are_read_at_what_several_give_and_wait_in_every_layer() -> None:
    buffered, direct = system("zero-a100"), system("zero-a100", set_values(["is_direct=true"]))
    one, two = buffered.answer(WORK).step, direct.answer(WORK).step
    assert isinstance(buffered, ZeroInference)
    waiting = 48 * float(buffered.drive_cost.value.value)
    assert float(two.busy[DRIVE].value) == pytest.approx(BYTES / 10.6e9 + waiting, rel=0.01)
    assert float(one.busy[DRIVE].value) == pytest.approx(BYTES / 10.1e9 + waiting, rel=0.01)
    assert float(one.time.value) > float(two.time.value)


def test_packed_weights_are_unpacked_at_every_use() -> None:
    packed = dataclasses.replace(WORK, weight_bits=4.5)
    whole, small = (system("zero-a6000").answer(each).step for each in (WORK, packed))
    rate = float(GPUS.load("a6000").rates().long_read_rate.value)
    assert float(small.charged["GPU memory"].value - whole.charged["GPU memory"].value) == pytest.approx(2 * BYTES / rate, rel=0.05)


def test_weights_that_are_not_pinned_come_at_the_rate_of_copies_within_the_host() -> None:
    pinned, pageable = system("zero-a6000"), system("zero-a6000", set_values(["is_pinned=false"]))
    assert isinstance(pageable, ZeroInference)
    rate = float(pageable.host.known("pageable_rate").value)
    assert float(pageable.answer(WORK).step.busy[LINK].value) == pytest.approx(BYTES / rate)
    assert float(pinned.answer(WORK).step.busy[LINK].value) < BYTES / rate


def test_drives_count_only_where_the_weights_are_there() -> None:
    host, drive = system("zero-a6000"), system("zero-a6000", set_values(["weights=drive"]))
    assert {part.device.name for part in host.answer(WORK).parts} == {"a6000", "zero-a6000"}
    assert {part.device.name for part in drive.answer(WORK).parts} == {"a6000", "zero-a6000", "cs3040"}
    tiers = {tier.name: tier for tier in drive.answer(WORK).tiers}
    embedding = 50272 * 7168 * 2
    assert float(tiers["drive"].used.value) == BYTES + embedding


def test_the_host_attends_at_the_rate_of_its_memory() -> None:
    work = Workload(network=network("llama-2-7b"), prompt=130048, generated=256, batch=1)
    step = system("zero-4090").answer(work).step
    cache = 32 * 2 * 4096 * 2 * (130048 + 128)
    rate = float(HOSTS.load("epyc-9754").known("memory_rate").value)
    # In FP32, whatever the model has.
    assert float(step.busy[HOST].value) == pytest.approx(2 * cache / rate)
    assert float(step.time.value) > 2 * cache / rate
    prefill = system("zero-4090").answer(work).prefill
    assert float(prefill.moved[UP_LINK].value) == pytest.approx(32 * 2 * 4096 * 2 * 130048)


def test_shared_keys_are_copied_to_all_heads_and_a_cache_may_be_converted() -> None:
    grouped = Workload(network=network("llama-2-70b"), prompt=512, generated=32, batch=96)
    rate = float(HOSTS.load("zero-a6000").known("memory_rate").value)
    kept = 80 * 2 * 1024 * 96 * 528
    # Read in FP32, written eight times, brought into the processor's cache for it, and read again.
    step = system("zero-a6000").answer(grouped).step
    assert float(step.busy[HOST].value) == pytest.approx(4 * kept * (1 + 3 * 8) / rate)
    converted = system("zero-a6000", set_values(["converts_cache=true"])).answer(WORK).step
    cache = 48 * 2 * 7168 * 8 * 528
    assert float(converted.busy[HOST].value) == pytest.approx((2 * cache + 3 * 4 * cache) / rate)


def test_room_is_that_of_weights_and_cache_where_they_are() -> None:
    cache = 48 * 4 * 7168 * 8 * (512 + 32)
    plain = {tier.name: float(tier.used.value) for tier in system("zero-v100").answer(WORK).tiers}
    attending = {tier.name: float(tier.used.value) for tier in system("zero-a6000").answer(WORK).tiers}
    whole = float(WORK.weight_bytes.value)
    assert plain["host memory"] == whole
    assert attending["host memory"] == whole + 2 * cache
    assert plain["GPU memory"] - attending["GPU memory"] == pytest.approx(cache)
    resident = {tier.name: float(tier.used.value) for tier in system("zero-v100", set_values(["weights=gpu"])).answer(WORK).tiers}
    assert set(resident) == {"GPU memory"}
    assert resident["GPU memory"] - plain["GPU memory"] == pytest.approx(whole - 2 * BYTES / 48)
