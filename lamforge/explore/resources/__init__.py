"""What engines take of a board without waiting for synthesis, fitted to runs of Yosys that are kept beside it."""

from lamforge.explore.resources.model import ENGINES, PARTS, PartRun, Parts, ResourceModel, distinct, resource_model
from lamforge.explore.resources.terms import COPIES, FIELDS, TERMS, Fields, fields_of_engine

__all__ = [
    "COPIES",
    "ENGINES",
    "FIELDS",
    "PARTS",
    "TERMS",
    "Fields",
    "PartRun",
    "Parts",
    "ResourceModel",
    "distinct",
    "fields_of_engine",
    "resource_model",
]
