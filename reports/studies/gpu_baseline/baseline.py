"""What was measured on a GPU: rows of every kind, what ran them, what was asked, and how a JSON file says it."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.plain import Settings, read_json

__all__ = [
    "Baseline",
    "BaselineSettings",
    "Copy",
    "DecodeAttention",
    "Gather",
    "HostCopy",
    "Launch",
    "MeasuredGpu",
    "MeasuredHost",
    "NetworkSizes",
    "NetworkStep",
    "NetworkWays",
    "Pointwise",
    "PrefillAttention",
    "Product",
    "Took",
    "read_baseline",
    "read_settings",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds of one run, of how many samples they are the median, and why there are none where it could not be done."""

    seconds: float | None
    samples: int
    refused: str | None = None

    @property
    def measured_s(self) -> float:
        """Seconds of one run; SpecError where it could not be done."""
        if self.seconds is None:
            raise SpecError(f"Measurement must have seconds, but was refused: {self.refused}")
        return self.seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """An operator that does nothing, by how it is launched: one of a captured `graph`, or by the `host`."""

    way: str
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy within the device; its bytes are both read and written."""

    bytes: int
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pointwise:
    """What stands between products, `norm`, `add` or `gate`, on rows of a matrix in half precision."""

    operator: str
    rows: int
    columns: int
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """[rows, inner] x [inner, columns] in half precision."""

    rows: int
    columns: int
    inner: int
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeAttention:
    """One query of every sequence of a batch over its cache; the way is the kernel's."""

    heads: int
    kv_heads: int
    keys: int
    batch: int
    way: str
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrefillAttention:
    """Causal attention over a whole prompt; the way is the kernel's."""

    heads: int
    kv_heads: int
    tokens: int
    way: str
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostCopy:
    """A copy `to device` or `to host`, from or to host memory that is pinned or not."""

    bytes: int
    is_pinned: bool
    way: str
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gather:
    """Scattered pieces of host memory, brought together by the processor and then copied to the device."""

    piece_bytes: int
    bytes: int
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkStep:
    """A step of a network after so many tokens (`decode`), or a prompt of so many (`prefill`)."""

    network: str
    phase: str
    batch: int
    tokens: int
    way: str
    took: Took


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """The sizes of a network that is built with random weights."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkWays:
    """Kernels of attention in steps and in prompts of networks."""

    decode: str
    prefill: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """What is to be measured, by the names of the measurements, and how often, as a Clock takes it; a shape is (columns, inner)."""

    repeats: int
    warm: int
    limit_s: float
    footprint_bytes: int
    copy_bytes: tuple[int, ...]
    host_bytes: tuple[int, ...]
    gather_bytes: tuple[int, ...]
    gather_total_bytes: int
    pointwise_rows: tuple[int, ...]
    pointwise_columns: tuple[int, ...]
    product_rows: tuple[int, ...]
    product_shapes: tuple[tuple[int, int], ...]
    attention_heads: tuple[tuple[int, int], ...]
    head_dim: int
    decode_keys: tuple[int, ...]
    decode_batches: tuple[int, ...]
    decode_ways: tuple[str, ...]
    prefill_tokens: tuple[int, ...]
    prefill_ways: tuple[str, ...]
    networks: Mapping[str, NetworkSizes]
    network_ways: NetworkWays
    network_batches: tuple[int, ...]
    network_contexts: tuple[int, ...]
    network_prompts: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredGpu:
    """What a GPU is, and what its driver says of it; of a processor only the name."""

    name: str
    multiprocessors: int | None = None
    memory_bytes: int | None = None
    cache_bytes: int | None = None
    driver: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuredHost:
    """Processor and versions of the machine around a GPU."""

    cpu: str
    is_virtual: bool
    cpus: int | None
    threads: int
    python: str
    torch: str
    cuda: str | None
    cudnn: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """Everything that was measured on a GPU in `seconds`, rows by the name of their measurement."""

    gpu: MeasuredGpu
    host: MeasuredHost
    dtype: str
    launch: tuple[Launch, ...]
    copy: tuple[Copy, ...]
    pointwise: tuple[Pointwise, ...]
    product: tuple[Product, ...]
    decode_attention: tuple[DecodeAttention, ...]
    prefill_attention: tuple[PrefillAttention, ...]
    host_copy: tuple[HostCopy, ...]
    gather: tuple[Gather, ...]
    network: tuple[NetworkStep, ...]
    settings: BaselineSettings
    seconds: float


def read_baseline(file: Path | Traversable) -> Baseline:
    """Return the measurements in a file; raise SpecError where it is none, or lacks something."""
    return _read(Baseline, read_json("Measurements", file, file.name, SpecError), "")


def read_settings(changes: Settings) -> BaselineSettings:
    """Return the settings that ship, some changed by name; raise SpecError where one is wrong."""
    file = resources.files("reports.studies.gpu_baseline") / "settings.json"
    document: typing.Any = read_json("Measurements", file, file.name, SpecError)
    return _read(BaselineSettings, {**document, **changes}, "settings")


def _read(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    """Return a plain value as the type of its field says; `where` names the field in refusals."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _read(members[0], value, where)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _fields(typing.cast(type, kind), value, where)
    if origin is Mapping and isinstance(value, Mapping):
        return {name: _read(members[1], each, f"{where}.{name}") for name, each in value.items()}
    if origin is tuple and isinstance(value, list | tuple) and (members[-1] is ... or len(members) == len(value)):
        kinds = (members[0],) * len(value) if members[-1] is ... else members
        return tuple(_read(each, part, f"{where}[{at}]") for at, (each, part) in enumerate(zip(kinds, value, strict=True)))
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    needed = kind.__name__ if not members else str(kind).replace("collections.abc.", "")
    raise SpecError(f"Measurements must have {where} of type {needed}, not {shown(value)}")


def _fields(kind: type, value: Mapping[str, object], where: str) -> object:
    """Return a mapping as a dataclass; what a row took stands among the row's own fields."""
    types_, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    taken = [field.name for field in dataclasses.fields(Took)] if "took" in types_ else []
    names = [field.name for field in fields if field.name != "took"]
    for name in value:
        if name not in names + taken:
            raise SpecError(f"Field of {where or 'measurements'} must be {nearest(name, names)}, not {shown(name)}")
    given = {name: _read(types_[name], value[name], f"{where}.{name}".lstrip(".")) for name in names if name in value}
    for field in fields:
        if field.name in names and field.name not in value and field.default is dataclasses.MISSING:
            raise SpecError(f"Measurements must have {where}.{field.name}, which is missing".replace(" .", " "))
    if taken:
        given["took"] = _fields(Took, {name: value[name] for name in taken if name in value}, where)
    return kind(**given)
