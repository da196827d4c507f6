"""Compressed models, their exports and their answers as plain values."""

from typing import Any

from lamforge.flow.compress import Compression, HalfLoss
from lamforge.flow.distill.export import DistilledModel
from lamforge.flow.export import Export
from lamforge.flow.generate import Reply

__all__ = ["compression_document", "distilled_document", "export_document", "reply_document"]

_GEOMETRY = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "max_positions")


def compression_document(found: Compression) -> dict[str, Any]:
    """Return a compressed model's geometry, recipe, size and origin."""
    model, recipe, origin = found.made.model, found.made.recipe, found.made.provenance
    return {
        "name": model.config.name,
        "architecture": model.config.architecture,
        "geometry": {name: getattr(model.config, name) for name in _GEOMETRY},
        "weights": found.weights,
        "recipe": recipe.to_document() | {"name": recipe.name},
        "formats": dict(found.formats),
        "attention": str(model.pattern),
        "cache": model.cache.name.lower(),
        "bytes": found.bytes,
        "fingerprint": model.fingerprint,
        "source": origin.source,
        "source_digest": origin.source_digest,
        "calibration_digest": origin.calibration_digest,
        "training": None if origin.training is None else dict(origin.training),
        "versions": dict(origin.versions),
        "folder": str(found.folder),
        "halves": [_half(half) for half in found.halves],
        "warnings": found.warnings,
    }


def _half(half: HalfLoss) -> dict[str, Any]:
    return {
        "name": half.name,
        "weights": half.weights,
        "arithmetic": half.arithmetic,
        "weights_allowed": half.weights_allowed,
        "arithmetic_allowed": half.arithmetic_allowed,
        "causes": [{"part": cause.part, "finding": cause.finding, "remedy": cause.remedy} for cause in half.causes],
    }


def distilled_document(found: DistilledModel) -> dict[str, Any]:
    """Return the model that was made of a training."""
    return compression_document(Compression(made=found.model, folder=found.folder))


def export_document(found: Export) -> dict[str, Any]:
    """Return what an export wrote."""
    model = found.made.model
    return {
        "model": model.config.name,
        "folder": str(found.folder),
        "architecture": found.architecture,
        "type": found.type,
        "bytes": found.bytes,
        "recipe": found.made.recipe.name,
        "attention": str(model.pattern),
        "cache": model.cache.name.lower(),
        "fingerprint": model.fingerprint,
    }


def reply_document(reply: Reply) -> dict[str, Any]:
    """Return an answer and how fast it came."""
    return {
        "prompt": reply.prompt,
        "text": reply.text,
        "ended_by": reply.ended_by,
        "prompt_tokens": reply.prompt_tokens,
        "prefill_s": reply.prefill_s,
        "steps": reply.steps,
        "step_s": reply.step_s,
        "token_per_s": reply.token_per_s,
        "temperature": reply.sampling.temperature,
        "seed": reply.sampling.seed,
    }
