"""What makes a half of a layer lose more than its formats cost: what was measured, and what of a recipe mends it."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import torch

from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.numerics import ACT_LIMIT, FRACTION_BITS
from models.compress.balance_keys import BalanceKeys
from models.compress.layer import Layer
from models.compress.method import Transform
from models.compress.methods import name_of
from models.compress.recipe import Recipe
from models.compress.rotate_values import turned, turned_inputs
from models.config import ModelConfig
from models.evaluation.halves import FIXED, AttentionRun, HalfRun, is_beyond
from models.integer.saturation import FIXED_END
from models.matrices import EMBEDDING, HEAD, layer_part

__all__ = [
    "STREAM",
    "Cause",
    "Found",
    "Remedies",
    "of_overflow",
    "of_rounding",
    "of_saturation",
    "of_size",
    "of_step",
    "of_table",
    "of_weights",
    "off",
]

STREAM = "residual stream"
"""Part of a cause: what all that follows reads."""
_TINY = 1e-30
# Constant part of a channel of keys, in spreads of the keys, from which on it is called a bias.
_CONSTANT = 4.0
# Width of a channel, in those of the median one of its head, from which on it is called wide.
_WIDE = 4.0
# Numbers from here on are written with a power of ten.
_LONG = 1e9
# Errors from here on are told in times, and no more of them than that.
_TIMES = 10
# Share of the error of weights at one input from which on it is that input that is named.
_ONE_INPUT = 0.5


class Found(NamedTuple):
    """The part and the finding of a cause (see `Cause`); `is_at_one_input`: whether most of it is at one input of a matrix."""

    part: str
    finding: str
    is_at_one_input: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cause:
    """One thing to which a half of a layer loses.

    part: where it is lost: `embedding`, `keys`, `values`, `queries`, `heads`, `residual stream`, `update`, or `inputs of`,
        `results of`, `scales of` or `weights of` a matrix, one of PARTS or HEAD, or `weights of` the embedding.
    finding: what was measured there, as a clause.
    remedy: what a recipe may say to mend it, such as `balance_keys`; None where nothing does.
    """

    part: str
    finding: str
    remedy: str | None


class Remedies:
    """What would mend a loss and is not in a recipe yet."""

    def __init__(self, recipe: Recipe, config: ModelConfig) -> None:
        plans = recipe.plans(config)
        self._cache = recipe.cache
        self._methods = {
            name: {name_of(method) for method in plan.transforms if config.qkv_bias or not _is_for_biases(method)}
            for name, plan in plans.items()
        }
        self._formats = {name: plan.quantizer.format for name, plan in plans.items()}
        self._alone = {name for name, plan in plans.items() if plan.quantizer.is_alone}

    def cause(self, found: Found, layer: int | None) -> Cause:
        """Return the cause of what was found in a layer, or in the head."""
        return Cause(part=found.part, finding=found.finding, remedy=self._of(found, layer))

    def _of(self, found: Found, layer: int | None) -> str | None:
        kind, _, matrix = found.part.partition(" of ")
        if kind in ("keys", "values"):
            method = self._method("balance_keys" if kind == "keys" else "rotate_values", layer, "qkv")
            return "cache: kv8" if method is None and self._cache is CacheFormat.KV4 else method
        if found.part == "inputs of o":
            return self._method("rotate_values", layer, "qkv")
        smoothed = "down" if found.part == "results of gateup" else matrix if kind == "inputs" or found.is_at_one_input else None
        if smoothed is not None and smoothed != "o" and self._method("smooth", layer, smoothed) is not None:
            where = HEAD if layer is None else f'"*.{smoothed}"'
            return f"{{method: smooth, at: {where}}}"
        if kind == "weights" and matrix != EMBEDDING and self._formats[layer_part(layer, matrix)] is not Format.W8:
            return "format: w8"
        return None

    def _method(self, method: str, layer: int | None, matrix: str) -> str | None:
        name = layer_part(layer, matrix)
        return None if method in self._methods[name] or name in self._alone else method


def off(error: float) -> str:
    """Return how far something is off, as a share of what it should be, in words."""
    return f"{error:.0%} off" if error < _TIMES else f"more than {_TIMES} times off"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value < _LONG else f"{value:.3g}"


def of_saturation(part: str, values: torch.Tensor) -> list[Found]:
    """Return what is found where values saturate when they become fixed ones, or nothing."""
    saturated = is_beyond(values)
    if not bool(saturated.any()):
        return []
    share, top = float(saturated.float().mean()), float(values.abs().max())
    return [Found(part, f"{share:.2%} of the values of its {part} saturate at {FIXED_END}, and reach {_number(top)}")]


def of_step(matrix: str, weight_step: float, inputs: torch.Tensor) -> list[Found]:
    """Return what is found where a step of weights times one of inputs is more than the engine scales by, or nothing.

    weight_step: largest row scale of the matrix.
    inputs: what it reads, [tokens, inputs].
    """
    step = weight_step * float(inputs.abs().max()) / ACT_LIMIT
    if step < 1:
        return []
    finding = f"a step of the weights of {matrix} times one of its inputs is {step:.3g}, and the engine scales by less than 1"
    return [Found(f"scales of {matrix}", finding)]


def of_rounding(rounding: str, exact: HalfRun, bits: int) -> Found:
    """Return what is found at one rounding of a half.

    exact: intermediates without any rounding.
    bits: of codes in the cache.
    """
    if rounding == FIXED:
        return of_size("update", exact.update)
    if isinstance(exact, AttentionRun) and rounding in ("keys", "values", "queries", "heads"):
        bias = _bias(exact.keys) if rounding == "keys" else None
        heads = {"keys": exact.keys, "values": exact.values, "queries": exact.queries, "heads": exact.keys}[rounding]
        width = bits if rounding in ("keys", "values") else 8
        named = bias or _widest(rounding, heads)
        if named is None:
            return Found(rounding, f"{width}-bit codes are too coarse for {rounding}, no channel of which is wide")
        return Found(rounding, f"{named}, which sets the step of their {width}-bit codes")
    inputs = exact.read[rounding]
    squares = inputs.square()
    top, at = squares.max(1)
    rest = ((squares.sum(1) - top) / max(inputs.shape[1] - 1, 1)).sqrt()
    ratio = float((top.sqrt() / rest.clamp(min=_TINY)).median())
    finding = (
        f"the largest input of {rounding}, most often number {int(at.mode().values)}, is {_number(ratio)} times the root mean"
        " square of the others, and sets the step of their 8-bit codes"
    )
    return Found(f"inputs of {rounding}", finding)


def of_size(part: str, values: torch.Tensor) -> Found:
    """Return what is found of values that are too small for what holds them."""
    size, step = float(values.square().mean().sqrt()), 1 / (1 << FRACTION_BITS)
    return Found(part, f"its {part} has a root mean square of {size:.2g}, and the engine's fixed point has steps of {step:.2g}")


def of_table(table: torch.Tensor) -> Found:
    """Return what is found of an embedding that its codes do not hold."""
    size, step = float(table.square().mean().sqrt()), torch.finfo(torch.float16).smallest_normal
    return Found(
        f"weights of {EMBEDDING}",
        f"its table has a root mean square of {size:.2g}, and the scales of its 8-bit codes are exact from {step:.2g} on",
    )


def of_overflow() -> Found:
    """Return what is found where the float model itself computes what no float holds."""
    return Found("update", "what it gives is too large for a float, or no number, in the float model itself")


def of_weights(
    original: Layer,
    stored: Layer,
    before: HalfRun,
    after: HalfRun,
    formats: Mapping[str, Format],
    usual: float,
    *,
    is_turned: bool = False,
) -> Found:
    """Return what is found of the weights of a half: the matrix that is furthest from the original.

    original, stored: the layer as it was, and with what its integers stand for.
    before, after: their intermediates.
    formats: of the matrices of the half, in the order of the forward pass.
    usual: the most that weights in these are usually off.
    is_turned: whether the values of the stored layer are turned (models.compress.rotate_values), which mixes rows of qkv and
        inputs of o: they are turned back before they are compared.
    """
    if is_turned and isinstance(after, AttentionRun):
        stored, after = turned(stored), after._replace(mixed=turned_inputs(after.mixed, stored.config.head_dim))
    errors = {}
    for part in formats:
        exact, found = (
            layer.linears[part].weight * run.read[part].square().mean(0).sqrt()
            for layer, run in ((original, before), (stored, after))
        )
        errors[part] = (_refactored(found, exact) - exact).square().sum(0) / exact.square().sum().clamp(min=_TINY)
    # What is wrong with the first matrix of a half spoils what the second multiplies.
    first = next(iter(formats))
    worst = first if float(errors[first].sum().sqrt()) > usual else max(errors, key=lambda part: float(errors[part].sum()))
    error, share, at = float(errors[worst].sum().sqrt()), *(errors[worst] / errors[worst].sum().clamp(min=_TINY)).max(0)
    text = f"the {formats[worst].name.lower()} weights of {worst} are {off(error)} for what they multiply"
    if float(share) > _ONE_INPUT:
        return Found(f"weights of {worst}", f"{text}, {float(share):.0%} of that at input {int(at)}", is_at_one_input=True)
    weight = original.linears[worst].weight
    ratio = float(weight.abs().max() / weight.square().mean().sqrt().clamp(min=_TINY))
    return Found(f"weights of {worst}", f"{text}, and the largest of them is {_number(ratio)} times their root mean square")


def _refactored(found: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """Return weights, [rows, inputs], with each row divided by what it was multiplied with.

    Methods multiply rows of one matrix and divide by the same elsewhere, which is no error.
    """
    factor = (found / torch.where(exact == 0, 1.0, exact)).median(1, keepdim=True).values
    return found / torch.where(factor.abs() > _TINY, factor, 1.0)


def _bias(keys: torch.Tensor) -> str | None:
    """Return the constant part of keys, [heads, tokens, head_dim], that is largest beside their spread; None for a small one."""
    mean, spread = keys.mean(1).abs().amax(1), keys.var(1, unbiased=False).mean(1).sqrt()
    ratio = mean / spread.clamp(min=_TINY)
    head = int(ratio.argmax())
    if float(ratio[head]) < _CONSTANT:
        return None
    return f"keys of head {head} have a constant part of {_number(float(ratio[head]))} times their spread (a key bias)"


def _widest(what: str, heads: torch.Tensor) -> str | None:
    """Return the channel of heads, [heads, tokens, head_dim], that is widest beside others of its head; None where none is."""
    width = heads.square().mean(1).sqrt()
    ratio = width / width.median(1, keepdim=True).values.clamp(min=_TINY)
    head, channel = divmod(int(ratio.argmax()), heads.shape[2])
    if float(ratio.max()) < _WIDE:
        return None
    return f"channel {channel} of {what} of head {head} is {_number(float(ratio.max()))} times as wide as the median one"


def _is_for_biases(method: Transform) -> bool:
    """Return whether a method does nothing for models whose keys have no bias."""
    return isinstance(method, BalanceKeys) and method.biased_only
