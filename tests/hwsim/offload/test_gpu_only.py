"""GPUs that hold everything: a long context is bytes over the rate of their memory."""

import pytest

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
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
