"""Processes that train together: all have the same student, and it is the one that a single process would have."""

import dataclasses
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import multiprocessing

from hwsim.errors import SpecError
from models.distill.machine import Team, join_team, machine_of
from models.distill.training import Training
from tests.models.distill.small import SETTINGS, small_checkpoint, small_prepared

SETTINGS_OF_TEAM = dataclasses.replace(SETTINGS, batch=4, steps=6, block_share=0.5)


def _train(rank: int, size: int, port: int, folder: Path, is_alone: bool) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    team = join_team("cpu")
    assert team == Team(rank=rank, size=size)
    assert team.agree(rank + 5) == 5
    machine = machine_of("cpu", team=dataclasses.replace(team, size=1) if is_alone else team)
    prepared = small_prepared(small_checkpoint(folder / str(rank)))
    training = Training(prepared, {}, SETTINGS_OF_TEAM, machine, lambda sentence: None)
    start = training.student.start

    def other_start(*arguments) -> None:
        """Begin otherwise in every process: they must agree on the first one's."""
        start(*arguments)
        training.student.final_norm.data += 0.1 * rank

    training.student.start = other_start
    training.open(folder / "none" / f"{rank * is_alone}.npz")
    for step in range(2):
        training._step(step)
        _written(folder / f"{rank}-{step}.pt", training)
    for step in range(3, 6):
        training._step(step)
    _written(folder / f"{rank}-6.pt", training)


def _written(path: Path, training: Training) -> None:
    gradients = [parameter.grad for parameter in training.student.parameters()]
    torch.save({"student": training.student.state_dict(), "gradients": gradients}, path)


def _run(folder: Path, size: int, is_alone: bool = False) -> list[list[dict]]:
    for rank in range(size):
        (folder / str(rank)).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_train, (size, port, folder, is_alone), nprocs=size)
    return [[torch.load(folder / f"{rank}-{step}.pt") for step in (0, 1, 6)] for rank in range(size)]


def _is_equal(own: dict, other: dict) -> bool:
    return all(torch.equal(own["student"][name], other["student"][name]) for name in own["student"])


def test_a_team_trains_one_student(tmp_path: Path) -> None:
    first, second = _run(tmp_path / "team", 2)
    assert all(_is_equal(own, other) for own, other in zip(first, second, strict=True))
    (alone,) = _run(tmp_path / "alone", 1)
    for found, wanted in zip(first[0]["gradients"], alone[0]["gradients"], strict=True):
        if wanted is not None:
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_processes_that_do_not_meet_drift_apart(tmp_path: Path) -> None:
    first, second = _run(tmp_path, 2, is_alone=True)
    assert not _is_equal(first[-1], second[-1])


def test_every_sequence_is_read_once() -> None:
    rows = np.arange(12).reshape(6, 2)
    parts = [Team(rank=rank, size=3).part(rows) for rank in range(3)]
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()


def test_a_batch_must_divide(tmp_path: Path) -> None:
    machine = machine_of("cpu", team=Team(rank=0, size=3))
    with pytest.raises(SpecError, match=r"Distillation batch must be a multiple of 3 processes, not 4"):
        Training(small_prepared(small_checkpoint(tmp_path)), {}, SETTINGS_OF_TEAM, machine, lambda sentence: None)
