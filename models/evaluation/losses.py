"""What each half of a layer loses in integers beyond what is usual for its formats: to what, and what of a recipe mends it."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from hwsim.arch.formats import packed_of
from hwsim.arch.isa import Format
from hwsim.arch.numerics import FRACTION_BITS
from hwsim.errors import LamforgeError
from models.checkpoint import Checkpoint
from models.compress.calibrate import text_of
from models.compress.layer import Layer, Linear
from models.compress.pipeline import embedding
from models.compress.recipe import Recipe
from models.compress.rotate_values import RotateValues
from models.compress.state import Done
from models.evaluation import causes
from models.evaluation.causes import STREAM, Cause, Found, Remedies, off
from models.evaluation.halves import (
    ATTENTION_ROUNDINGS,
    FEED_FORWARD_ROUNDINGS,
    FIXED,
    HEAD_ROUNDINGS,
    FeedForwardRun,
    HalfRun,
    Halves,
    fixed,
)
from models.matrices import ATTENTION, EMBEDDING, FEED_FORWARD, HEAD, layer_part
from models.reference.llama import Llama
from models.tokenizer import check_tokens

__all__ = ["HalfLoss", "Losses", "sentences"]

# Tokens that are looked at: fewer where compression itself looks at none and takes seconds, and fewer in the head, which is large.
_TOKENS = 256
_FEW_TOKENS = 64
_HEAD_TOKENS = 32
# Characters of the text that hold a token, with room.
_CHARACTERS = 16
_SEED = 20260101
# What is usual at most, as a share of the update, with room: roundings in attention by the bits of the cache, other roundings, and
# weights by their format. Nothing is usual of 2-bit weights, which need training. docs/compression.md has what was measured.
_ATTENTION_ALLOWED = {4: 0.5, 8: 0.2}
_FEED_FORWARD_ALLOWED = 0.15
_HEAD_ALLOWED = 0.1
_WEIGHTS_ALLOWED = {Format.W4: 0.4, Format.W8: 0.1}
_EMBEDDING_ALLOWED = 0.05
# Roundings that alone put a half off by at least this share of what the largest does are named beside it.
_NAMED = 0.7
# Halves and findings that a sentence names, at most.
_MOST_NAMED = 3
# The most that an error is called.
_LARGEST = 1e6
_FIXED_UNIT = 2.0**-FRACTION_BITS


@dataclasses.dataclass(frozen=True, kw_only=True)
class HalfLoss:
    """How far a half of a layer, the head or the embedding is off on a text, and to what it loses more than is usual.

    Errors are lengths of differences over that of the float model's value (the update of the stream, the logits, the embedding),
    averaged over tokens; each half is fed the float model's stream.

    name: `embedding`, `layers.<n>.attention`, `layers.<n>.feed_forward` or `head`.
    weights: error with the stored weights and without rounding of what they are multiplied with.
    arithmetic: error that rounding of activations, keys and values adds to that.
    weights_allowed, arithmetic_allowed: the most that is usual for the formats; None where training is what they need.
    causes: what more than that is lost to.
    """

    name: str
    weights: float
    arithmetic: float
    weights_allowed: float | None
    arithmetic_allowed: float
    causes: tuple[Cause, ...] = ()


class Losses:
    """Watches a compression (models.compress.pipeline.Watcher) and looks at each layer on a piece of the calibration text.

    tokens: the piece, int64 [tokens].
    found: the halves so far, in the order of the forward pass.
    """

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe) -> None:
        """Take what is compressed; where it has no tokenizer, tokens are drawn from the vocabulary."""
        self._config, self._pattern, self._bits = checkpoint.config, recipe.pattern, recipe.cache.bits
        self._geometry = Llama(checkpoint, pattern=recipe.pattern, is_resident=False).geometry
        self._remedies = Remedies(recipe, checkpoint.config)
        plans = recipe.plans(checkpoint.config)
        quantizers = {name: plan.quantizer for name, plan in plans.items()}
        self._formats = {name: quantizer.format for name, quantizer in quantizers.items()}
        # Turned twice, values are what they were.
        turns = {name: sum(isinstance(step, RotateValues) for step in plan.transforms) for name, plan in plans.items()}
        self._turned = {name for name, count in turns.items() if count % 2}
        # A training changes weights for the better: how far they are from the checkpoint's says nothing.
        self._is_trained = any(quantizer.is_alone for quantizer in quantizers.values())
        self.tokens = _tokens(checkpoint, recipe)
        self._stream = torch.empty(0)
        self.found: list[HalfLoss] = []

    @torch.no_grad()
    def embedding(self, table: torch.Tensor) -> None:
        """Take the embedding table, float32 [vocab, hidden]."""
        self._stream = exact = table[self.tokens]
        made = embedding(exact)
        scales = made.scales.astype(np.float64).repeat(exact.shape[1] // made.scales.shape[1], axis=1)
        stored = torch.from_numpy(made.codes * scales).float()
        weights, arithmetic = _error(stored - exact, exact), _error(fixed(stored) - stored, stored)
        found = causes.of_saturation(EMBEDDING, stored)
        if weights > _EMBEDDING_ALLOWED:
            found.append(causes.of_table(exact))
        elif arithmetic > _EMBEDDING_ALLOWED and not found:
            found = [causes.of_size(EMBEDDING, exact)]
        self._add(EMBEDDING, None, weights, arithmetic, (_EMBEDDING_ALLOWED, _EMBEDDING_ALLOWED), found)

    @torch.no_grad()
    def layer(self, index: int, original: Layer, done: Done, weights: Mapping[str, torch.Tensor]) -> None:
        """Take a layer as the checkpoint has it, and what was made of it."""
        stored = _Stored.of(original, done, weights, index)
        for kind in (_ATTENTION, _FEED_FORWARD):
            self._stream = self._stream + self._half(index, kind, original, stored)

    @torch.no_grad()
    def head(self, original: Layer, done: Done, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the head as the checkpoint has it, and what was made of it."""
        self._stream = self._stream[:_HEAD_TOKENS]
        self._half(None, _HEAD, original, _Stored.of(original, done, weights, None))

    def _half(self, index: int | None, kind: "_Kind", original: Layer, stored: "_Stored") -> torch.Tensor:
        """Add what was found of a half, and return what the float model adds to the stream there."""
        before, after = (Halves(each, self._geometry, self._pattern, self._bits) for each in (original, stored.layer))
        float_run = kind.run(before, self._stream, ())
        update, shown = float_run.update, self._stream
        is_beyond = bool(causes.of_saturation("stream", shown))
        if is_beyond:
            # It is told where the stream saturates first; from there on both are shown what is left of it.
            shown = fixed(shown)
            float_run = kind.run(before, shown, ())
        exact = kind.run(after, shown, ())
        is_finite = bool(torch.isfinite(float_run.update).all())

        def error_of(roundings: Collection[str]) -> float:
            return _error(kind.run(after, shown, roundings).update - exact.update, exact.update)

        weights, arithmetic = _error(exact.update - float_run.update, float_run.update), error_of(kind.roundings)
        formats = {part: self._formats[layer_part(index, part)] for part in kind.parts}
        allowed = {_ATTENTION: _ATTENTION_ALLOWED[self._bits], _HEAD: _HEAD_ALLOWED}.get(kind, _FEED_FORWARD_ALLOWED)
        usual = self._usual(formats.values())
        found = stored.overflows(exact) if is_finite else [causes.of_overflow()]
        if kind is not _HEAD and not is_beyond and is_finite:
            found += causes.of_saturation(STREAM, shown + exact.update)
        if arithmetic > allowed and not found:
            alone = {each: error_of((each,)) for each in kind.roundings}
            worst = max(alone, key=lambda each: alone[each])
            if not (is_beyond and worst == FIXED):
                named = sorted((each for each in alone if alone[each] >= _NAMED * alone[worst]), key=lambda each: -alone[each])
                found += [causes.of_rounding(each, exact, self._bits) for each in named]
        if usual is not None and weights > usual and is_finite:
            is_turned = layer_part(index, kind.parts[0]) in self._turned
            found.append(causes.of_weights(original, stored.layer, float_run, exact, formats, usual, is_turned=is_turned))
        self._add(layer_part(index, kind.name), index, weights, arithmetic, (usual, allowed), found)
        return update

    def _usual(self, formats: Collection[Format]) -> float | None:
        """Return the most that weights of some formats are usually off; None where nothing is usual."""
        each = [_WEIGHTS_ALLOWED.get(format) for format in formats]
        known = [allowed for allowed in each if allowed is not None]
        return None if self._is_trained or len(known) < len(each) else max(known)

    def _add(
        self,
        name: str,
        index: int | None,
        weights: float,
        arithmetic: float,
        allowed: tuple[float | None, float],
        found: Sequence[Found],
    ) -> None:
        told = tuple(self._remedies.cause(each, index) for each in found)
        self.found.append(
            HalfLoss(
                name=name,
                weights=weights,
                arithmetic=arithmetic,
                weights_allowed=allowed[0],
                arithmetic_allowed=allowed[1],
                causes=told,
            )
        )


