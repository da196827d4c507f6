"""Metadata of a GGUF file: the configuration that it describes, the tokens that end a text, and which keys may hold what."""

import math
from collections.abc import Mapping

import numpy

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.config import ModelConfig, check_norm_eps
from models.entries import Entries, Fixed
from models.families import ARCHITECTURES
from models.rope_scaling import DEFAULT_BASE, RopeScaling

__all__ = ["configuration", "end_tokens", "is_interleaved"]

# GGUF architecture, the architecture it is read as, and whether its query and key rows are interleaved.
_ARCHITECTURES = {"llama": ("LlamaForCausalLM", True), "qwen2": ("Qwen2ForCausalLM", False), "qwen3": ("Qwen3ForCausalLM", False)}

# Keys behind the architecture's name that are read.
_READ = (
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
)

_NEUTRAL = {"rope.scaling.finetuned": "how the network was trained", "vocab_size": "the embedding has a row for every token"}

_DENSE = "a feed-forward layer is one network, not several experts"
_UNSCALED = "queries, residuals, embeddings and logits are scaled as in Llama"

# 0 stands for absent. Ref: llama.cpp, llama_hparams; the keys of the gguf package 0.19.
_FIXED = {
    "attention.causal": Fixed(values=(True,), why="a query reads the keys up to its own"),
    "attention.clamp_kqv": Fixed(values=(0,), why=_UNSCALED),
    "attention.max_alibi_bias": Fixed(values=(0,), why="positions are rotary"),
    "attention.scale": Fixed(values=(0,), why=_UNSCALED),
    "attention.sliding_window": Fixed(values=(0,), why="load the model's Hugging Face folder, whose sliding window is honoured"),
    "attn_logit_softcapping": Fixed(values=(0,), why=_UNSCALED),
    "embedding_scale": Fixed(values=(0, 1), why=_UNSCALED),
    "expert_count": Fixed(values=(0,), why=_DENSE),
    "expert_used_count": Fixed(values=(0,), why=_DENSE),
    "final_logit_softcapping": Fixed(values=(0,), why=_UNSCALED),
    "logit_scale": Fixed(values=(0, 1), why=_UNSCALED),
    "nextn_predict_layers": Fixed(values=(0,), why="all blocks are those of the network"),
    "pooling_type": Fixed(values=(0,), why="every token has its logits"),
    "residual_scale": Fixed(values=(0, 1), why=_UNSCALED),
    "rope.scaling.alpha": Fixed(values=(0,), why="the base of the frequencies is the one that is given"),
    "rope.scaling.yarn_attn_factor": Fixed(values=(1,), why="the multiplier of cosine and sine is rope.scaling.attn_factor"),
    "rope.scaling.yarn_log_multiplier": Fixed(values=(0,), why="the multiplier of cosine and sine is rope.scaling.attn_factor"),
    "tensor_data_layout": Fixed(values=("Meta AI original pth",), why="tensors are laid out as Meta AI does"),
    "use_parallel_residual": Fixed(values=(False,), why="attention and feed-forward layer come one after the other"),
}

# Tokens that end a text, the first of which is the tokenizer's own. Ref: llama.cpp, llama_vocab, special_eog_ids.
_END_TOKENS = ("eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep")


