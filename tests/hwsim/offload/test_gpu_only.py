"""GPUs that hold everything: a long context is bytes over the rate of their memory."""

import dataclasses
import math

import numpy as np
import pytest

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from hwsim.offload.parallel import WAYS
from hwsim.offload.systems import system
from hwsim.offload.systems.gpu_only import KERNELS, GpuOnly
from models.zoo import network

LLAMA = network("llama-2-7b")
WEIGHTS = 2 * (32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096)
TOKEN = 32 * 4 * 4096


@pytest.mark.parametrize("name", ["gpu-a100", "gpu-h200", "gpu-rtx-4090", "gpu-a6000", "gpu-h100"])
@pytest.mark.parametrize("prompt", [65536, 262144, 1 << 20])
def test_a_step_of_one_sequence_reads_weights_and_cache(name: str, prompt: int) -> None:
    answer = system(name).answer(Workload(network=LLAMA, prompt=prompt, generated=2, batch=1))
    gpu = answer.parts[0].device.facts
    memory = float(gpu["memory_rate"].value.value)
    weights, cache = memory * gpu["memory_share"].value, memory * gpu["attention_share"].value
    expected = WEIGHTS / weights + TOKEN * (prompt + 1) / cache
    time, launches = float(answer.step.time.value), float(answer.step.charged["launches"].value)
    assert time - launches == pytest.approx(expected, rel=0.002)
    assert launches < 3e-3
    assert answer.binding == "GPU memory"


def test_a_step_of_a_window_is_that_of_a_short_context() -> None:
    found = system("gpu-a100")
    long = Workload(network=LLAMA, prompt=1 << 20, generated=2, batch=1, window=2048)
    short = Workload(network=LLAMA, prompt=2047, generated=2, batch=1)
    assert float(found.answer(long).step.time.value) == float(found.answer(short).step.time.value)
    assert float(found.answer(long).tiers[0].used.value) < 20e9


def test_room_is_weights_cache_and_the_values_of_a_layer() -> None:
    answer = system("gpu-a100-x2").answer(Workload(network=LLAMA, prompt=4000, generated=96, batch=16))
    embedding = 2 * 32000 * 4096
    values = 4000 * 2 * (2 * 4096 + 2 * 11008)
    (tier,) = answer.tiers
    assert float(tier.used.value) == WEIGHTS + embedding + 16 * 4096 * TOKEN + values
    assert float(tier.capacity.value) == 2 * 80 * 2**30
    assert answer.fits


def test_a_prompt_is_arithmetic() -> None:
    answer = system("gpu-a100").answer(Workload(network=LLAMA, prompt=32768, generated=2, batch=1))
    layer = 2 * (4 * 4096**2 + 3 * 4096 * 11008) * 32768
    attention = 4 * 4096 * 32768 * 32768 / 2
    gpu = answer.parts[0].device.facts
    peak = float(gpu["fp16_rate"].value.value)
    expected = 32 * (layer / (peak * gpu["product_share"].value) + attention / (peak * gpu["prompt_attention_share"].value))
    assert float(answer.prefill.busy["GPU arithmetic"].value) == pytest.approx(expected, rel=0.05)
    assert answer.prefill.binding() == "GPU arithmetic"


def several(gpus: int, parallel: str, work: Workload) -> Answer:
    return system("gpu-a100", {"gpus": gpus, "parallel": parallel}).answer(work)


def test_gpus_with_sequences_of_their_own_are_as_fast_as_one_with_its_part() -> None:
    work = Workload(network=LLAMA, prompt=4096, generated=64, batch=10)
    one, four = several(1, "best", dataclasses.replace(work, batch=3)), several(4, "data", work)
    assert float(four.step.time.value) == float(one.step.time.value)
    assert float(four.tiers[0].used.value) == pytest.approx(4 * float(one.tiers[0].used.value))


def test_gpus_with_layers_of_their_own_read_their_weights_once_for_each_part_of_the_batch() -> None:
    work = Workload(network=LLAMA, prompt=4096, generated=64, batch=8)
    one, four = several(1, "best", dataclasses.replace(work, batch=2)), several(4, "layer", work)
    # Four parts of two sequences pass a quarter of the layers each in a step, which is as long as two sequences on one GPU.
    assert float(four.step.time.value) == pytest.approx(float(one.step.time.value), rel=0.15)
    assert float(four.step.time.value) > float(one.step.time.value)
    # A prompt's first part passes all stages before a second one ends: seven stages in place of four.
    alone = several(1, "best", dataclasses.replace(work, batch=2)).prefill.time.value
    assert float(four.prefill.time.value) == pytest.approx(float(alone) * 7 / 4, rel=0.15)


def test_the_best_way_is_none_that_is_slower_and_fits_where_one_does() -> None:
    batches = np.array([1.0, 3.0, 64.0])
    work = Workload(network=LLAMA, prompt=np.array([[512.0], [65536.0]]), generated=64, batch=batches)
    best = several(4, "best", work)
    ways = [several(4, way, work) for way in WAYS]
    for way in ways:
        worse = np.asarray(way.fits) & (np.asarray(best.whole.time.value) > np.asarray(way.whole.time.value) * (1 + 1e-12))
        assert not worse.any()
    assert (np.asarray(best.fits) >= np.any([way.fits for way in ways], axis=0)).all()
    assert np.shape(best.tokens_per_second) == (2, 3)


def test_gpus_that_cannot_share_the_heads_work_in_another_way_unless_they_are_told_to() -> None:
    work = Workload(network=LLAMA, prompt=512, generated=8, batch=6)
    with pytest.raises(SpecError, match="^Number of devices that share llama-2-7b must divide its 32 heads, not be 3$"):
        several(3, "tensor", work)
    assert several(3, "best", work).tokens_per_second > several(2, "tensor", work).tokens_per_second


def prompt_s(kernels: str, tokens: int, window: float = math.inf) -> float:
    work = Workload(network=network("llama-3-8b"), prompt=tokens, generated=1, batch=1, window=window)
    return float(system("gpu-a100", {"kernels": kernels}).answer(work).prefill.time.value)


def test_prompts_of_a_pipeline_are_arithmetic_at_its_rate_and_no_shorter_than_its_launches() -> None:
    found = system("gpu-a100")
    assert isinstance(found, GpuOnly)
    layer, head = float(found.pipeline_layer.value.value), float(found.pipeline_head.value.value)
    assert prompt_s("published", 100) == pytest.approx(32 * layer, rel=0.05)
    assert prompt_s("published", 100, 4096) == pytest.approx(32 * (layer + 32 * head), rel=0.05)
    tokens, sizes = 200_000, network("llama-3-8b")
    operations = 2 * sizes.layer_weights * tokens + 4 * 4096 * tokens * tokens / 2
    assert prompt_s("published", tokens) == pytest.approx(32 * operations / (312e12 * found.pipeline_share.value), rel=0.03)


def test_kernels_change_prompts_alone() -> None:
    long = 131072
    assert prompt_s("published", long) > prompt_s("cudnn", long) > prompt_s("measured", long)
    work = Workload(network=LLAMA, prompt=4096, generated=64, batch=1)
    steps = {float(system("gpu-a100", {"kernels": kernels}).answer(work).step.time.value) for kernels in KERNELS}
    assert len(steps) == 1
