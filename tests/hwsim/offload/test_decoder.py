"""Layers on a GPU: more work never takes less time, more GPUs never more, and what is cached bounds what attention reads."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwsim.arch.workload import Network, Workload
from hwsim.errors import SpecError
from hwsim.offload.devices import GPUS
from hwsim.offload.gpu_time import MEMORY, PEERS, GpuDecoder, GpuRates
from hwsim.units import BytesPerSecond
from models.zoo import network

WORK = Workload(network=network("llama-2-7b"), prompt=2048, generated=64, batch=1)
GPU = GPUS.load("a100-sxm-80").rates()
NETWORKS = [network(name) for name in ("llama-2-7b", "llama-3-8b", "opt-13b", "qwen2-7b")]
RATES = [GPUS.load(name).rates() for name in ("a100-sxm-80", "h200", "rtx-4090", "t4")]

tokens = st.integers(1, 4096)
keys = st.integers(1, 1 << 20)
batches = st.integers(1, 256)
more = st.integers(1, 5000)
shapes = st.sampled_from(NETWORKS)
gpus = st.sampled_from(RATES)


def decoder(gpu: GpuRates = GPU, count: int = 1, **changes: Any) -> GpuDecoder:
    """Return a workload on GPUs, with fields changed."""
    return GpuDecoder(gpu=gpu, work=dataclasses.replace(WORK, **changes), gpus=count)


def seconds(found: GpuDecoder, queries: float, attended: float) -> float:
    """Return the time of a layer."""
    return float(found.layer(queries, attended).time.value)


@given(shapes, gpus, tokens, keys, more, batches)
def test_more_tokens_keys_or_sequences_never_take_less_time(
    shape: Network, gpu: GpuRates, queries: int, attended: int, further: int, batch: int
) -> None:
    one = decoder(gpu, network=shape, batch=batch)
    time = seconds(one, queries, attended)
    assert seconds(one, queries + further, attended) >= time
    assert seconds(one, queries, attended + further) >= time
    assert seconds(decoder(gpu, network=shape, batch=batch + further), queries, attended) >= time


@given(shapes, gpus, st.sampled_from([2, 4, 8]), st.integers(32768, 1 << 20), batches)
def test_more_gpus_are_never_slower_over_long_contexts(
    shape: Network, gpu: GpuRates, count: int, attended: int, batch: int
) -> None:
    assume(shape.heads % count == 0)
    one, several = (decoder(gpu, each, network=shape, batch=batch) for each in (1, count))
    assert seconds(several, 1, attended) <= seconds(one, 1, attended)


@given(shapes, gpus, st.sampled_from([2, 4, 8]), keys)
def test_gpus_gain_no_more_than_their_number_on_one_sequence(shape: Network, gpu: GpuRates, count: int, attended: int) -> None:
    assume(shape.heads % count == 0)
    one, several = (decoder(gpu, each, network=shape) for each in (1, count))
    assert seconds(one, 1, attended) <= count * seconds(several, 1, attended) * (1 + 1e-12)


@pytest.mark.parametrize(("name", "count"), [("llama-2-7b", 3), ("qwen2-7b", 8), ("llama-3-8b", 64)])
def test_gpus_that_cannot_share_the_heads_are_refused(name: str, count: int) -> None:
    with pytest.raises(SpecError, match=f"^Number of devices that share {name} must divide its .* heads.*, not (be )?{count}$"):
        decoder(count=count, network=network(name))


def test_gpus_beyond_the_heads_of_keys_keep_copies() -> None:
    """Llama-3-8B has keys for 8 heads: 16 GPUs read as much of the cache each as 8 do."""
    eight, sixteen = (decoder(count=count, network=network("llama-3-8b")).attention(1, 1 << 20) for count in (8, 16))
    assert float(sixteen.time.value) == pytest.approx(float(eight.time.value))


def test_gpus_share_attention_over_a_long_context_evenly() -> None:
    one, four = decoder(prompt=1 << 20), decoder(count=4, prompt=1 << 20)
    assert seconds(one, 1, 1 << 20) / seconds(four, 1, 1 << 20) == pytest.approx(4, rel=0.05)


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_the_window_caps_what_a_prompt_attends_to(prompt: int, window: int) -> None:
    dense, capped = decoder(prompt=prompt), decoder(prompt=prompt, window=window)
    assert capped.prompt().time.value <= dense.prompt().time.value
    if window >= prompt:
        assert capped.prompt().time.value == dense.prompt().time.value
    # In the mean over its tokens: a token in the middle of the window attends to half of it, those beyond to all of it.
    keys = np.minimum(np.arange(prompt) + 0.5, window).mean()
    assert capped.prompt().time.value == pytest.approx(
        float(dense.linear(prompt).time.value + dense.attention(prompt, keys).time.value)
    )


@given(shapes, batches, tokens)
def test_weights_of_two_bits_take_between_an_eighth_and_all_of_the_time(shape: Network, batch: int, queries: int) -> None:
    whole = decoder(network=shape, batch=batch)
    packed = decoder(network=shape, batch=batch, weight_bits=2.0)
    ratio = seconds(packed, queries, 1) / seconds(whole, queries, 1)
    assert 1 / 8 < ratio <= 1


def test_one_token_reads_every_matrix_once() -> None:
    for bits in (16.0, 2.0):
        found = decoder(weight_bits=bits)
        shape = found.work.network
        memory = found.linear(1).busy[MEMORY].value * GPU.long_read_rate.value
        values = (2 * 5 + 2 * 3) * shape.hidden + 11 * shape.ffn
        assert memory == pytest.approx(shape.layer_weights * bits / 8, rel=0.01 if bits == 16 else 0.05)
        assert memory > shape.layer_weights * bits / 8
        assert memory < shape.layer_weights * bits / 8 + 40 * values


def test_attention_reads_the_cache_once_and_computes_scores_and_mixing() -> None:
    found = decoder(batch=3)
    span = found.attention(1, 100_000)
    assert span.busy[MEMORY].value * GPU.memory.value * GPU.attention_share == pytest.approx(3 * 100_000 * 2 * 4096 * 2)
    long = decoder(prompt=100_000)
    time = 4 * 4096 * 100_000 * 50_000 / (GPU.peak.value * GPU.prompt_attention_share)
    assert long.attention(100_000, 50_000).time.value == pytest.approx(time, rel=1e-4)


def test_a_grid_is_its_points() -> None:
    prompts, counts = np.array([16.0, 2048.0, 100_000.0]), np.array([[1.0], [17.0], [300.0]])
    grid = decoder(prompt=prompts, batch=counts)
    spans = (grid.layer(1, prompts), grid.prompt(), grid.head())
    room = np.broadcast_to(grid.working().value, (3, 3))
    for row, batch in enumerate(counts[:, 0]):
        for column, prompt in enumerate(prompts):
            point = decoder(prompt=float(prompt), batch=float(batch))
            alone = (point.layer(1, float(prompt)), point.prompt(), point.head())
            for span, expected in zip(spans, alone, strict=True):
                assert np.broadcast_to(span.time.value, (3, 3))[row, column] == pytest.approx(float(expected.time.value), rel=1e-12)
            assert room[row, column] == point.working().value


def test_a_long_prompt_is_computed_in_parts_that_take_no_more_room() -> None:
    shorter, longer, longest = (float(decoder(prompt=prompt).working().value) for prompt in (4096, 8192, 1 << 20))
    assert longer == 2 * shorter == longest
    assert longest == 8192 * (2 * 4096 + 2 * 11008) * 2


def test_gpus_that_share_a_layer_exchange_its_sums() -> None:
    """Twice in a layer, each of two GPUs sends and receives as many values as the hidden ones of all tokens."""
    rate = BytesPerSecond(25e9)
    alone, shared = (GpuDecoder(gpu=GPU, work=WORK, gpus=gpus, peer_rate=rate).layer(1, 1024) for gpus in (1, 2))
    assert PEERS not in alone.busy
    amount = 2 * WORK.network.hidden * WORK.batch * WORK.activation_bytes
    assert float(shared.moved[PEERS].value) == pytest.approx(amount)
    assert float(shared.busy[PEERS].value) == pytest.approx(amount / 25e9)
