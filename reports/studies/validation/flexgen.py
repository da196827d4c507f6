"""Sets `flexgen-throughput`, `flexgen-ablation` and `flexgen-breakdown`: FlexGen on one T4, with one set of constants.

Constants: those of FlexGen's own cost model, and what `hwsim/specs/offload/flexgen-t4.yaml` marks as derived, from the rows that
are marked as fitted here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hwsim.arch.workload import Workload
from hwsim.offload.systems import system
from hwsim.offload.systems.flexgen import FlexGen
from lamforge.flow.offload.work_format import work_format
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["ABLATION", "FLEXGEN_ABLATION", "FLEXGEN_BREAKDOWN", "FLEXGEN_THROUGHPUT", "LARGE", "THROUGHPUT", "Case"]

_PAPER = "FlexGen (arXiv 2303.06865)"
_WHOLE, _COMPRESSED = work_format("fp16"), work_format("flexgen-int4")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run: model, tokens, batches and policy in percent (weights, cache, activations; GPU and host)."""

    model: str
    prompt: int
    batch: int
    batches: int
    policy: tuple[int, int, int, int, int, int]
    published: float
    generated: int = 32
    has_packed_weights: bool = False
    has_packed_cache: bool = False
    has_host_attention: bool = False
    has_overlap: bool = True
    is_decoding: bool = False
    note: str = ""

    def system(self) -> FlexGen:
        """Return FlexGen's machine under the policy."""
        placed = {f"{name}.{place}": value for (name, place), value in zip(_PLACES, self.policy, strict=True)}
        flexgen = system("flexgen-t4", placed)
        assert isinstance(flexgen, FlexGen)
        return replace(flexgen, batches=self.batches, has_host_attention=self.has_host_attention, has_overlap=self.has_overlap)

    def work(self) -> Workload:
        """Return what runs."""
        return Workload(
            network=network(f"opt-{self.model.lower()}"),
            prompt=self.prompt,
            generated=self.generated,
            batch=self.batch * self.batches,
            weight_bits=(_COMPRESSED if self.has_packed_weights else _WHOLE).weight,
            cache_bits=(_COMPRESSED if self.has_packed_cache else _WHOLE).cache,
        )

    def row(self, source: str) -> Row:
        """Return the row of its throughput, in all or in decoding alone."""
        answer = self.system().answer(self.work())
        what = f"{self.model}, {self.prompt} + {self.generated} tokens, {self.batch} x {self.batches}"
        return Row.of(
            answer,
            case=f"{what}{', ' if self.note else ''}{self.note}",
            unit="token/s",
            published=self.published,
            ours=float(answer.decode_tokens_per_second if self.is_decoding else answer.tokens_per_second),
            source=source,
        )


_PLACES = [(name, place) for name in ("weights", "cache", "activations") for place in ("gpu", "host")]
_ALL_GPU = (100, 0, 100, 0, 100, 0)
_HOST = (0, 100, 0, 100, 0, 100)
_DRIVE = (0, 50, 0, 0, 0, 100)
_CACHE_ON_GPU = (0, 100, 100, 0, 100, 0)

_SMALL = Case(model="6.7B", prompt=512, batch=2, batches=1, policy=_ALL_GPU, published=25.26, has_overlap=False)
_SMALL_PACKED = replace(_SMALL, batch=72, published=29.12, has_packed_weights=True, has_packed_cache=True, note="compressed")
_MIDDLE = Case(
    model="30B", prompt=512, batch=48, batches=3, policy=(20, 80, 0, 100, 0, 100), published=7.32, has_host_attention=True
)
_MIDDLE_PACKED = Case(
    model="30B", prompt=512, batch=64, batches=8, policy=_HOST, published=8.70, has_packed_cache=True, note="compressed cache"
)
LARGE = Case(model="175B", prompt=512, batch=32, batches=8, policy=_DRIVE, published=0.69, has_host_attention=True)
_LARGE_GPU = replace(LARGE, has_host_attention=False)
_LARGE_PACKED = replace(
    _LARGE_GPU, batch=48, batches=3, policy=_HOST, published=1.12, has_packed_weights=True, has_packed_cache=True, note="compressed"
)

