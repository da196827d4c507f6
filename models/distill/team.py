"""Several processes that train one student: each computes part of a step's sequences, and all apply the mean gradient."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np
import torch
from torch import distributed, nn

from hwsim.errors import SpecError

__all__ = ["ALONE", "Team", "join_team"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of a training, as `torchrun` starts them; all hold the same student.

    Attributes:
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

    Raises:
        SpecError: there are fewer GPUs than processes.
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