class _Kind(NamedTuple):
    """A kind of half: its name, its matrices, its roundings, and what runs it."""

    name: str
    parts: tuple[str, ...]
    roundings: tuple[str, ...]
    run: Callable[[Halves, torch.Tensor, Collection[str]], HalfRun]


_ATTENTION = _Kind(ATTENTION, ("qkv", "o"), ATTENTION_ROUNDINGS, Halves.attention)
_FEED_FORWARD = _Kind(FEED_FORWARD, ("gateup", "down"), FEED_FORWARD_ROUNDINGS, Halves.feed_forward)
_HEAD = _Kind(HEAD, (HEAD,), HEAD_ROUNDINGS, Halves.head)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Stored:
    """A layer with what its integers stand for, and the largest row scale of each matrix."""

    layer: Layer
    steps: Mapping[str, float]

    @classmethod
    def of(cls, original: Layer, done: Done, weights: Mapping[str, torch.Tensor], index: int | None) -> "_Stored":
        """Return the layer of finished matrices, gains and biases.

        weights: what the matrices stand for, by name.
        index: number of the layer, None of the head.
        """
        linears, steps = {}, {}
        for part in original.linears:
            name = layer_part(index, part)
            bias = done.biases.get(name)
            linears[part] = Linear(
                weight=weights[name], bias=None if bias is None else torch.from_numpy(bias).float() * _FIXED_UNIT
            )
            packed = packed_of(done.matrices[name])
            steps[part] = float((packed.mantissa * np.exp2(packed.exponent.astype(np.float64))).max(initial=0.0))
        held = {norm: done.gains[layer_part(index, norm)] for norm in original.gains}
        gains = {norm: torch.from_numpy(gain.values).float() / (1 << gain.shift) for norm, gain in held.items()}
        return cls(layer=Layer(config=original.config, linears=linears, gains=gains), steps=steps)

    def overflows(self, exact: HalfRun) -> list[Found]:
        """Return what saturates in a half, the residual stream left out."""
        found = [entry for part, values in exact.results.items() for entry in causes.of_saturation(f"results of {part}", values)]
        if isinstance(exact, FeedForwardRun):
            found += causes.of_saturation("inputs of down", exact.product)
        return found + [entry for part, inputs in exact.read.items() for entry in causes.of_step(part, self.steps[part], inputs)]