THROUGHPUT = (
    replace(_SMALL, prompt=256, batch=4, published=53.29),
    _SMALL,
    replace(_SMALL, prompt=1024, batch=1, published=13.72),
    replace(_SMALL_PACKED, prompt=256, batch=128, published=56.72),
    _SMALL_PACKED,
    replace(_SMALL_PACKED, prompt=1024, batch=28, published=13.18),
    replace(_MIDDLE, prompt=256, batch=160, batches=2, policy=(10, 90, 0, 100, 0, 100), published=16.01),
    _MIDDLE,
    replace(_MIDDLE, prompt=1024, batch=20, batches=4, policy=(4, 96, 0, 100, 0, 100), published=3.50),
    replace(_MIDDLE_PACKED, prompt=256, batch=128, published=16.86),
    _MIDDLE_PACKED,
    replace(_MIDDLE_PACKED, prompt=1024, batch=20, batches=12, published=3.98),
    replace(LARGE, prompt=256, batch=64, published=1.36),
    LARGE,
    replace(LARGE, prompt=1024, batch=12, batches=12, published=0.35),
    replace(_LARGE_PACKED, prompt=256, batch=96, published=2.26),
    _LARGE_PACKED,
    replace(_LARGE_PACKED, prompt=1024, batch=12, batches=4, published=0.42),
    replace(_SMALL, prompt=128, batch=7, published=106.404, generated=128),
    replace(_SMALL_PACKED, prompt=128, batch=196, published=92.568, generated=128),
    replace(_SMALL, published=16.425, generated=8),
    replace(_SMALL_PACKED, batch=76, published=14.244, generated=8),
)
DECODING = tuple(
    replace(case, published=rate, is_decoding=True, note="decoding")
    for case, rate in ((_SMALL, 38.28), (_MIDDLE, 11.52), (LARGE, 0.83))
)
# The rows of 0.01 token/s are printed with one digit.
ABLATION = (
    replace(_MIDDLE, policy=_HOST, published=7.26, note="no policy search"),
    replace(_MIDDLE, has_overlap=False, published=5.86, note="no overlap"),
    replace(_MIDDLE, has_host_attention=False, published=4.03, note="no CPU attention"),
    replace(_MIDDLE, batch=8, batches=1, policy=_CACHE_ON_GPU, has_host_attention=False, published=1.57, note="DeepSpeed's policy"),
    replace(LARGE, batches=1, published=0.27, note="no policy search"),
    replace(LARGE, has_overlap=False, published=0.59, note="no overlap"),
    replace(_LARGE_GPU, published=0.62, note="no CPU attention"),
    replace(
        _LARGE_GPU, batch=2, batches=1, policy=(0, 0, 100, 0, 100, 0), published=0.01, note="DeepSpeed's policy, one digit printed"
    ),
)


def _rows(cases: Sequence[Case], table: str) -> Iterator[Row]:
    return (case.row(f"{_PAPER}, {table}") for case in cases)


def _breakdown() -> Iterator[Row]:
    case = replace(LARGE, has_overlap=False)
    flexgen, work = case.system(), case.work()
    layers, steps = work.network.layers, case.generated - 1
    answer = flexgen.answer(work)
    down = flexgen.weights_down(work).time
    figures = (
        ("prefill, whole", 2711.0, answer.prefill.time),
        ("prefill, computing", 2220.0, flexgen.prompt_computing(work).time * layers),
        ("prefill, reading weights", 768.0, (flexgen.weights_read(work, is_first=True).time + down) * layers),
        ("prefill, writing cache", 261.0, flexgen.prompt_cache_stored(work).time * layers),
        ("decoding, whole", 11315.0, answer.decode.time),
        ("decoding, computing", 1498.0, flexgen.step_computing(work).time * (layers * steps)),
        ("decoding, reading weights", 3047.0, (flexgen.weights_read(work).time + down) * (layers * steps)),
        ("decoding, reading cache", 7046.0, flexgen.cache_read(work).time * (layers * steps)),
        ("decoding, writing cache", 124.0, flexgen.step_cache_stored(work).time * (layers * steps)),
    )
    for name, published, time in figures:
        yield Row.of(
            answer,
            case=f"175B, 512 + 32 tokens, 32 x 8, no overlap: {name}",
            unit="s",
            published=published,
            ours=float(time.value),
            source=f"{_PAPER}, breakdown of the run time",
        )


FLEXGEN_THROUGHPUT = ValidationSet(
    name="flexgen-throughput",
    title="FlexGen on one T4, three models",
    compute=partial(_rows, (*THROUGHPUT, *DECODING), "throughput with 32, 128 and 8 generated tokens, and in decoding"),
)
FLEXGEN_ABLATION = ValidationSet(
    name="flexgen-ablation", title="FlexGen with parts left out", compute=partial(_rows, ABLATION, "ablation")
)
FLEXGEN_BREAKDOWN = ValidationSet(name="flexgen-breakdown", title="FlexGen's time by part", compute=_breakdown)
