"""How far the model of resources is from Yosys, at whole engines that it was not fitted to."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from hwsim.arch.board import RESOURCES
from lamforge.flow.resources import ENGINES, Fields, engine_runs, kept, resource_model

__all__ = ["ResourceError", "resource_errors", "synthesized_engines"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResourceError:
    """How far the model is from Yosys in one resource.

    Attributes:
        resource: of RESOURCES.
        engines: that are compared: those of which Yosys took any of it.
        median, worst: of the shares of what Yosys took that the model is off, 0 where it is never off.
    """

    resource: str
    engines: int
    median: float
    worst: float


def synthesized_engines() -> tuple[Fields, Mapping[str, np.ndarray]]:
    """Return fields and resources, arrays [engines], of engines that Yosys synthesized whole and the model was not fitted to."""
    return engine_runs(kept(ENGINES))


@functools.cache
def resource_errors() -> tuple[ResourceError, ...]:
    """Return how far the model is off in each resource, those of RESOURCES in their order."""
    fields, synthesized = synthesized_engines()
    found = resource_model().total(fields)
    return tuple(_error(name, found[name], synthesized[name]) for name in RESOURCES)


def _error(name: str, modelled: np.ndarray, synthesized: np.ndarray) -> ResourceError:
    is_any = synthesized > 0
    off = np.abs(np.broadcast_to(modelled, synthesized.shape)[is_any] / synthesized[is_any] - 1)
    return ResourceError(
        resource=name,
        engines=int(is_any.sum()),
        median=float(np.median(off)) if off.size else 0.0,
        worst=float(max(off, default=0.0)),
    )
