"""The result of any verb as its document, with a mark that says which verb it is of."""

import dataclasses
import importlib
import json
from typing import Any

from hwsim.errors import SpecError, shown
from lamforge.flow.compare import MARK, Json
from reports.documents.plain import plain

__all__ = ["VERBS", "document_of", "marked"]

VERBS = {
    "lamforge.explore.differences.StudyComparison": ("compare", "comparison.studies_document"),
    "lamforge.explore.exploration.Exploration": ("explore", "exploration.exploration_document"),
    "lamforge.explore.measuring.Measured": ("study accuracy", "studies.measured_document"),
    "lamforge.flow.board.BoardVerdict": ("board", "verdict.board_document"),
    "lamforge.flow.compare.DocumentComparison": ("compare", "comparison.results_document"),
    "lamforge.flow.compress.Compression": ("compress", "model.compression_document"),
    "lamforge.flow.cosim.Verdict": ("cosim", "verdict.verdict_document"),
    "lamforge.flow.disasm.Listing": ("disasm", "programs.listing_document"),
    "lamforge.flow.distill.export.DistilledModel": ("distill export", "model.distilled_document"),
    "lamforge.flow.distill.train.Lesson": ("distill train", "plain.lesson_document"),
    "lamforge.flow.doctor.Diagnosis": ("doctor", "diagnosis.diagnosis_document"),
    "lamforge.flow.evaluate.Evaluation": ("evaluate", "evaluation.evaluation_document"),
    "lamforge.flow.export.Export": ("export", "model.export_document"),
    "lamforge.flow.generate.Reply": ("generate", "model.reply_document"),
    "lamforge.flow.list.Catalogue": ("list", "plain.catalogue_document"),
    "lamforge.flow.offload.compare.Comparison": ("offload compare", "offload.comparison_document"),
    "lamforge.flow.offload.list.Listing": ("offload list", "offload.listing_document"),
    "lamforge.flow.offload.run.Estimate": ("offload run", "offload.estimate_document"),
    "lamforge.flow.offload.search.BestPlacement": ("offload search", "offload.placement_document"),
    "lamforge.flow.programs.Programs": ("compile", "programs.programs_document"),
    "lamforge.flow.rtl.Verilog": ("rtl", "circuit.verilog_document"),
    "lamforge.flow.simulate.PromptTiming": ("simulate", "programs.prompt_document"),
    "lamforge.flow.simulate.Timing": ("simulate", "programs.timing_document"),
    "lamforge.flow.synth.Synthesis": ("synth", "circuit.synthesis_document"),
    "reports.studies.bench.Figures": ("study bench", "studies.bench_document"),
    "reports.studies.demo_summary.DemoSummary": ("demo", "demo.demo_document"),
    "reports.studies.gpu_rates.Fit": ("gpu fit", "validation.fit_document"),
    "reports.studies.resources.study.ResourceStudy": ("study resources", "studies.resources_document"),
    "reports.studies.validation.energy.EnergyValidation": ("validate energy", "validation.energy_validation_document"),
    "reports.studies.validation.offload.OffloadValidation": ("validate offload", "validation.offload_validation_document"),
    "reports.studies.window.WindowStudy": ("study window", "studies.window_document"),
}
"""By the type of a result, its verb, and the function of this package that makes its document."""


def marked(document: object, verb: str | None) -> object:
    """Return a document that says which verb made it; one that is no mapping stays as it is."""
    return {MARK: verb, **document} if verb is not None and isinstance(document, dict) else document


def document_of(result: object) -> dict[str, Json]:
    """Return what the verb that returned a result prints as JSON; raise SpecError for what is none, or not of finite numbers."""
    kind = f"{type(result).__module__}.{type(result).__qualname__}"
    document: Any
    if kind in VERBS:
        verb, place = VERBS[kind]
        file, _, name = place.partition(".")
        document = marked(getattr(importlib.import_module(f"reports.documents.{file}"), name)(result), verb)
    elif dataclasses.is_dataclass(result) and kind.startswith(("lamforge.", "reports.")):
        document = marked(plain(result), kind)
    else:
        raise SpecError(f"Result must be a path, or what a verb returned, not {shown(result)}")
    try:
        return dict(json.loads(json.dumps(document, allow_nan=False)))
    except ValueError:
        raise SpecError("Result must be of finite numbers to be compared, which one of both is not") from None