def sentences(found: Sequence[HalfLoss]) -> list[str]:
    """Return a sentence for each fault: a half that has it, how far that is off, what was measured there, and what mends it.

    What is lost at one place is one fault in whichever halves. So is what is lost at several places where a half has both and the
    same mends them, and where one half is named for both.
    """
    by_part: dict[str, list[HalfLoss]] = {}
    for half in found:
        for part in dict.fromkeys(cause.part for cause in half.causes):
            by_part.setdefault(part, []).append(half)
    remedies = {half.name: {cause.part: cause.remedy for cause in half.causes} for half in found}

    def are_one(part: str, other: str) -> bool:
        has_both = [remedies[half.name] for half in by_part[part] if half in by_part[other]]
        is_named_for_both = _named([part], by_part[part]) is _named([other], by_part[other])
        return is_named_for_both or any(mends[part] == mends[other] for mends in has_both)

    faults: list[list[str]] = []
    for part in by_part:
        same = [fault for fault in faults if any(are_one(part, other) for other in fault)]
        faults = [*(fault for fault in faults if fault not in same), [*itertools.chain(*same), part]]
    return [_sentence(fault, [half for half in found if any(half in by_part[part] for part in fault)]) for fault in faults]


def _named(parts: Sequence[str], halves: Sequence[HalfLoss]) -> HalfLoss:
    """Return the half that a fault is told of: the first whose stream saturates, for that spoils what follows, or the worst."""
    first = [half for half in halves if STREAM in parts and any(cause.part == STREAM for cause in half.causes)]
    return first[0] if first else max(halves, key=lambda half: max(half.weights, half.arithmetic))


