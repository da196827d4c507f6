"""Sets `zero-weights`, `zero-t4` and `zero-a6000`: ZeRO-Inference, whose weights stream to the GPU in every step.

`zero-t4` has the rows of FlexGen's baseline whose batches are printed: version 0.7 of DeepSpeed, which copies each matrix in a
blocking call. OPT-30B generates five tokens there and is projected (FlexGen @19753bc, benchmark/hf_ds). `zero-a6000` has rows
of a table of 2023.
"""

from collections.abc import Iterator

from hwsim.arch.workload import Network, Workload
from hwsim.offload.systems import system
from hwsim.plain import Settings
from lamforge.flow.offload.contender import setting_texts
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["ZERO_A6000", "ZERO_T4", "ZERO_WEIGHTS"]

_BLOG, _DEEPNVME = "DeepSpeed ZeRO-Inference blog, 2022", "DeepNVMe posts, 2024 and 2025 (deepspeedai/DeepSpeed)"
_FIGURE = f"{_DEEPNVME}, read off a figure"
_EXAMPLES = "DeepSpeedExamples, deepnvme/zero_inference/README.md"
_ON_DRIVE, _DIRECT = {"weights": "drive"}, {"is_direct": True}
_PROMPT, _GENERATED = 512, 32

# System, settings, network, batch, token/s, source.
_ROWS: tuple[tuple[str, Settings, str, int, float, str], ...] = (
    ("zero-v100", {}, "opt-30b", 256, 43.0, _BLOG),
    ("zero-v100", _ON_DRIVE, "opt-30b", 256, 34.0, _BLOG),
    ("zero-v100", {}, "opt-175b", 64, 2.0, _BLOG),
    ("zero-v100", _ON_DRIVE, "opt-175b", 64, 1.6, _BLOG),
    ("zero-a100", {"drives": 1}, "llama-3-70b", 96, 1.9, _FIGURE),
    ("zero-a100", {"drives": 1, **_DIRECT}, "llama-3-70b", 96, 2.3, _FIGURE),
    ("zero-a100", {"drives": 2}, "llama-3-70b", 96, 3.7, _FIGURE),
    ("zero-a100", {"drives": 2, **_DIRECT}, "llama-3-70b", 96, 4.05, _FIGURE),
    ("zero-a100", {"drives": 4}, "llama-3-70b", 96, 6.15, _FIGURE),
    ("zero-a100", {"drives": 4, **_DIRECT}, "llama-3-70b", 96, 7.2, _FIGURE),
    ("zero-h100", {}, "llama-3-70b", 96, 8.606, _EXAMPLES),
    ("zero-h100", _DIRECT, "llama-3-70b", 96, 8.876, _EXAMPLES),
    ("zero-h100", {}, "mixtral-8x22b", 200, 9.152, _EXAMPLES),
    ("zero-h100", _DIRECT, "mixtral-8x22b", 200, 9.233, _EXAMPLES),
    ("zero-h100", {}, "bloom-176b", 8, 0.291, _EXAMPLES),
    ("zero-h100", _DIRECT, "bloom-176b", 8, 0.293, _EXAMPLES),
    ("zero-h200", {"drives": 4}, "llama-3-70b", 96, 15.6, _FIGURE),
    ("zero-h200", {"drives": 4, **_DIRECT}, "llama-3-70b", 96, 17.0, _DEEPNVME),
    ("zero-h200", {}, "llama-3-70b", 96, 22.8, _FIGURE),
    ("zero-h200", _DIRECT, "llama-3-70b", 96, 26.0, _DEEPNVME),
)

# Of Mixtral only the bytes of all experts matter here, 281 GB: they are one wide feed-forward part.
_SHAPES = {
    "mixtral-8x22b": Network(
        name="mixtral-8x22b",
        layers=56,
        hidden=6144,
        heads=48,
        kv_heads=8,
        head_dim=128,
        ffn=8 * 16384,
        vocab=32768,
        is_gated=True,
        is_tied=False,
    ),
    "bloom-176b": Network(
        name="bloom-176b",
        layers=70,
        hidden=14336,
        heads=112,
        kv_heads=112,
        head_dim=128,
        ffn=57344,
        vocab=250880,
        is_gated=False,
        is_tied=True,
    ),
}

