"""The teacher's own text: what it was asked to begin with, what it would say, and files that are kept."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models.distill.sampling import FREE, Writer, prompts, read_samples, sample
from models.distill.teacher import Teacher
from tests.models.distill.small import SETTINGS, small_checkpoint, small_prepared

CPU = torch.device("cpu")
LATE = time.monotonic() + 1e6


@pytest.fixture
def prepared(tmp_path: Path):
    return small_prepared(small_checkpoint(tmp_path))


def test_cold_text_is_the_most_likely(prepared) -> None:
    settings = dataclasses.replace(SETTINGS, temperature=1e-4, sample_length=70, sample_batch=3)
    prepared = dataclasses.replace(prepared, end=np.array([], np.int64))
    teacher = Teacher(prepared, CPU, torch.float32)
    forced = np.full((3, 70), FREE, np.int64)
    forced[:, :4] = np.arange(12).reshape(3, 4)
    text = Writer(teacher, prepared, settings, is_graphed=False).write(forced, seed=1)
    assert np.array_equal(text[:, :4], forced[:, :4])
    best = teacher.logits(torch.from_numpy(text.astype(np.int64))).argmax(-1).numpy()
    assert np.array_equal(text[:, 4:], best[:, 3:-1])


def test_warm_text_follows_the_teachers_distribution(prepared) -> None:
    settings = dataclasses.replace(SETTINGS, temperature=0.8, sample_length=2, sample_batch=4000)
    teacher = Teacher(prepared, CPU, torch.float32)
    forced = np.full((4000, 2), FREE, np.int64)
    forced[:, 0] = 9
    text = Writer(teacher, prepared, settings, is_graphed=False).write(forced, seed=1)
    found = np.bincount(text[:, 1], minlength=96) / 4000
    wanted = torch.softmax(teacher.logits(torch.tensor([[9]]))[0, 0] / 0.8, -1).numpy()
    assert np.abs(found - wanted).sum() < 0.25
    assert np.abs(found - np.roll(wanted, 1)).sum() > 0.5


def test_a_turn_goes_on_with_another(prepared) -> None:
    settings = dataclasses.replace(SETTINGS, sample_length=60, sample_batch=40)
    teacher = Teacher(prepared, CPU, torch.float32)
    forced = np.full((40, 60), FREE, np.int64)
    forced[:, 0] = 2
    text = Writer(teacher, prepared, settings, is_graphed=False).write(forced, seed=3)
    rows, columns = np.nonzero(text[:, 1:-2] == 2)
    assert len(rows) > 5
    # Ends that stand at the place of a forced token do not come: every one is followed by the next turn's tokens.
    assert [tuple(text[row, column + 2 : column + 4]) for row, column in zip(rows, columns, strict=True)] == [(7, 1)] * len(rows)


def test_prompts(prepared) -> None:
    settings = dataclasses.replace(SETTINGS, sample_batch=300, sample_length=64, chat_share=0.4, encyclopedia_share=0.4)
    rows = prompts(prepared, settings, 0)
    lengths = (rows != FREE).sum(1)
    is_chat = (rows[:, :3] == [1, 5, 6]).all(1) & (lengths == 3)
    assert 0.3 < is_chat.mean() < 0.5
    assert lengths.min() >= 3
    assert lengths.max() <= 48
    assert (lengths > 12).mean() > 0.2
    assert np.array_equal(rows, prompts(prepared, settings, 0))
    assert not np.array_equal(rows, prompts(prepared, settings, 1))


def test_files_are_kept_and_shards_are_disjoint(prepared, tmp_path: Path) -> None:
    teacher = Teacher(prepared, CPU, torch.float32)
    told: list[str] = []

    def write(folder: str, shard: tuple[int, int], deadline: float = LATE) -> int:
        return sample(prepared, SETTINGS, tmp_path / folder, teacher, told.append, deadline=deadline, shard=shard)

    assert write("halves", (0, 2)) == 32
    assert write("halves", (1, 2)) == 64
    before = len(told)
    assert write("halves", (0, 1)) == 64
    assert len(told) == before
    assert write("whole", (0, 1)) == 64
    halves, whole = read_samples(tmp_path / "halves"), read_samples(tmp_path / "whole")
    assert list(halves) == list(whole) == ["sampled-0000.npy", "sampled-0001.npy"]
    assert all(np.array_equal(halves[name], whole[name]) for name in whole)
    assert write("late", (0, 1), deadline=time.monotonic() - 1) == 0
    assert told[-1] == "sampling stops at batch 0 of 2: time is up"
