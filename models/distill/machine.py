"""What a training runs on: the processes that share it, the device, the type of its products, and whether code is compiled."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import distributed, nn

from hwsim.errors import SpecError, shown
from models.distill.attention import KINDS

__all__ = ["ALONE", "Machine", "Team", "compiled", "join_team", "machine_of", "place_of"]

_COMPILED_VARIANTS = 128

Code = TypeVar("Code", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of a training, as `torchrun` starts them; all hold the same student.

    rank: own number, from 0.
    size: number of processes.
    """

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and reports progress."""
        return self.rank == 0

    def part(self, rows: np.ndarray) -> np.ndarray:
        """Return the sequences of a step that are this process's, [sequences / size, tokens]."""
        return rows[self.rank :: self.size]

    def share(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Give every process the first one's parameters, buffers and averages."""
        if self.size == 1:
            return
        averages = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
        for tensor in (*module.state_dict().values(), *averages):
            distributed.broadcast(tensor, src=0)

    def mean(self, tensors: Iterable[torch.Tensor]) -> None:
        """Put the mean over all processes in the place of tensors of one type and device."""
        if self.size == 1:
            return
        held = list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in held]).div_(self.size)
        distributed.all_reduce(flat)
        for tensor, found in zip(held, flat.split([tensor.numel() for tensor in held]), strict=True):
            tensor.copy_(found.view_as(tensor))

    def agree(self, answer: int) -> int:
        """Return the first process's answer in every process, without waiting for a GPU."""
        if self.size == 1:
            return answer
        told = torch.tensor(answer)
        distributed.broadcast(told, src=0)
        return int(told)


ALONE = Team(rank=0, size=1)


def join_team(device: str) -> Team:
    """Return the team that `torchrun` has started this process in, or a team of one.

    device: cuda, where each process takes the GPU of its own number on its host, or cpu.

    SpecError when there are fewer GPUs than processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    if device == "cuda":
        own, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if own >= there:
            raise SpecError(f"Processes of a host must be at most as many as its {there} GPUs, not {own + 1} or more")
        torch.cuda.set_device(own)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    return Team(rank=distributed.get_rank(), size=size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """How training runs.

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

    SpecError when there is no such device, or no such kernel.
    """
    place = place_of(device)
    is_cuda = device == "cuda"
    is_compiled = is_cuda and not is_eager
    chosen = ("flex" if is_compiled else "masked") if kernel is None else kernel
    if chosen not in KINDS[:2]:
        raise SpecError(f"Kernel of attention in training must be {' or '.join(KINDS[:2])}, not {shown(chosen)}")
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
