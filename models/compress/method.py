"""The base classes of compression methods: frozen values whose fields are their options, of three kinds."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import CacheFormat, Format
from models.attention import Geometry, Pattern
from models.compress.layer import Layer, Linear
from models.recipes.options import QuantizerOptions

__all__ = ["Context", "Method", "Pruning", "Quantizer", "Transform"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One way to change or to store matrices; `needs_inputs` says whether it looks at the calibration text."""

    needs_inputs: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transform(Method, abc.ABC):
    """Rewrites the float weights of a layer before they are quantized, its outputs staying what they were.

    `parts` are the matrices it may be at; where it shares a factor between two, the later one is named.
    """

    needs_inputs: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]]

    @property
    def adds_bias(self) -> bool:
        """Whether queries, keys and values get a bias, which all layers then have."""
        return False

    @abc.abstractmethod
    def applied(self, layer: Layer, part: str, inputs: torch.Tensor | None, context: "Context") -> Layer:
        """Return the layer rewritten for a part.

        inputs: [tokens, hidden], what the attention (qkv), the feed-forward layer (gateup, down) or the head reads;
            None for methods that need none.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """What a transform may read of the model.

    geometry, pattern: geometry and pattern of the attention.
    cache: format of keys and values.
    sequence: tokens of one calibration sequence; the inputs are whole ones, one after another.
    quantizers: what will round each part.
    """

    geometry: Geometry
    pattern: Pattern
    cache: CacheFormat
    sequence: int
    quantizers: Mapping[str, "Quantizer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pruning(Method, abc.ABC):
    """Chooses two of every four weights along the inputs to be zero."""

    @abc.abstractmethod
    def pruned(self, weight: torch.Tensor, hessian: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights, float [rows, inputs], of which those kept may have changed, and which are kept, bool.

        hessian: sum over tokens of input times input, [inputs, inputs]; None for methods that need no inputs.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantizer(QuantizerOptions, Method, abc.ABC):
    """Puts a matrix on the integer grid of its format; `is_alone` says that no other method may be at the matrix."""

    is_alone: ClassVar[bool] = False

    def needs_hessian(self, linear: Linear) -> bool:
        """Whether the energy of the inputs is asked for: not where W4 takes over the levels weights are stored on."""
        return self.needs_inputs and not (self.format == Format.W4 and linear.blocks is not None)

    @abc.abstractmethod
    def quantized(self, linear: Linear, hessian: torch.Tensor | None, kept: torch.Tensor | None) -> QuantizedMatrix:
        """Return the matrix in the format.

        kept: bool [rows, inputs], weights that are not pruned; None where no method pruned.
        hessian: see `Pruning.pruned`.
        """
