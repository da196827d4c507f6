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

# Network, thousands of tokens, batch and token/s of full attention and of ShadowKV, whether a constant comes from the former.
_THROUGHPUT = (
    ("llama-3-8b", 60, 8, 160.62, 48, 455.14, True),
    ("llama-3-8b", 122, 4, 80.77, 24, 239.51, False),
    ("llama-3.1-8b", 60, 8, 160.93, 48, 472.77, False),
    ("llama-3.1-8b", 122, 4, 80.78, 24, 245.90, False),
    ("glm-4-9b", 60, 12, 241.05, 50, 615.89, False),
    ("glm-4-9b", 122, 6, 122.67, 25, 293.40, False),
)
# Thousands of tokens, ms of attention and of the feed-forward part of a block of Llama-3-8B, whether a constant comes from it.
_PROMPTS = ((64, 186.23, 96.47, True), (128, 721.13, 193.32, False), (256, 2880.21, 392.77, False), (512, 11720.30, 789.23, False))
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
    source = f"{_PAPER}, generation throughput"
    for name, thousands, full_batch, full, batch, published, is_fitted in _THROUGHPUT:
        ways = (("gpu-a100", full_batch, full, is_fitted), ("shadowkv-a100", batch, published, False))
        for way, count, rate, fitted in ways:
            answer = system(way).answer(_work(name, thousands, count))
            case, ours = f"{way}, {name}, {thousands}K tokens, batch {count}", float(answer.decode_tokens_per_second)
            yield Row.of(answer, case=case, unit="token/s", published=rate, ours=ours, fitted=fitted, source=source)


def _blocks() -> Iterator[Row]:
    shadow = system("shadowkv-a100")
    assert isinstance(shadow, ShadowKv)
    gpu = shadow.gpu.rates()
    for thousands, attention, ffn, fitted in _PROMPTS:
        work = _work("llama-3-8b", thousands, 1)
        decoder = GpuDecoder(gpu=gpu, work=work)
        case = f"prompt of {thousands}K tokens"
        yield _row(f"{case}, attention", attention, decoder.attention(work.prompt, work.prompt / 2).time.to("ms"), fitted)
        yield _row(f"{case}, feed-forward", ffn, decoder.feed_forward(work.prompt).time.to("ms"), False)
    for batch, thousands, scores, fetch, attention, linear in _STEPS:
        work = _work("llama-3-8b", thousands, batch)
        decoder = GpuDecoder(gpu=gpu, work=work)
        case, is_first = f"step of {batch} x {thousands}K tokens", batch == _STEPS[0][0]
        yield _row(f"{case}, scores", scores, shadow.scoring(work).time.to("ms"), is_first or batch == _STEPS[2][0])
        yield _row(f"{case}, fetch", fetch, shadow.fetching(work).time.to("ms"), is_first)
        yield _row(f"{case}, attention", attention, shadow.attending(work).time.to("ms"), is_first)
        yield _row(f"{case}, feed-forward and projections", linear, decoder.linear(1).time.to("ms"), True)


def _row(case: str, published: float, ours: Value, fitted: bool) -> Row:
    case, source = f"Llama-3-8B, {case}", f"{_PAPER}, times of a block"
    return Row(case=case, unit="ms", published=published, ours=float(ours), fitted=fitted, source=source)


SHADOWKV_THROUGHPUT = ValidationSet(name="shadowkv-throughput", title="ShadowKV and full attention on one A100", compute=_rates)
SHADOWKV_BLOCKS = ValidationSet(name="shadowkv-blocks", title="Parts of a block under ShadowKV on one A100", compute=_blocks)
