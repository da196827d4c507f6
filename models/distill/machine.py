"""What a training runs on: the device, the type of its products, and whether code is compiled for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from hwsim.errors import SpecError, shown
from models.distill.attention import KINDS
from models.distill.team import ALONE, Team

__all__ = ["Machine", "compiled", "machine_of", "place_of"]

_COMPILED_VARIANTS = 128

Code = TypeVar("Code", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """How training runs.

    Attributes:
        device: what on.
        dtype: of the products in training; evaluation is in float32.
        kernel: of attention, `flex` or `masked`.
        is_compiled: whether blocks and losses are compiled.
        has_wide_products: whether products of narrow floats may be asked for in float32.
        team: the processes that train together.
    """

    device: torch.device
    dtype: torch.dtype
    kernel: str
    is_compiled: bool
    has_wide_products: bool
    team: Team = ALONE

    @property
    def name(self) -> str:
        """Name of the device as its maker calls it."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def compiled(code: Code) -> Code:
    """Return a function that compiles itself when first called."""
    import torch._dynamo

    # The layers share code but are separate objects: allow a compiled variant for each.
    torch._dynamo.config.recompile_limit = _COMPILED_VARIANTS
    return cast(Code, torch.compile(code, dynamic=False))


def place_of(device: str) -> torch.device:
    """Return `cuda` or `cpu` as a device; raise SpecError where there is none of the name."""
    if device not in ("cuda", "cpu"):
        raise SpecError(f"Device must be cuda or cpu, not {shown(device)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SpecError("Device must be cpu where there is no CUDA device, not 'cuda'")
    return torch.device(device)


def machine_of(device: str, *, is_eager: bool = False, kernel: str | None = None, team: Team = ALONE) -> Machine:
    """Return how to run on `cuda` or `cpu`.

    is_eager: nothing is compiled, and attention has an explicit mask.
    kernel: of attention, `flex` or `masked`; None takes `flex` where code is compiled.
    team: of join_team.

    Raises:
        SpecError: there is no such device, or no such kernel.
    """
    place = place_of(device)
    is_cuda = device == "cuda"
    is_compiled = is_cuda and not is_eager
    chosen = ("flex" if is_compiled else "masked") if kernel is None else kernel
    if chosen not in KINDS[:2]:
        raise SpecError(f"Kernel of attention in training must be {' or '.join(KINDS[:2])}, not {chosen!r}")
    return Machine(
        device=place,
        dtype=torch.bfloat16 if is_cuda else torch.float32,
        kernel=chosen,
        is_compiled=is_compiled,
        has_wide_products=is_cuda and _has_wide_products(place),
        team=team,
    )


def _has_wide_products(device: torch.device) -> bool:
    """Return whether torch.mm takes out_dtype on a device."""
    sample = torch.ones((16, 16), device=device, dtype=torch.bfloat16)
    try:
        return torch.mm(sample, sample, out_dtype=torch.float32).dtype == torch.float32
    # Older versions do not know the argument (TypeError), other devices not the operation.
    except (RuntimeError, TypeError, NotImplementedError):
        return False