def configuration(metadata: Mapping[str, object], name: str, *, vocab: int, has_head: bool) -> ModelConfig:
    """Return the configuration that metadata, values by key, describe; CheckpointError names a key that cannot be honoured.

    name: what reports call the model.
    vocab: rows of the embedding.
    has_head: whether the head is a tensor of its own.
    """
    kind, family = _kind(metadata), ARCHITECTURES[_ARCHITECTURES[_kind(metadata)][0]]
    _check_keys(metadata, kind)
    layers = _integer(metadata, f"{kind}.block_count")
    hidden = _integer(metadata, f"{kind}.embedding_length")
    heads = _alike(metadata, f"{kind}.attention.head_count", layers)
    context = _integer(metadata, f"{kind}.context_length")
    usual = max(hidden // heads, 1)
    head_dim = _integer(metadata, f"{kind}.attention.key_length", usual)
    for key, width in (("attention.value_length", usual), ("rope.dimension_count", head_dim)):
        found = _integer(metadata, f"{kind}.{key}", width)
        if found != head_dim:
            raise CheckpointError(f"GGUF {kind}.{key} must be the head width {head_dim}, not {found}")
    base = _number(metadata, f"{kind}.rope.freq_base", DEFAULT_BASE)
    epsilon = f"{kind}.attention.layer_norm_rms_epsilon"
    return ModelConfig(
        name=name,
        architecture=family.architecture,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=_alike(metadata, f"{kind}.attention.head_count_kv", layers, heads),
        head_dim=head_dim,
        ffn=_alike(metadata, f"{kind}.feed_forward_length", layers),
        vocab=vocab,
        norm_eps=check_norm_eps(f"GGUF {epsilon}", _number(metadata, epsilon)),
        rope_base=base,
        rope_scaling=_scaling(metadata, kind, context, head_dim, base),
        tied_head=not has_head,
        qkv_bias=family.has_qkv_bias,
        max_positions=context,
    )


def is_interleaved(metadata: Mapping[str, object]) -> bool:
    """Return whether the query and key rows of the architecture are stored in pairs, which are halves of a head here."""
    return _ARCHITECTURES[_kind(metadata)][1]


def end_tokens(metadata: Mapping[str, object]) -> tuple[int, ...]:
    """Return the tokens that end a text; CheckpointError names a key whose value is no token."""
    tokens = []
    for key in (f"tokenizer.ggml.{name}_token_id" for name in _END_TOKENS):
        value = metadata.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise CheckpointError(f"GGUF {key} must be a token, not {shown(value)}")
        tokens.append(value)
    return tuple(tokens)


def _kind(metadata: Mapping[str, object]) -> str:
    kind = metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in _ARCHITECTURES:
        raise CheckpointError(f"GGUF architecture must be {nearest(str(kind), _ARCHITECTURES)}, not {shown(kind)}")
    return kind


def _check_keys(metadata: Mapping[str, object], kind: str) -> None:
    """Refuse a key of the architecture that is not known, or a known one whose value cannot be honoured."""
    Fixed(values=("model",), why="a GGUF file of another type is no whole model").check(
        "GGUF general.type", metadata.get("general.type", "model")
    )
    entries = Entries(
        file="GGUF",
        neutral={f"{kind}.{key}": why for key, why in _NEUTRAL.items()},
        fixed={f"{kind}.{key}": fixed for key, fixed in _FIXED.items()},
    )
    entries.check({key: value for key, value in metadata.items() if key.startswith(f"{kind}.")}, {f"{kind}.{key}" for key in _READ})


def _scaling(metadata: Mapping[str, object], kind: str, context: int, head_dim: int, base: float) -> RopeScaling:
    """Return how frequencies are stretched. Ref: llama.cpp, llama_model::load_hparams and the constructor of llama_context."""
    # A file that gives a factor alone means linear stretching; the second spelling of the factor is that of the first files.
    spelled = metadata.get(f"{kind}.rope.scaling.type", "linear")
    keys = [key for key in (f"{kind}.rope.scaling.factor", f"{kind}.rope.scale_linear") if key in metadata]
    factor = (_number(metadata, keys[0]) if keys else 0.0) or 1.0
    if factor < 0 or not math.isfinite(factor):
        raise CheckpointError(f"GGUF {keys[0]} must be a positive number, not {factor:g}")
    gain = _number(metadata, f"{kind}.rope.scaling.attn_factor", 1.0)
    Fixed(values=(1, -1) if spelled == "yarn" else (0, -1), why=f"frequencies are stretched as {spelled} scaling says").check(
        f"GGUF {kind}.rope.scaling.yarn_ext_factor", metadata.get(f"{kind}.rope.scaling.yarn_ext_factor", -1)
    )
    if spelled == "yarn":
        trained = f"{kind}.rope.scaling.original_context_length"
        scaling = RopeScaling(
            kind="yarn",
            factor=factor,
            original_positions=_integer(metadata, trained) if metadata.get(trained) else context,
            fast_turns=_number(metadata, f"{kind}.rope.scaling.yarn_beta_fast", RopeScaling.fast_turns),
            slow_turns=_number(metadata, f"{kind}.rope.scaling.yarn_beta_slow", RopeScaling.slow_turns),
            attention_factor=None if gain == 1 else gain * (1.0 + 0.1 * math.log(max(factor, 1.0))),
        )
        first, last = scaling.band(head_dim, base) if base > 1 else (0, 0)
        if last < first:
            raise CheckpointError(
                f"GGUF {trained} must be long enough for frequencies to turn {scaling.slow_turns:g} times, "
                f"not {scaling.original_positions}"
            )
        return scaling
    if spelled not in ("none", "linear"):
        raise CheckpointError(f"GGUF {kind}.rope.scaling.type must be none, linear or yarn, not {shown(spelled)}")
    if gain != 1:
        raise CheckpointError(f"GGUF {kind}.rope.scaling.attn_factor must be 1 with {spelled} scaling, not {gain:g}")
    return RopeScaling() if spelled == "none" or factor == 1 else RopeScaling(kind="linear", factor=factor)


def _alike(metadata: Mapping[str, object], key: str, layers: int, default: int | None = None) -> int:
    """Return a size that may be given layer by layer; CheckpointError where layers differ."""
    value = metadata.get(key, default)
    if not isinstance(value, list):
        return _integer(metadata, key, default)
    if len(value) != layers or any(entry != value[0] for entry in value):
        raise CheckpointError(f"GGUF {key} must be one number or {layers} equal ones, for all layers are alike, not {shown(value)}")
    return _integer({key: value[0]}, key)


def _integer(metadata: Mapping[str, object], key: str, default: int | None = None) -> int:
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"GGUF {key} must be a positive integer, not {shown(value)}")
    return value


def _number(metadata: Mapping[str, object], key: str, default: float | None = None) -> float:
    value = metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"GGUF {key} must be a number, not {shown(value)}")
    # Stored as float32: take the shortest decimal that means the same, 1e-05 and not 9.99999974e-06.
    return float(str(numpy.float32(value)))