def _sentence(parts: Sequence[str], halves: Sequence[HalfLoss]) -> str:
    """Return the sentence on what is lost at some places in some halves."""
    named = _named(parts, halves)
    causes = [cause for cause in named.causes if cause.part in parts]
    others = [half.name for half in halves if half is not named]
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    beside = f" (so it is with {', '.join(others[:_MOST_NAMED])}{more})" if others else ""
    told = []
    for remedy in dict.fromkeys(cause.remedy for cause in causes):
        findings = [cause.finding for cause in causes if cause.remedy == remedy]
        rest = f", and {len(findings) - _MOST_NAMED} more" if len(findings) > _MOST_NAMED else ""
        told.append(f"{', and '.join(findings[:_MOST_NAMED])}{rest}{beside}; {_mend(remedy)}")
        beside = ""
    return f"{named.name} {', and '.join(dict.fromkeys(_off(named, cause) for cause in causes))}: {'; '.join(told)}"


def _off(half: HalfLoss, cause: Cause) -> str:
    """Return how far a half is off and what is usual, as a clause."""
    if max(half.weights, half.arithmetic) >= _LARGEST:
        return "cannot be compared"
    if cause.part.startswith("weights of ") and half.weights_allowed is not None:
        return f"is {off(half.weights)} by its weights, where at most {half.weights_allowed:.0%} is usual"
    if half.arithmetic > half.arithmetic_allowed:
        return f"is {off(half.arithmetic)} by rounding, where at most {half.arithmetic_allowed:.0%} is usual"
    return "is scaled by too much" if cause.part.startswith("scales of ") else "saturates"


def _tokens(checkpoint: Checkpoint, recipe: Recipe) -> torch.Tensor:
    """Return the tokens that are looked at, int64 [tokens]: from the middle of the calibration text, or drawn."""
    count = _TOKENS if recipe.is_calibrated else _FEW_TOKENS
    try:
        text = text_of(recipe.calibration)
        middle = text[len(text) // 2 :][: _CHARACTERS * count]
        tokens = checkpoint.tokenizer_for("Comparison").encode_whole(middle)[:count]
        check_tokens(tokens, checkpoint.config.vocab)
    except LamforgeError:
        tokens = []
    if tokens:
        return torch.tensor(tokens)
    return torch.randint(checkpoint.config.vocab, (count,), generator=torch.Generator().manual_seed(_SEED))


def _error(difference: torch.Tensor, whole: torch.Tensor) -> float:
    """Return the length of a difference over that of the whole, averaged over the tokens where this is not zero."""
    lengths = whole.norm(dim=1)
    rows = lengths != 0
    error = float((difference.norm(dim=1)[rows] / lengths[rows]).mean()) if bool(rows.any()) else 0.0
    # What overflows in floats is not a number.
    return error if error < _LARGEST else _LARGEST


def _mend(remedy: str | None) -> str:
    """Return what may be promised of a remedy: of some alone was it measured that they mend what they are named for."""
    if remedy is None:
        return "no method of a recipe mends it"
    is_sure = any(name in remedy for name in ("balance_keys", "smooth"))
    return f"`{remedy}` in the recipe {'mends it' if is_sure else 'may help'}"
