"""Compression of a whole model, layer by layer; each layer is calibrated on the outputs of the compressed layers before it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from hwsim.arch.formats import QuantizedMatrix, pack, unpacked_of
from hwsim.arch.numerics import ACT_LIMIT, to_fixed
from hwsim.errors import CheckpointError
from models.checkpoint import Checkpoint
from models.checkpoint.layout import EMBEDDING
from models.checkpoint.layout import FINAL_NORM as FLOAT_FINAL_NORM
from models.checkpoint.layout import HEAD as FLOAT_HEAD
from models.compress.calibrate import rounded_activations, rounded_cache
from models.compress.distill import taught
from models.compress.layer import Layer, Linear
from models.compress.method import Context
from models.compress.recipe import Recipe
from models.compress.state import Done, MemoryState, State
from models.distill.result import Result
from models.distill.rounding import table_codes
from models.integer.constants import gain
from models.integer.model import Embedding, IntegerModel
from models.matrices import ATTENTION_NORM, FFN_NORM, FINAL_NORM, HEAD, HEAD_NORMS, PARTS, layer_part
from models.reference.llama import Llama, rms_norm

__all__ = ["Progress", "Watcher", "compress", "embedding"]

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) when work begins or resumes, and after each layer and the head."""
_LARGEST_TABLE = float(torch.finfo(torch.float16).max) * ACT_LIMIT
"""Largest number of an embedding, whose scales have 16 bits."""


