"""Compressed models, trainings, exports and the speed of answers as lines."""

from lamforge.flow.compress import Compression
from lamforge.flow.distill.export import DistilledModel
from lamforge.flow.distill.train import Lesson
from lamforge.flow.export import Export
from lamforge.flow.generate import Reply
from reports.text.figures import size_text
from reports.text.table import table

__all__ = ["compression_text", "distilled_text", "export_text", "lesson_text", "speed_text"]


def compression_text(found: Compression) -> str:
    """Return what a compression made."""
    model, recipe = found.made.model, found.made.recipe
    config = model.config
    methods = dict.fromkeys(step["method"] for step in recipe.to_document()["steps"])
    return table(
        [
            ("model", f"{config.name} ({config.architecture}, {config.layers} layers of {config.hidden})"),
            ("recipe", f"{recipe.name}: {', '.join(methods)}"),
            ("matrices", ", ".join(f"{count} {name}" for name, count in found.formats.items())),
            ("attention", str(model.pattern)),
            ("cache", model.cache.name.lower()),
            ("size", f"{size_text(found.bytes)} in {found.folder}"),
            ("fingerprint", model.fingerprint[:16]),
            *([("quality", _quality(found))] if found.halves else []),
        ]
    )


def _quality(found: Compression) -> str:
    """Return which halves of layers lose more than is usual; why is said while the model is compressed."""
    lossy = [half.name for half in found.halves if half.causes]
    if not lossy:
        return "every layer loses what is usual for its formats"
    more = f" and {len(lossy) - 3} more" if len(lossy) > 3 else ""
    return f"more than is usual for their formats is lost at {', '.join(lossy[:3])}{more}"


def export_text(found: Export) -> str:
    """Return what an export wrote, and what of the model floats cannot hold."""
    model = found.made.model
    return table(
        [
            ("model", f"{model.config.name} ({found.architecture}, {found.type})"),
            ("size", f"{size_text(found.bytes)} in {found.folder}"),
            ("left out", f"8-bit activations, cache {model.cache.name.lower()}, attention {model.pattern}"),
        ]
    )


def speed_text(reply: Reply) -> str:
    """Return how fast an answer came."""
    return (
        f"{reply.prompt_tokens} prompt tokens in {reply.prefill_s:.1f} s,"
        f" then {reply.token_per_s:.1f} token/s in the engine's integers"
    )


def lesson_text(found: Lesson) -> str:
    """Return how far a training has come, and how well its student predicts."""
    report = found.report
    rows = [("model", report.model), ("device", report.device)]
    if found.is_done is None:
        return table([*rows, ("steps that fit", f"{report.settings.steps:,}")])
    left = "done" if found.is_done else "another call goes on"
    rows += [
        ("steps", f"{report.steps:,} of {report.settings.steps:,}, {left}"),
        ("tokens", f"{report.tokens:,}"),
        ("trained", f"{report.trained_s:,.0f} s"),
    ]
    return table(rows + _scores(found))


def distilled_text(found: DistilledModel) -> str:
    """Return where the model is, and how well the student predicted."""
    model = found.model.model
    rows = [("model", model.config.name), ("folder", str(found.folder)), ("fingerprint", model.fingerprint)]
    return table(rows + _scores(found))


def _scores(found: Lesson | DistilledModel) -> list[tuple[str, str]]:
    return [
        (name, f"perplexity {each.student.perplexity:.3f}, {each.ratio:.3f} times the teacher's")
        for name, each in found.perplexities.items()
    ]
