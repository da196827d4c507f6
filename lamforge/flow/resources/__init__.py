"""What engines take of a board without waiting for synthesis, fitted to runs of Yosys that are kept beside it."""

from lamforge.flow.resources.model import Parts, ResourceModel, distinct, resource_model, with_keys
from lamforge.flow.resources.runs import (
    ENGINES,
    ORIGIN,
    PARTS,
    Origin,
    PartRun,
    engine_runs,
    engines_text,
    kept,
    origin,
    part_runs,
    parts_text,
)
from lamforge.flow.resources.slrs import slr_shares
from lamforge.flow.resources.terms import COPIES, FIELDS, TERMS, Fields, copies_of, fields_of_engine

__all__ = [
    "COPIES",
    "ENGINES",
    "FIELDS",
    "ORIGIN",
    "PARTS",
    "TERMS",
    "Fields",
    "Origin",
    "PartRun",
    "Parts",
    "ResourceModel",
    "copies_of",
    "distinct",
    "engine_runs",
    "engines_text",
    "fields_of_engine",
    "kept",
    "origin",
    "part_runs",
    "parts_text",
    "resource_model",
    "slr_shares",
    "with_keys",
]
