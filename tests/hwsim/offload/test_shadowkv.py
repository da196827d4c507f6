"""ShadowKV: what it fetches, keeps and attends to, by hand and beside the memory model of its paper."""

import dataclasses

import pytest

from hwsim.arch.workload import Workload
from hwsim.offload.gpu_time import GpuDecoder
from hwsim.offload.systems import system
from hwsim.offload.systems.shadowkv import ShadowKv
from hwsim.offload.systems.system import LINK, UP_LINK
from hwsim.plain import set_values
from models.zoo import network

WORK = Workload(network=network("llama-3-8b"), prompt=122880, generated=100, batch=24)
LAYERS, CONTEXT = 32, 122880 + 50
KEY = 2 * 8 * 128
"""Bytes of a token's keys in a layer, or of its values."""


def shadow(*settings: str) -> ShadowKv:
    """Return the shipped system with settings."""
    found = system("shadowkv-a100", set_values(settings))
    assert isinstance(found, ShadowKv)
    return found


SHADOW = shadow()


def test_a_step_fetches_the_picked_values_that_are_not_there() -> None:
    answer = SHADOW.answer(WORK)
    fetched = LAYERS * 24 * KEY * 0.0156 * CONTEXT * (1 - 0.6)
    assert float(answer.step.moved[LINK].value) == pytest.approx(fetched)
    assert float(answer.prefill.moved[UP_LINK].value) == LAYERS * 24 * KEY * 122880
    # Packets leave about 26 of the link's 31.5 GB/s, fetches of single chunks most of those: 21.9 to 24.3 were derived.
    together = SHADOW.fetching(WORK).time.value
    assert fetched / LAYERS / float(together) == pytest.approx(23e9, rel=0.06)
    # Of one sequence each head is fetched by a thread block, at its own rate.
    one = SHADOW.fetching(dataclasses.replace(WORK, batch=1))
    head = KEY / 8 * 0.0156 * CONTEXT * (1 - 0.6)
    assert float(one.time.value) == pytest.approx(head / float(SHADOW.head_rate.value.value))
    assert float(shadow("hit_share=1").answer(WORK).step.moved[LINK].value) == 0


def test_the_gpu_keeps_a_sixth() -> None:
    """The paper's memory model, with what it counts of outliers for every value, not for every token."""
    tokens, width, rank = 131072, 1024, 160
    picked = 0.0156 * (tokens + 50)
    kept = float(SHADOW.kept(dataclasses.replace(WORK, prompt=tokens, batch=1), tokens).value) / 2
    landmarks, ranks, whole = tokens * width / 8, tokens * rank, 2 * (picked + (48 + 4) * 8) * width
    assert kept == pytest.approx(landmarks + ranks + whole)
    published = 2 * tokens * width / (landmarks + 2 * (256 + 48) * 8 + ranks + rank * width)
    assert published == pytest.approx(7.08, abs=0.01)
    assert 6 < 2 * tokens * width / kept < published


def test_attention_is_over_picked_and_resident_tokens() -> None:
    gpu = 2039e9 * SHADOW.attention_share.value
    read = 24 * 2 * KEY * (0.0156 * CONTEXT + 52 * 8 + 50)
    assert float(SHADOW.attending(WORK).busy["GPU memory"].value) == pytest.approx(read / gpu)
    short = dataclasses.replace(WORK, prompt=100, generated=2)
    assert float(SHADOW.attending(short).busy["GPU memory"].value) == pytest.approx(24 * 2 * KEY * 101 / gpu)


def test_all_landmarks_are_read_and_scored_by_every_query_head() -> None:
    scored = float(SHADOW.scoring(WORK).busy["GPU memory"].value)
    landmarks = 24 * KEY * CONTEXT / 8
    scores = 24 * 32 * CONTEXT / 8
    rate = SHADOW.gpu.rates().long_read_rate.value
    assert scored == pytest.approx(landmarks / rate + scores / float(SHADOW.pick_rate.value.value))


def test_keys_are_made_again_while_values_come() -> None:
    fetch, rebuild = SHADOW.fetching(WORK), SHADOW.rebuilding(WORK)
    products = GpuDecoder(gpu=SHADOW.gpu.rates(), work=WORK).linear(1)
    others = [products, SHADOW.scoring(WORK), SHADOW.attending(WORK)]
    expected = sum(float(each.time.value) for each in others) + max(float(fetch.time.value), float(rebuild.time.value))
    expected += float(SHADOW.layer_cost.value.value)
    assert float(SHADOW.layer(WORK).time.value) == pytest.approx(expected, rel=1e-12)
    low_ranks = 24 * 0.0156 * CONTEXT * (8 * 160 + 1024) * 2
    assert float(rebuild.busy["GPU memory"].value) * SHADOW.gpu.rates().long_read_rate.value == pytest.approx(low_ranks)


def test_steps_cost_less_than_full_attention_and_sequences_take_less_room() -> None:
    full = system("gpu-a100").answer(dataclasses.replace(WORK, batch=4))
    part = SHADOW.answer(WORK)
    assert part.fits
    assert not system("gpu-a100").answer(WORK).fits
    assert 2.5 < float(part.decode_tokens_per_second / full.decode_tokens_per_second) < 3.5