class Watcher(Protocol):
    """Is shown what a checkpoint has and what was made of it, in the order of the forward pass, resumed layers included."""

    def embedding(self, table: torch.Tensor) -> None:
        """Take the embedding table, float32 [vocab, hidden]."""

    def layer(self, index: int, original: Layer, done: Done, weights: Mapping[str, torch.Tensor]) -> None:
        """Take a layer of the checkpoint, its finished matrices, gains and biases, and what the matrices stand for, by name."""

    def head(self, original: Layer, done: Done, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the head of the checkpoint with the gains before it, and what was made of them."""


def compress(
    checkpoint: Checkpoint,
    recipe: Recipe,
    *,
    tokens: torch.Tensor | None = None,
    training: Result | None = None,
    progress: Progress | None = None,
    state: State | None = None,
    watcher: Watcher | None = None,
) -> IntegerModel:
    """Return a checkpoint's model in the engine's integers.

    One layer is in memory at a time; finished matrices are held packed, or in the files of a state.

    tokens: what to calibrate on, int64 [sequences, length] (models.compress.calibrate); None for a recipe that needs none.
    training: what a recipe with `distill` takes over (models.compress.distill.training_of).
    progress: is called after each step.
    state: where finished layers wait, and from where work goes on; None holds them in memory.
    watcher: is shown every layer.

    SpecError when the recipe does not suit the model.
    ScheduleError when a matrix could wrap an accumulator.
    """
    held = MemoryState() if state is None else state
    return _Compression(checkpoint, recipe, tokens, training, held, watcher).run(progress)


def embedding(weight: torch.Tensor) -> Embedding:
    """Return an embedding table, float [vocab, hidden], in groups of 32 where these divide; Q8_0 keeps its codes."""
    codes, scales = table_codes(weight)
    return Embedding(codes=codes.to(torch.int8).flatten(1).numpy(), scales=scales.numpy())


def _check_finite(values: torch.Tensor | None, subject: str) -> None:
    """Refuse what became too large for a float while a layer was compressed; None is as good as finite."""
    if values is not None and not bool(torch.isfinite(values).all()):
        raise CheckpointError(f"{subject} must stay finite numbers, not become NaN or infinity: the checkpoint's are too large")


class _Compression:
    """One run: the checkpoint, the plan of every matrix, and the calibration sequences."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        tokens: torch.Tensor | None,
        training: Result | None,
        state: State,
        watcher: Watcher | None,
    ) -> None:
        self._checkpoint, self._config, self._state, self._watcher = checkpoint, checkpoint.config, state, watcher
        self._recipe, self._tokens, self._training = recipe, tokens, training
        self._weights: dict[str, torch.Tensor] = {}
        self._plans = recipe.plans(self._config)
        adds_bias = any(transform.adds_bias for plan in self._plans.values() for transform in plan.transforms)
        # A bias in front of a normalization would not be the constant on every key that softmax does not see.
        self._has_bias = self._config.qkv_bias or (adds_bias and not self._config.has_head_norms)
        geometry = Llama(checkpoint, pattern=recipe.pattern, is_resident=False).geometry
        self._geometry = geometry
        if recipe.calibration.rounded:
            round_cache = functools.partial(rounded_cache, bits=recipe.cache.bits)
            self._geometry = dataclasses.replace(geometry, round_query=rounded_activations, round_cache=round_cache)
        length = 0 if tokens is None else tokens.shape[1]
        self._context = Context(geometry=geometry, pattern=recipe.pattern, cache=recipe.cache, sequence=length, quantizers={})

    @torch.no_grad()
    def run(self, progress: Progress | None) -> IntegerModel:
        layers = self._config.layers
        begin, stream = self._state.resumed(0 if self._tokens is None else layers)
        if progress is not None:
            progress(begin, layers + 1)
        table = self._checkpoint.tensor(f"{EMBEDDING}.weight")
        largest = float(table.abs().max())
        if largest > _LARGEST_TABLE:
            raise CheckpointError(f"Tensor {EMBEDDING}.weight must hold numbers up to {_LARGEST_TABLE:g}, not {largest:g}")
        if begin == 0 and self._tokens is not None:
            stream = table[self._tokens.reshape(-1)]
        if self._watcher is not None:
            self._watcher.embedding(table)
            earlier = self._state.all()
            for index in range(begin):
                self._show(index, self._original(index, table), earlier)
        for index in range(begin, layers + 1):
            done, original = Done(), self._original(index, table)
            if index < layers:
                stream = self._layer(index, original, stream, done)
            else:
                self._head(original, stream, done)
            self._show(index, original, done)
            self._state.put(done, stream if index < layers else None)
            if progress is not None:
                progress(index + 1, layers + 1)
        made = self._state.all()
        return IntegerModel(
            config=dataclasses.replace(self._config, qkv_bias=self._has_bias),
            pattern=self._recipe.pattern,
            cache=self._recipe.cache,
            matrices=made.matrices,
            gains=made.gains,
            biases=made.biases,
            embedding=embedding(table),
        )

    def _original(self, index: int, table: torch.Tensor) -> Layer:
        """Return a layer of the checkpoint, or the head, which comes after the last."""
        if index < self._config.layers:
            return Layer.of(self._checkpoint, index)
        weight = table if self._config.tied_head else self._checkpoint.tensor(f"{FLOAT_HEAD}.weight")
        gains = {FINAL_NORM: self._checkpoint.tensor(f"{FLOAT_FINAL_NORM}.weight")}
        return Layer(config=self._config, linears={HEAD: Linear(weight=weight)}, gains=gains)

    def _show(self, index: int, original: Layer, done: Done) -> None:
        if self._watcher is None:
            return
        place = index if index < self._config.layers else None
        for part in original.linears:
            name = layer_part(place, part)
            if name not in self._weights:
                self._weights[name] = _floats(unpacked_of(done.matrices[name]))
        if index < self._config.layers:
            self._watcher.layer(index, original, done, self._weights)
        else:
            self._watcher.head(original, done, self._weights)
        self._weights = {}

    def _layer(self, index: int, layer: Layer, stream: torch.Tensor | None, done: Done) -> torch.Tensor | None:
        """Compress one layer and return the streams after it, [sequences * length, hidden]."""
        names = {part: layer_part(index, part) for part in PARTS}
        if self._training is not None:
            layer = taught(layer, index, self._training)
        layer = self._transformed(layer, names, ("qkv",), ATTENTION_NORM, stream)
        qkv = layer.linears["qkv"]
        if self._has_bias:
            bias = torch.zeros(len(qkv.weight)) if qkv.bias is None else qkv.bias
            _check_finite(bias, f"Biases of {names['qkv']}")
            done.biases[names["qkv"]] = to_fixed(bias.numpy()).astype(np.int32)
        for part in (ATTENTION_NORM, *(HEAD_NORMS if self._config.has_head_norms else ())):
            norm = layer_part(index, part)
            done.gains[norm] = gain(layer.gains[part].numpy(), norm)
        flat = self._linear(names["qkv"], qkv, self._normed(layer, ATTENTION_NORM, stream), done)
        attended = None if flat is None else self._attend(layer, flat)
        update = self._linear(names["o"], layer.linears["o"], attended, done)
        stream = None if stream is None or update is None else stream + update
        layer = self._transformed(layer, names, ("gateup", "down"), FFN_NORM, stream)
        norm = layer_part(index, FFN_NORM)
        done.gains[norm] = gain(layer.gains[FFN_NORM].numpy(), norm)
        flat = self._linear(names["gateup"], layer.linears["gateup"], self._normed(layer, FFN_NORM, stream), done)
        product = None
        if flat is not None:
            gate, up = flat.split(self._config.ffn, dim=1)
            product = functional.silu(gate).mul_(up)
        update = self._linear(names["down"], layer.linears["down"], product, done)
        return None if stream is None or update is None else stream + update

    def _head(self, layer: Layer, stream: torch.Tensor | None, done: Done) -> None:
        if self._training is not None:
            layer = layer.with_gain(FINAL_NORM, torch.from_numpy(self._training.gains[FINAL_NORM]))
        layer = self._transformed(layer, {HEAD: HEAD}, (HEAD,), FINAL_NORM, stream)
        done.gains[FINAL_NORM] = gain(layer.gains[FINAL_NORM].numpy(), FINAL_NORM)
        needs_inputs = self._plans[HEAD].needs_hessian(layer.linears[HEAD])
        normed = self._normed(layer, FINAL_NORM, stream) if needs_inputs else None
        self._matrix(HEAD, layer.linears[HEAD], None if normed is None else normed.T @ normed, done)

    def _transformed(
        self, layer: Layer, names: dict[str, str], parts: Sequence[str], norm: str, stream: torch.Tensor | None
    ) -> Layer:
        """Return the layer after the transforms of parts that read one normalization."""
        quantizers = {part: self._plans[name].quantizer for part, name in names.items()}
        context = dataclasses.replace(self._context, quantizers=quantizers)
        for values in (stream, self._normed(layer, norm, stream)):
            _check_finite(values, f"Inputs of {names[parts[0]]}")
        for part in parts:
            for transform in self._plans[names[part]].transforms:
                layer = transform.applied(layer, part, self._normed(layer, norm, stream), context)
        return layer

    def _normed(self, layer: Layer, norm: str, stream: torch.Tensor | None) -> torch.Tensor | None:
        return None if stream is None else rms_norm(stream, layer.gains[norm], self._config.norm_eps)

    def _linear(self, name: str, linear: Linear, inputs: torch.Tensor | None, done: Done) -> torch.Tensor | None:
        """Compress a matrix and return its outputs for the inputs, [tokens, rows]."""
        if inputs is not None and self._recipe.calibration.rounded:
            inputs = rounded_activations(inputs)
        needs_hessian = self._plans[name].needs_hessian(linear)
        stored = self._matrix(name, linear, inputs.T @ inputs if inputs is not None and needs_hessian else None, done)
        return None if inputs is None else functional.linear(inputs, stored, linear.bias)

    def _attend(self, layer: Layer, flat: torch.Tensor) -> torch.Tensor:
        """Return what the queries of every sequence read, [sequences * length, heads * head_dim]."""
        assert self._tokens is not None
        outputs = []
        for rows in flat.view(*self._tokens.shape, -1):
            q, k, v = layer.heads(rows)
            outputs.append(self._recipe.pattern.layer(self._geometry).prefill(q, k, v).transpose(0, 1).flatten(1))
        return torch.cat(outputs)

    def _matrix(self, name: str, linear: Linear, hessian: torch.Tensor | None, done: Done) -> torch.Tensor:
        """Prune and quantize a matrix, and return the weights it now stands for, float32 [rows, inputs]."""
        plan, kept = self._plans[name], None
        _check_finite(hessian, f"Products of the inputs of {name}")
        if plan.pruning is not None:
            weight, kept = plan.pruning.pruned(linear.weight, hessian)
            linear = Linear(weight=weight, bias=linear.bias)
        _check_finite(linear.weight, f"Weights of {name}")
        matrix = plan.quantizer.quantized(linear, hessian, kept)
        matrix.check(name)
        done.matrices[name] = pack(matrix)
        stored = _floats(matrix)
        # Where calibration takes memory, and minutes, the floats are made again once the layer is done.
        if self._watcher is not None and self._tokens is None:
            self._weights[name] = stored
        return stored


def _floats(matrix: QuantizedMatrix) -> torch.Tensor:
    """Return the weights that a matrix stands for, float32 [rows, inputs]."""
    return torch.from_numpy(matrix.dequantize()).float()
