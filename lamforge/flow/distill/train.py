"""The third stage of a distillation: the student is taught, in as many calls as it takes."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path

from hwsim.plain import Settings
from hwsim.whole_files import whole_file
from lamforge.flow.distill.prepare import PREPARED, WORK
from lamforge.flow.distill.sample import SAMPLED
from lamforge.flow.verb import SILENT, Listener, verb
from models.distill.result import Report, Scores

__all__ = ["Lesson", "TrainRequest", "run", "train", "write_report"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A student to teach; a training that was stopped goes on.

    Attributes:
        work: folder in which the stages find each other's files.
        output: folder of the result; None takes one below `work`, named after the format.
        from_result: shipped training, or folder of a result, that the student begins as; None begins as the teacher.
        settings: settings of the distillation that differ from their defaults, by name.
        device: `cuda` or `cpu`.
        minutes: time after which to stop, from the call on, compilation included; evaluation comes after it.
        fit_minutes: sets the steps of a training that has not begun to what fits into so many minutes of steps.
        is_fit_only: whether to find these steps and train nothing, for several trainings that are to have as many.
        is_eager: whether nothing is compiled.
        kernel: of attention, `flex` or `masked`; None takes `flex` where code is compiled.
        max_windows: windows to evaluate of each text; None takes all.
    """

    work: Path = WORK
    output: Path | None = None
    from_result: str | None = None
    settings: Settings = dataclasses.field(default_factory=dict)
    device: str = "cuda"
    minutes: float = 9.0
    fit_minutes: float | None = None
    is_fit_only: bool = False
    is_eager: bool = False
    kernel: str | None = None
    max_windows: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one call taught.

    Attributes:
        report: what the training says of itself, its first step to its last so far.
        is_first: whether this is the only process or the first of a team, which writes the files.
        is_done: whether all steps are done; None where only their number was asked for.
    """

    report: Report
    is_first: bool
    is_done: bool | None

    @property
    def perplexities(self) -> Mapping[str, Scores]:
        """How well the student predicts, by evaluation text; empty while that was not measured."""
        return self.report.perplexities or {}


def run(request: TrainRequest, listener: Listener = SILENT) -> Lesson:
    """Train until all steps are done, or time is up, and write the student as it then is.

    Started by `torchrun` in several processes, these train one student; the first writes and speaks.

    Raises:
        SpecError: what is read does not belong together, a setting is wrong, or there is no such device.
    """
    from models.distill import shipped
    from models.distill.machine import join_team, machine_of
    from models.distill.prepared import read_prepared
    from models.distill.result import read_result
    from models.distill.sampling import read_samples
    from models.distill.settings import Settings
    from models.distill.state import stated_settings
    from models.distill.training import STATE, Training

    deadline = time.monotonic() + 60 * request.minutes
    settings = Settings.from_document(request.settings)
    team = join_team(request.device)
    tell = listener.say if team.is_first else SILENT.say
    machine = machine_of(request.device, is_eager=request.is_eager, kernel=request.kernel, team=team)
    begun = None if request.from_result is None else read_result(shipped.locate(request.from_result))
    state = request.work / settings.format / STATE
    if request.fit_minutes is not None and state.is_file():
        settings = dataclasses.replace(settings, steps=stated_settings(state).steps)
    prepared = read_prepared(request.work / PREPARED)
    samples = read_samples(request.work / SAMPLED)
    tell(f"{prepared.config.name} to {settings.format} on {machine.name}, {sum(map(len, samples.values()))} sampled tokens")
    training = Training(prepared, samples, settings, machine, tell, start=begun)
    if request.fit_minutes is not None and not state.is_file():
        training.fit(request.fit_minutes)
    if request.is_fit_only:
        return Lesson(report=training.report(), is_first=team.is_first, is_done=None)
    training.open(state)
    is_done = training.run(state, deadline=deadline)
    output = request.output or request.work / settings.format / "result"
    report = training.finish(output, is_measured=is_done, max_windows=request.max_windows)
    if team.is_first:
        write_report(report.to_document(), output)
    return Lesson(report=report, is_first=team.is_first, is_done=is_done)


train = verb("distill.train", TrainRequest, run)


def write_report(report: Mapping[str, object], folder: Path) -> None:
    """Write what a training says of itself beside the parts of its result, as `report.json`."""
    with whole_file(folder / "report.json") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