# Network, prompt, batch, token/s with the prompt's time counted.
_T4_ROWS = (("opt-6.7b", 512, 16, 9.28), ("opt-6.7b", 1024, 8, 4.59), ("opt-30b", 512, 4, 0.60), ("opt-30b", 1024, 2, 0.29))

# What is changed of zero-a6000, bits of a weight, and token/s by network and batch.
_CACHE_HERE: Settings = {"has_host_attention": False}
_CACHE_THERE: Settings = {"is_pinned": False}
_A6000_ROWS: tuple[tuple[str, Settings, float, tuple[tuple[str, int, float], ...]], ...] = (
    ("W4, cache on the GPU", _CACHE_HERE, 4.5, (("opt-30b", 24, 22.74), ("opt-66b", 16, 7.68), ("llama-2-70b", 96, 24.05))),
    (
        "W4, not pinned, cache on the GPU",
        {**_CACHE_HERE, "is_pinned": False},
        4.5,
        (("opt-175b", 8, 1.21), ("bloom-176b", 4, 0.65)),
    ),
    ("FP16, cache on the host", _CACHE_THERE, 16.0, (("opt-30b", 96, 12.32), ("opt-66b", 40, 3.63), ("llama-2-70b", 96, 2.91))),
    ("FP16 on the drive, cache on the host", {"weights": "drive"}, 16.0, (("opt-175b", 32, 0.47), ("bloom-176b", 32, 0.47))),
    (
        "W4, cache on the host",
        _CACHE_THERE,
        4.5,
        (
            ("opt-30b", 128, 19.34),
            ("opt-66b", 64, 8.08),
            ("opt-175b", 24, 2.26),
            ("bloom-176b", 24, 1.33),
            ("llama-2-70b", 200, 3.65),
        ),
    ),
)


def _network(name: str) -> Network:
    return _SHAPES.get(name) or network(name)


def _a6000_rows() -> Iterator[Row]:
    for what, settings, bits, rates in _A6000_ROWS:
        for model, batch, published in rates:
            found = system("zero-a6000", {**settings, "converts_cache": model.startswith("bloom")})
            work = Workload(network=_network(model), prompt=_PROMPT, generated=_GENERATED, batch=batch, weight_bits=bits)
            answer = found.answer(work)
            case, ours = f"zero-a6000, {what}, {model}, batch {batch}", float(answer.tokens_per_second)
            source = "DeepSpeedExamples, inference/huggingface/zero_inference/README.md"
            yield Row.of(answer, case=case, unit="token/s", published=published, ours=ours, source=source)


def _t4_rows() -> Iterator[Row]:
    for model, prompt, batch, published in _T4_ROWS:
        answer = system("zero-t4").answer(Workload(network=network(model), prompt=prompt, generated=_GENERATED, batch=batch))
        case, ours = f"zero-t4, {model}, {prompt} + {_GENERATED} tokens, batch {batch}", float(answer.tokens_per_second)
        source = "FlexGen (arXiv 2303.06865), its rows of DeepSpeed ZeRO-Inference"
        yield Row.of(answer, case=case, unit="token/s", published=published, ours=ours, source=source)


def _rows() -> Iterator[Row]:
    for name, settings, model, batch, published, source in _ROWS:
        prompt, generated = (4, 10) if source is _BLOG else (_PROMPT, _GENERATED)
        work = Workload(network=_network(model), prompt=prompt, generated=generated, batch=batch)
        answer = system(name, settings).answer(work)
        ours = float(answer.decode_tokens_per_second)
        case = ", ".join([name, *setting_texts(settings), model, f"batch {batch}"])
        yield Row.of(answer, case=case, unit="token/s", published=published, ours=ours, source=source)


ZERO_WEIGHTS = ValidationSet(name="zero-weights", title="ZeRO-Inference with weights in host memory or on drives", compute=_rows)
ZERO_T4 = ValidationSet(name="zero-t4", title="ZeRO-Inference on FlexGen's machine, weights in host memory", compute=_t4_rows)
ZERO_A6000 = ValidationSet(
    name="zero-a6000", title="ZeRO-Inference on an A6000, weights and cache in several places", compute=_a6000_rows
)
