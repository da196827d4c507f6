"""Sets `triforce-latency` and `triforce-gain`: TriForce's tables, offloading and on one A100."""

from collections.abc import Iterator

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
from hwsim.plain import Settings
from lamforge.flow.offload.contender import setting_texts
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["TRIFORCE_GAIN", "TRIFORCE_LATENCY"]

_PAPER = "TriForce (arXiv 2404.11912)"
_TABLE = f"{_PAPER}, offloading results"
_PROMPT, _CHIP_PROMPT, _GENERATED = 130048, 124928, 256

_PAGE = "TriForce @164c8c0, table of index.html"
_HIDDEN = "TriForce @164c8c0, a row of a table in index.html that is commented out"
_SMALL, _LARGE, _CHAT = "llama-2-7b", "llama-2-13b", "LWM-Text-Chat"

# System, network, prompt, published ms a token, source.
_LATENCY = (
    ("triforce-4090-x2", _SMALL, _PROMPT, 108.0, _TABLE),
    ("triforce-4090-x2", _CHAT, _PROMPT, 114.0, _PAGE),
    ("triforce-4090-x2", _LARGE, _PROMPT, 226.0, _PAGE),
    ("stream-4090-x2", _SMALL, _PROMPT, 840.0, _TABLE),
    ("stream-4090-x2", _LARGE, _PROMPT, 1794.0, _PAGE),
    ("triforce-4090", _SMALL, _PROMPT, 312.0, _TABLE),
    ("triforce-4090", _CHAT, _PROMPT, 314.0, _PAGE),
    ("zero-4090", _SMALL, _PROMPT, 1516.0, _TABLE),
    ("triforce-a100", _SMALL, _CHIP_PROMPT, 24.0, _HIDDEN),
    ("gpu-a100", _SMALL, _CHIP_PROMPT, 54.0, _HIDDEN),
)
_SAME_SHAPE = {_CHAT: _SMALL}
# Temperature, gain and acceptance with the hierarchy, and with the small draft alone.
_GAINS = (
    (0.0, 2.31, 0.9234, 1.56, 0.4649),
    (0.2, 2.25, 0.9203, 1.54, 0.4452),
    (0.4, 2.20, 0.9142, 1.47, 0.4256),
    (0.6, 2.19, 0.9137, 1.42, 0.4036),
    (0.8, 2.08, 0.8986, 1.34, 0.3131),
    (1.0, 2.08, 0.9004, 1.29, 0.2872),
    (1.2, 2.02, 0.8902, 1.27, 0.2664),
)


def _work(prompt: int, name: str = _SMALL) -> Workload:
    return Workload(network=network(_SAME_SHAPE.get(name, name)), prompt=prompt, generated=_GENERATED, batch=1)


def _latency() -> Iterator[Row]:
    for name, model, prompt, published, source in _LATENCY:
        answer = system(name).answer(_work(prompt, model))
        case, ours = f"{name}, {model}, {prompt} + {_GENERATED} tokens", float(answer.step.time.to("ms"))
        yield Row.of(answer, case=case, unit="ms", published=published, ours=ours, source=source)


def _gain() -> Iterator[Row]:
    work = _work(_CHIP_PROMPT)
    target = system("triforce-a100", {"level": "target"}).answer(work)
    cases: list[tuple[str, float, Settings]] = []
    for temperature, gain, acceptance, small_gain, small in _GAINS:
        hierarchy = {"acceptance": acceptance, "draft_acceptance": small}
        alone = {"level": "draft", "draft_acceptance": small}
        cases.append((f"temperature {temperature:g}", gain, hierarchy))
        cases.append((f"temperature {temperature:g}, small draft alone", small_gain, alone))
    cases.append(("retrieval without hierarchy", 1.80, {"level": "retrieval", "acceptance": 0.9126}))
    cases.append(("last tokens in place of retrieved ones", 1.90, {"acceptance": 0.8745}))
    for what, published, settings in cases:
        answer = system("triforce-a100", settings).answer(work)
        case, ours = f"A100, {what}", float(target.step.time / answer.step.time)
        source = f"{_PAPER}, on-chip results and ablations; {', '.join(setting_texts(settings))}"
        yield Row.of(target, answer, case=case, unit="ratio", published=published, ours=ours, source=source)


TRIFORCE_LATENCY = ValidationSet(name="triforce-latency", title="TriForce and what it is compared with, a token", compute=_latency)
TRIFORCE_GAIN = ValidationSet(name="triforce-gain", title="TriForce's gain on one A100, over its target alone", compute=_gain)
