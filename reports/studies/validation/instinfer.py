"""Sets `instinfer-gain` and `instinfer-share`: InstInfer with one and two drives, over FlexGen, and what keys and values take.

InstAttention prints ratios and shares, no times. Two constants of its machines come from three of the rows: the rate at which
FlexGen reads its files, and the arithmetic of an engine that reading does not hide; the cost of a layer comes from the two
baselines' shares.
"""

from collections.abc import Iterator

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer
from hwsim.offload.systems import system
from hwsim.offload.systems.instinfer import FLASH
from hwsim.offload.systems.system import DRIVE
from hwsim.plain import Settings
from lamforge.flow.offload.contender import setting_texts
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["INSTINFER_GAIN", "INSTINFER_SHARE"]

_PAPER = "InstAttention (HPCA 2025, arXiv 2409.04992)"
_TOKENS = 1024
_FLEXGEN, _SPARQ, _DENSE, _SPARF = "instinfer-flexgen", "instinfer-sparq", "instinfer-dense", "instinfer-sparf"

_TWO: Settings = {"csds": 2}
_TWO_GPUS: Settings = {"gpus": 2}
# Network, tokens of prompt and as many generated, system, its settings and batch, the same of the one it is compared with, and the
# published ratio of token/s. No batch is printed beside 11.1: it is taken as that of 6.85, the largest that FlexGen runs.
_GAINS: tuple[tuple[str, int, tuple[str, Settings, int], tuple[str, Settings, int], float], ...] = (
    ("opt-13b", 1024, (_DENSE, {}, 64), (_FLEXGEN, {}, 64), 6.85),
    ("opt-13b", 1024, (_SPARF, {}, 256), (_DENSE, {}, 256), 2.08),
    ("opt-13b", 1024, (_SPARF, {}, 64), (_FLEXGEN, {}, 64), 11.1),
    ("opt-13b", 1024, (_DENSE, _TWO, 256), (_FLEXGEN, {}, 32), 10.5),
    ("opt-13b", 1024, (_SPARF, _TWO, 256), (_SPARQ, {}, 32), 3.11),
    ("opt-30b", 1024, (_DENSE, _TWO_GPUS, 128), (_FLEXGEN, _TWO_GPUS, 8), 4.09),
    ("opt-30b", 1024, (_SPARF, _TWO_GPUS, 128), (_FLEXGEN, _TWO_GPUS, 8), 9.39),
    ("llama-2-13b", 2048, (_DENSE, {}, 128), (_FLEXGEN, {}, 16), 5.68),
    ("llama-2-13b", 2048, (_SPARF, {}, 128), (_FLEXGEN, {}, 16), 12.48),
    ("opt-13b", 1024, (_DENSE, {"csds": 20}, 256), (_DENSE, {}, 256), 8.99),
    ("opt-13b", 1024, (_SPARF, {"csds": 20}, 256), (_SPARF, {}, 256), 7.29),
)
# System, drives, published percent of decoding.
_SHARES: tuple[tuple[str, Settings, float], ...] = (
    (_FLEXGEN, {}, 98.9),
    (_DENSE, {}, 80.7),
    (_DENSE, {"csds": 2}, 76.4),
    (_SPARQ, {}, 92.4),
    (_SPARF, {}, 82.3),
    (_SPARF, {"csds": 2}, 74.0),
)


def _answer(name: str, batch: int, settings: Settings, model: str = "opt-13b", tokens: int = _TOKENS) -> Answer:
    work = Workload(network=network(model), prompt=tokens, generated=tokens, batch=batch)
    return system(name, settings).answer(work)


def _gains() -> Iterator[Row]:
    for model, tokens, *sides, published in _GAINS:
        answer, beside = (_answer(name, batch, settings, model, tokens) for name, settings, batch in sides)
        one, other = (", ".join([name, *setting_texts(settings), f"batch {batch}"]) for name, settings, batch in sides)
        ours = float(answer.decode_tokens_per_second / beside.decode_tokens_per_second)
        case, source = f"{model}: {one}, over {other}", f"{_PAPER}, evaluation"
        yield Row.of(answer, beside, case=case, unit="ratio", published=published, ours=ours, source=source)


def _shares() -> Iterator[Row]:
    for name, settings, published in _SHARES:
        answer = _answer(name, 64, settings)
        case = f"OPT-13B, batch 64: {', '.join([name, *setting_texts(settings)])}"
        ours = 100 * float(answer.step.share(FLASH) + answer.step.share(DRIVE))
        source = f"{_PAPER}, evaluation: keys and values in decoding"
        yield Row.of(answer, case=case, unit="%", published=published, ours=ours, source=source)


INSTINFER_GAIN = ValidationSet(name="instinfer-gain", title="InstInfer over its baselines, one drive", compute=_gains)
INSTINFER_SHARE = ValidationSet(name="instinfer-share", title="Time of decoding that keys and values take", compute=_shares)
