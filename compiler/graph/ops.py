"""The operators of a graph: one frozen dataclass each, with its shape rule; values are rows of tokens by features."""

import dataclasses
import enum
from typing import ClassVar

from hwsim.arch.isa import Format
from hwsim.errors import GraphError

__all__ = ["Add", "Attention", "Form", "Input", "Linear", "NormedAttention", "Op", "Output", "Quantize", "RmsNorm", "SwiGlu"]


class Form(enum.Enum):
    """What the values of a graph are: the model's floats, or the integers and 8-bit codes of the engine."""

    FLOAT = "float"
    QUANTIZED = "quantized"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Op:
    """Base of the operators; one of the quantized form has a lowering in `compiler/lower`."""

    forms: ClassVar[tuple[Form, ...]] = (Form.FLOAT, Form.QUANTIZED)

    def width(self, arguments: tuple[int, ...]) -> int:
        """Return the features of the result for those of the arguments, here of the only one; raise GraphError."""
        self.expect(arguments, (max(arguments, default=0),))
        return arguments[0]

    def expect(self, arguments: tuple[int, ...], widths: tuple[int, ...]) -> None:
        """Raise GraphError unless the arguments have these widths."""
        if arguments != widths:
            raise GraphError(f"Arguments of {type(self).__name__} must have widths {widths}, not {arguments}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input(Op):
    """Embedded tokens."""

    features: int

    def width(self, arguments: tuple[int, ...]) -> int:
        self.expect(arguments, ())
        return self.features


@dataclasses.dataclass(frozen=True, kw_only=True)
class RmsNorm(Op):
    """Root-mean-square normalization with gains; `quantized` when the result is 8-bit codes."""

    weight: str
    features: int
    quantized: bool = False

    def width(self, arguments: tuple[int, ...]) -> int:
        self.expect(arguments, (self.features,))
        return self.features


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Op):
    """Matrix product with weights [rows, inputs]; several weights stand below each other.

    A second argument, where `residual`, is added to the product. `format` is None until quantization.
    """

    weights: tuple[str, ...]
    rows: int
    inputs: int
    bias: bool = False
    residual: bool = False
    format: Format | None = None

    def width(self, arguments: tuple[int, ...]) -> int:
        self.expect(arguments, (self.inputs, self.rows) if self.residual else (self.inputs,))
        return self.rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attention(Op):
    """Rotary attention of query heads over cached keys and values: sinks and a recent window.

    Arguments: query, key, value; or one argument with the three side by side when `fused`.
    """

    heads: int
    kv_heads: int
    head_dim: int
    sinks: int
    window: int
    fused: bool = False
    quantized: bool = False

    def width(self, arguments: tuple[int, ...]) -> int:
        query, cached = self.heads * self.head_dim, self.kv_heads * self.head_dim
        self.expect(arguments, (query + 2 * cached,) if self.fused else (query, cached, cached))
        return query


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormedAttention(Attention):
    """Attention whose query heads and key heads are first divided by their root mean square and scaled, before they are rotated."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwiGlu(Op):
    """silu(gate) x up; one argument with gate and up side by side when `fused`."""

    features: int
    fused: bool = False
    quantized: bool = False

    def width(self, arguments: tuple[int, ...]) -> int:
        self.expect(arguments, (2 * self.features,) if self.fused else (self.features, self.features))
        return self.features


@dataclasses.dataclass(frozen=True, kw_only=True)
class Add(Op):
    """Sum of two values."""

    forms: ClassVar[tuple[Form, ...]] = (Form.FLOAT,)

    def width(self, arguments: tuple[int, ...]) -> int:
        self.expect(arguments, (max(arguments, default=0),) * 2)
        return arguments[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize(Op):
    """8-bit codes of a value, one scale a token."""

    forms: ClassVar[tuple[Form, ...]] = (Form.QUANTIZED,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output(Op):
    """What a run returns: the logits."""
