"""The state from which a training resumes as if it had never stopped, kept in one file that is always complete."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwsim.errors import SpecError, shown
from models.distill import arrays
from models.distill.settings import Settings
from models.distill.student import Student

__all__ = ["Course", "load_state", "save_state", "stated_settings"]


@dataclasses.dataclass(kw_only=True)
class Course:
    """How far a training has come.

    step: steps done.
    trained_s: seconds spent in steps.
    log: the progress reports, one mapping each.
    data: names and lengths of the texts; a run goes on only with the same.
    start: digest of the result that the student began as; empty if it began from the teacher.
    """

    step: int = 0
    trained_s: float = 0.0
    log: list[dict[str, float]] = dataclasses.field(default_factory=list)
    data: dict[str, int] = dataclasses.field(default_factory=dict)
    start: str = ""


def save_state(path: Path, student: Student, optimizer: torch.optim.Optimizer, settings: Settings, course: Course) -> None:
    """Write weights, masks, the optimizer's averages and the course."""
    held = {f"model.{name}": tensor.cpu().numpy() for name, tensor in student.state_dict().items()}
    for index, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            held[f"optimizer.{index}.{name}"] = torch.as_tensor(value).cpu().numpy()
    held["course"] = arrays.from_text(json.dumps(dataclasses.asdict(course)))
    held["settings"] = arrays.from_text(json.dumps(settings.to_document()))
    arrays.save(path, held)


def stated_settings(path: Path) -> Settings:
    """Return the settings under which a state file was begun."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return Settings.from_document(json.loads(arrays.to_text(archive["settings"])))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SpecError(f"State {path} must be a complete file of a training, but: {error}") from None


def load_state(path: Path, student: Student, optimizer: torch.optim.Optimizer, settings: Settings) -> Course:
    """Set a student and its optimizer to what was saved and return the course.

    SpecError when the file is damaged, or was written under other settings.
    """
    held = arrays.load(path)
    stated = Settings.from_document(json.loads(arrays.to_text(held["settings"]))).to_document()
    for name, value in settings.to_document().items():
        if stated[name] != value:
            raise SpecError(f"Distillation {name} must be {shown(stated[name])}, as when {path} was begun, not {shown(value)}")
    student.load_state_dict({name.removeprefix("model."): _tensor(held[name]) for name in held if name.startswith("model.")})
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name in held:
        if name.startswith("optimizer."):
            _, index, field = name.split(".")
            entries.setdefault(int(index), {})[field] = _tensor(held[name])
    document: dict[str, Any] = optimizer.state_dict()
    optimizer.load_state_dict(document | {"state": entries})
    return Course(**json.loads(arrays.to_text(held["course"])))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)) if array.ndim else torch.tensor(array.item(), dtype=torch.float32)
