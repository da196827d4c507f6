"""Knows the order of compression: layer by layer, each calibrated on what the compressed layers before it give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from hwsim.arch.formats import QuantizedMatrix
from models.attention import LayerAttention
from models.checkpoint import Checkpoint
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, block
from models.checkpoint.layout import HEAD as FLOAT_HEAD
from models.compress import balance, gptq, rtn
from models.compress.recipe import Recipe
from models.integer.constants import Gain, fixed_bias, gain
from models.integer.model import (
    ATTENTION_NORM,
    FFN_NORM,
    HEAD,
    Embedding,
    IntegerModel,
    layer_part,
)
from models.integer.model import FINAL_NORM as INTEGER_FINAL_NORM
from models.reference.llama import Llama

__all__ = ["Progress", "compress", "embedding"]

Progress = Callable[[int, int], None]
"""Called after each layer, and after the head, with (done, in all)."""

_METHODS: dict[str, Callable[..., QuantizedMatrix]] = {"gptq": gptq.quantize, "rtn": rtn.quantize}
_EMBEDDING_GROUP = 32
_CODE_LIMIT = 127
_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_GATE_UP = ("mlp.gate_proj", "mlp.up_proj")


def compress(
    checkpoint: Checkpoint, recipe: Recipe, *, tokens: torch.Tensor | None = None, progress: Progress | None = None
) -> IntegerModel:
    """Return a checkpoint's model in the engine's integers.

    tokens: what to calibrate on, int64 [sequences, length] (models.compress.calibrate); None rounds to nearest and
        balances nothing.
    progress: told after each step.

    Raises:
        SpecError: a matrix does not fall into whole groups of its format.
        ScheduleError: a matrix could wrap an accumulator.
    """
    return _Compression(checkpoint, recipe, tokens).run(progress)


def embedding(weight: torch.Tensor) -> Embedding:
    """Return an embedding table, float [vocab, hidden], in groups of 32 where these divide; Q8_0 keeps its codes."""
    vocab, hidden = weight.shape
    group = _EMBEDDING_GROUP if hidden % _EMBEDDING_GROUP == 0 else hidden
    groups = weight.view(vocab, -1, group)
    scales = (groups.abs().amax(-1) / _CODE_LIMIT).to(torch.float16)
    step = scales.float()[..., None]
    codes = torch.round(groups / torch.where(step > 0, step, 1.0)).clamp_(-_CODE_LIMIT, _CODE_LIMIT)
    return Embedding(codes=codes.to(torch.int8).view(vocab, hidden).numpy(), scales=scales.numpy())


class _Compression:
    """One run: the float model, the residual streams of the calibration sequences, and what was made so far."""

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, tokens: torch.Tensor | None) -> None:
        self._recipe = recipe
        self._llama = Llama(checkpoint, pattern=recipe.pattern, is_resident=False)
        self._config = checkpoint.config
        self._tokens = tokens
        self._matrices: dict[str, QuantizedMatrix] = {}
        self._gains: dict[str, Gain] = {}
        self._biases: dict[str, np.ndarray] = {}

    @torch.no_grad()
    def run(self, progress: Progress | None) -> IntegerModel:
        table = self._llama.weight(f"{EMBEDDING}.weight")
        stream = None if self._tokens is None else table[self._tokens.reshape(-1)]
        steps = self._config.layers + 1
        for layer in range(self._config.layers):
            stream = self._layer(layer, stream)
            if progress is not None:
                progress(layer + 1, steps)
        self._norm(FINAL_NORM, INTEGER_FINAL_NORM)
        head = table if self._config.tied_head else self._llama.weight(f"{FLOAT_HEAD}.weight")
        self._matrices[HEAD] = self._checked(HEAD, rtn.quantize(head, self._recipe.head_format))
        if progress is not None:
            progress(steps, steps)
        return IntegerModel(
            config=self._config,
            pattern=self._recipe.pattern,
            matrices=self._matrices,
            gains=self._gains,
            biases=self._biases,
            embedding=embedding(table),
        )

    def _layer(self, layer: int, stream: torch.Tensor | None) -> torch.Tensor | None:
        """Compress one layer and return the streams after it, [sequences * length, hidden]."""
        normed = self._normed(block(layer, "input_layernorm"), layer_part(layer, ATTENTION_NORM), stream)
        flat = self._linear(layer_part(layer, "qkv"), *self._projections(layer, normed), normed)
        attended = None if flat is None else self._attend(flat)
        update = self._linear(layer_part(layer, "o"), *self._part(layer, "self_attn.o_proj"), attended)
        stream = None if stream is None or update is None else stream + update
        normed = self._normed(block(layer, "post_attention_layernorm"), layer_part(layer, FFN_NORM), stream)
        flat = self._linear(layer_part(layer, "gateup"), *self._parts(layer, _GATE_UP), normed)
        product = None
        if flat is not None:
            gate, up = flat.split(self._config.ffn, dim=1)
            product = functional.silu(gate).mul_(up)
        update = self._linear(layer_part(layer, "down"), *self._part(layer, "mlp.down_proj"), product)
        return None if stream is None or update is None else stream + update

    def _part(self, layer: int, part: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self._parts(layer, (part,))

    def _parts(self, layer: int, parts: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the rows of several float layers as one matrix, and their biases, if they have any."""
        weight = torch.cat([self._llama.weight(f"{block(layer, part)}.weight") for part in parts])
        biases = [f"{block(layer, part)}.bias" for part in parts]
        held = [self._llama.weight(name) for name in biases if name in self._llama.checkpoint.weights]
        return weight, torch.cat(held) if held else None

    def _projections(self, layer: int, normed: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return weight and bias of the query, key and value rows, balanced if the recipe asks for it."""
        config = self._config
        weight, bias = self._parts(layer, _QKV)
        if normed is None or not self._recipe.balance_keys:
            return weight, bias
        rows = slice(config.heads * config.head_dim, (config.heads + config.kv_heads) * config.head_dim)
        keys = functional.linear(normed, weight[rows], None if bias is None else bias[rows])
        factor = balance.factors(keys.view(len(keys), config.kv_heads, config.head_dim).transpose(0, 1))
        scale = balance.spread(factor, config.group)
        scale = torch.cat([scale, torch.ones(len(weight) - len(scale))])
        return weight * scale[:, None], None if bias is None else bias * scale

    def _linear(
        self, name: str, weight: torch.Tensor, bias: torch.Tensor | None, inputs: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Compress a matrix and return its outputs for the inputs, [tokens, rows]."""
        hessian = inputs.T @ inputs if inputs is not None and self._recipe.method == "gptq" else None
        matrix = self._checked(name, _METHODS[self._recipe.method](weight, self._recipe.format, hessian))
        self._matrices[name] = matrix
        if bias is not None:
            self._biases[name] = fixed_bias(bias.numpy())
        return (
            None if inputs is None else functional.linear(inputs, torch.from_numpy(matrix.dequantize()).float(), bias)
        )

    def _checked(self, name: str, matrix: QuantizedMatrix) -> QuantizedMatrix:
        matrix.check(name)
        return matrix

    def _normed(self, float_name: str, name: str, stream: torch.Tensor | None) -> torch.Tensor | None:
        self._norm(float_name, name)
        return None if stream is None else self._llama.norm(float_name, stream)

    def _norm(self, float_name: str, name: str) -> None:
        self._gains[name] = gain(self._llama.weight(f"{float_name}.weight").numpy(), name)

    def _attend(self, flat: torch.Tensor) -> torch.Tensor:
        """Return what the queries of every sequence read, [sequences * length, heads * head_dim]."""
        assert self._tokens is not None
        config = self._config
        sizes = [config.heads, config.kv_heads, config.kv_heads]
        outputs = []
        for rows in flat.view(*self._tokens.shape, -1):
            heads = rows.view(len(rows), -1, config.head_dim).transpose(0, 1)
            q, k, v = heads.split(sizes)
            cache: LayerAttention = self._recipe.pattern.layer(self._llama.geometry)
            outputs.append(cache.prefill(q, k, v).transpose(0, 1).flatten(1))
        return torch.cat(outputs)
