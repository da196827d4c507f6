"""Sets `shadowkv-throughput` and `shadowkv-blocks`: ShadowKV and full attention on one A100, whole models and parts of a block."""

from collections.abc import Iterator

from hwsim.arch.workload import Workload
from hwsim.offload.gpu_time import GpuDecoder
from hwsim.offload.systems import system
from hwsim.offload.systems.shadowkv import ShadowKv
from hwsim.units import Value
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["SHADOWKV_BLOCKS", "SHADOWKV_THROUGHPUT"]

_PAPER = "ShadowKV (arXiv 2410.21465)"
_K = 1024
_GENERATED = 100
_SAME_SHAPE = {"llama-3.1-8b": "llama-3-8b"}

_FULL, _SHADOW = "gpu-a100", "shadowkv-a100"
_BATCHES = (2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48)
# System, network, thousands of tokens, token/s by batch.
_THROUGHPUT: tuple[tuple[str, str, int, dict[int, float]], ...] = (
    (_FULL, "llama-3-8b", 60, dict(zip(_BATCHES, (89.19, 111.44, 126.73, 142.62, 147.40, 160.62), strict=False))),
    (_FULL, "llama-3-8b", 122, dict(zip(_BATCHES, (65.12, 75.16, 80.77), strict=False))),
    (_FULL, "llama-3-8b", 244, {2: 40.37}),
    (_FULL, "llama-3.1-8b", 60, {8: 160.93}),
    (_FULL, "llama-3.1-8b", 122, {4: 80.78}),
    (_FULL, "glm-4-9b", 60, {12: 241.05}),
    (_FULL, "glm-4-9b", 122, {6: 122.67}),
    (_FULL, "glm-4-9b", 244, {3: 61.13}),
    (_FULL, "yi-9b", 60, {10: 204.81}),
    (_FULL, "yi-9b", 122, {5: 101.44}),
    (_FULL, "yi-9b", 244, {2: 46.74}),
    (
        _SHADOW,
        "llama-3-8b",
        60,
        dict(zip(_BATCHES, (89.69, 126.61, 159.41, 184.92, 205.41, 244.20, 306.09, 346.34, 399.65, 428.63, 455.14), strict=True)),
    ),
    (
        _SHADOW,
        "llama-3-8b",
        122,
        dict(zip(_BATCHES, (65.61, 94.28, 115.01, 132.23, 143.77, 166.72, 196.73, 217.24, 239.51), strict=False)),
    ),
    (_SHADOW, "llama-3-8b", 244, dict(zip(_BATCHES, (48.39, 65.95, 78.92, 87.83, 94.07, 104.73, 119.01), strict=False))),
    (_SHADOW, "llama-3-8b", 488, dict(zip(_BATCHES, (29.82, 41.01, 47.13, 50.85, 53.46), strict=False))),
    (_SHADOW, "llama-3.1-8b", 60, {48: 472.77}),
    (_SHADOW, "llama-3.1-8b", 122, {24: 245.90}),
    (_SHADOW, "glm-4-9b", 60, {50: 615.89}),
    (_SHADOW, "glm-4-9b", 122, {25: 293.40}),
    (_SHADOW, "glm-4-9b", 244, {12: 136.51}),
    (_SHADOW, "yi-9b", 60, {42: 544.36}),
    (_SHADOW, "yi-9b", 122, {21: 260.03}),
    (_SHADOW, "yi-9b", 244, {10: 118.55}),
)
# Thousands of tokens, ms of attention and of the feed-forward part of a block of Llama-3-8B.
_PROMPTS = ((64, 186.23, 96.47), (128, 721.13, 193.32), (256, 2880.21, 392.77), (512, 11720.30, 789.23))
# Batch, thousands of tokens, ms of scores with maximum and top-k, fetch, attention, feed-forward with projections, of the block.
_STEPS = (
    (48, 64, 0.77, 1.84, 0.23, 0.38),
    (24, 128, 0.80, 1.66, 0.21, 0.34),
    (12, 256, 0.88, 1.75, 0.19, 0.30),
    (6, 512, 0.95, 1.69, 0.18, 0.28),
)


def _work(name: str, thousands: int, batch: int) -> Workload:
    sizes = network(_SAME_SHAPE.get(name, name))
    return Workload(network=sizes, prompt=thousands * _K, generated=_GENERATED, batch=batch)


def _rates() -> Iterator[Row]:
    source = f"{_PAPER}, generation throughput, tables 3 and 4"
    for way, name, thousands, rates in _THROUGHPUT:
        found = system(way)
        for batch, rate in rates.items():
            answer = found.answer(_work(name, thousands, batch))
            case, ours = f"{way}, {name}, {thousands}K tokens, batch {batch}", float(answer.decode_tokens_per_second)
            yield Row.of(answer, case=case, unit="token/s", published=rate, ours=ours, source=source)


def _blocks() -> Iterator[Row]:
    shadow = system("shadowkv-a100")
    assert isinstance(shadow, ShadowKv)
    gpu = shadow.gpu.rates()
    for thousands, attention, ffn in _PROMPTS:
        work = _work("llama-3-8b", thousands, 1)
        decoder = GpuDecoder(gpu=gpu, work=work)
        case = f"prompt of {thousands}K tokens"
        yield _row(f"{case}, attention", attention, decoder.attention(work.prompt, work.prompt / 2).time.to("ms"))
        yield _row(f"{case}, feed-forward", ffn, decoder.feed_forward(work.prompt).time.to("ms"))
    for batch, thousands, scores, fetch, attention, linear in _STEPS:
        work = _work("llama-3-8b", thousands, batch)
        decoder = GpuDecoder(gpu=gpu, work=work)
        case = f"step of {batch} x {thousands}K tokens"
        yield _row(f"{case}, scores", scores, shadow.scoring(work).time.to("ms"))
        yield _row(f"{case}, fetch", fetch, shadow.fetching(work).time.to("ms"))
        yield _row(f"{case}, attention", attention, shadow.attending(work).time.to("ms"))
        yield _row(f"{case}, feed-forward and projections", linear, decoder.linear(1).time.to("ms"))


def _row(case: str, published: float, ours: Value) -> Row:
    case, source = f"Llama-3-8B, {case}", f"{_PAPER}, times of a block"
    return Row(case=case, unit="ms", published=published, ours=float(ours), source=source)


SHADOWKV_THROUGHPUT = ValidationSet(name="shadowkv-throughput", title="ShadowKV and full attention on one A100", compute=_rates)
SHADOWKV_BLOCKS = ValidationSet(name="shadowkv-blocks", title="Parts of a block under ShadowKV on one A100", compute=_blocks)
