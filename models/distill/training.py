"""The course of a distillation: blocks alone, then together; masks until they are frozen; checkpoints; the result."""

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from hwsim.errors import SpecError
from models.distill.attention import plan_of
from models.distill.evaluation import evaluate
from models.distill.loss import Divergence, HeadLoss, divergence, relative_error
from models.distill.machine import Machine, compiled
from models.distill.prepared import TEXTS, Mixture, Prepared
from models.distill.result import PART_BYTES, Report, Result, write_result
from models.distill.settings import Settings
from models.distill.state import Course, load_state, save_state
from models.distill.student import BlockCall, Student, plain_call
from models.distill.teacher import LayerCall, Teacher, forward

__all__ = ["STATE", "Training"]

STATE = "state.npz"
"""The file a training goes on from."""

_CALIBRATION_STEP = 1 << 40
_CALIBRATION_BATCH = 8
_REPORT_STEPS = 20
_WARM_STEPS = 4
_TIMED_STEPS = 10

Tell = Callable[[str], None]


class Training:
    """One run of a training: opened on its files, run until a deadline, reported."""

    def __init__(
        self,
        prepared: Prepared,
        samples: dict[str, np.ndarray],
        settings: Settings,
        machine: Machine,
        tell: Tell,
        *,
        start: Result | None = None,
    ) -> None:
        """Take what is read.

        samples: texts written by the teacher; when there are none, their share falls to the other texts.
        start: result that the student begins as, instead of the rounded teacher.

        SpecError when settings, texts and start do not belong together, or a text is too short.
        """
        self._prepared, self._settings, self._machine, self._tell = prepared, settings, machine, tell
        if start is not None:
            _check_start(start, prepared, settings)
        config, device = prepared.config, machine.device
        if settings.length > config.max_positions:
            raise SpecError(f"Distillation length must be at most {config.max_positions}, not {settings.length}")
        self._team = machine.team
        if settings.batch % self._team.size:
            raise SpecError(f"Distillation batch must be a multiple of {self._team.size} processes, not {settings.batch}")
        self._data = self._texts(samples)
        self._teacher = Teacher(prepared, device, machine.dtype)
        self.student = Student(config, settings).to(device)
        self.student.take_frozen(prepared)
        self._optimizer = self._new_optimizer()
        self._start = start
        data = {name: len(text) for name, text in (*prepared.texts.items(), *samples.items())}
        self.course = Course(data=data, start="" if start is None else start.digest)
        self._plan = plan_of(config, settings, settings.length, kind=machine.kernel, device=device, dtype=machine.dtype)
        self._rotation = self._teacher.rotation(settings.length)
        self._leaks = {is_free: torch.tensor(float(is_free), device=device) for is_free in (False, True)}
        self._block: BlockCall = plain_call
        self._layer: LayerCall = forward
        self._error: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = relative_error
        apart: Divergence = divergence
        if machine.is_compiled:
            self._block, self._layer = compiled(plain_call), compiled(forward)
            self._error, apart = compiled(relative_error), compiled(divergence)
        self._loss = HeadLoss(
            student_head=self.student.head.to(machine.dtype),
            teacher_head=self._teacher.head,
            truth_weight=settings.truth_weight,
            is_wide=machine.has_wide_products,
            divergence=apart,
        )

    def open(self, path: Path) -> None:
        """Go on from a state file, or begin where there is none."""
        if self._team.agree(path.is_file()):
            course = load_state(path, self.student, self._optimizer, self._settings)
            if course.data != self.course.data:
                raise SpecError(f"Training texts must be those that {path} was begun with: {course.data}, not {self.course.data}")
            if course.start != self.course.start:
                began, given = (digest[:12] or "the teacher" for digest in (course.start, self.course.start))
                raise SpecError(f"Training must start from {began}, as when {path} was begun, not from {given}")
            self.course = course
            self._tell(f"goes on at step {course.step} of {self._settings.steps}")
            return
        self._begin()
        self._team.share(self.student, self._optimizer)
        self._save(path)

    def fit(self, minutes: float) -> None:
        """Set the steps to as many as fit into so many minutes of training, by a few that are timed and undone.

        Only before the first step; `open` begins anew after it.
        """
        self._begin()
        seconds = []
        for share, step in ((self._settings.block_share, 0), (1 - self._settings.block_share, self._settings.block_steps)):
            for _ in range(_WARM_STEPS):
                self._step(step)
            self._machine.synchronize()
            began = time.monotonic()
            for _ in range(_TIMED_STEPS):
                self._step(step)
            self._machine.synchronize()
            seconds.append(share * (time.monotonic() - began) / _TIMED_STEPS)
        steps = self._team.agree(max(1, int(60 * minutes / sum(seconds))))
        self._tell(f"a step takes {1000 * sum(seconds):.1f} ms: {steps} steps fit into {minutes:g} minutes")
        self._settings = dataclasses.replace(self._settings, steps=steps)
        self.student.settings = self._settings
        self._optimizer = self._new_optimizer()

    def run(self, path: Path, *, deadline: float, save_every_s: float = 180.0, steps: int | None = None) -> bool:
        """Train until all steps are done, or time is up, and return whether all are; the state is saved.

        deadline: in seconds of time.monotonic.
        steps: stop after so many, as if time were up then.
        """
        settings, course = self._settings, self.course
        began = saved = told = time.monotonic()
        first = told_step = course.step
        before = course.trained_s
        losses: list[torch.Tensor] = []
        is_stopped = False
        while course.step < settings.steps and not is_stopped:
            losses.append(self._step(course.step))
            course.step += 1
            now = time.monotonic()
            is_late = bool(self._team.agree(now > deadline))
            is_stopped = is_late or (steps is not None and course.step - first >= steps)
            # Blocks that learn alone have another loss than the whole student: no mean is taken over both.
            if course.step % _REPORT_STEPS == 0 or course.step in (settings.block_steps, settings.steps) or is_stopped:
                mean = torch.stack(losses).mean(0)
                self._team.mean([mean])
                values, losses = mean.tolist(), []
                if not math.isfinite(values[0]):
                    raise SpecError(f"Training loss must stay finite, not become {values[0]} by step {course.step}")
                now = time.monotonic()
                course.trained_s = before + now - began
                self._report(values, (course.step - told_step) / (now - told))
                told, told_step = now, course.step
            if now - saved > save_every_s and not is_stopped and course.step < settings.steps:
                self._save(path)
                saved = time.monotonic()
        self._save(path)
        return course.step >= settings.steps

    def report(self) -> Report:
        """Return what there is to say of the training so far, without perplexities."""
        settings, course = self._settings, self.course
        return Report(
            settings=settings,
            model=self._prepared.config.name,
            source_digest=self._prepared.source_digest,
            device=self._machine.name,
            processes=self._team.size,
            torch=torch.__version__,
            is_compiled=self._machine.is_compiled,
            attention=self._machine.kernel,
            steps=course.step,
            tokens=course.step * settings.batch * settings.length,
            trained_s=course.trained_s,
            start=None if self._start is None else self._start.summary(),
            texts=dict(course.data),
            log=tuple(course.log),
        )

    def finish(self, folder: Path, *, is_measured: bool, max_windows: int | None = None) -> Report:
        """Write the student as it is into parts of a result, with perplexities if asked for, and return the report.

        Only the first process of a team does.
        """
        report = self.report()
        if not self._team.is_first:
            return report
        if is_measured:
            found = evaluate(self.student, self._prepared, self._tell, max_windows=max_windows)
            report = dataclasses.replace(report, perplexities=found)
        source, stated = self._prepared.source_digest, report.to_document()
        paths = write_result(folder, self.student, source, stated, part_bytes=PART_BYTES)
        self._tell(f"result of step {self.course.step} written: {', '.join(path.name for path in paths)}")
        return report

    def _texts(self, samples: dict[str, np.ndarray]) -> Mixture:
        settings = self._settings
        texts = [self._prepared.texts[name] for name in TEXTS]
        written = np.concatenate(list(samples.values())) if samples else np.zeros(0, np.uint16)
        shares = [1 - settings.wikipedia_share - settings.sampled_share, settings.wikipedia_share]
        return Mixture(
            texts=[*texts, written],
            shares=[max(0.0, share) for share in shares] + [settings.sampled_share if samples else 0.0],
            length=settings.length + 1,
            seed=settings.seed,
        )

    def _new_optimizer(self) -> torch.optim.AdamW:
        settings = self._settings
        rates = {"latent": settings.weight_rate, "log_scale": settings.scale_rate}
        groups: dict[float, list[torch.nn.Parameter]] = {}
        for name, parameter in self.student.named_parameters():
            groups.setdefault(rates.get(name.rpartition(".")[2], settings.norm_rate), []).append(parameter)
        return torch.optim.AdamW(
            [{"params": held, "lr": rate, "peak": rate} for rate, held in groups.items()],
            betas=(settings.momentum, settings.square_momentum),
            weight_decay=0.0,
            fused=self._machine.device.type == "cuda",
        )

    def _begin(self) -> None:
        """Measure the inputs of every matrix and lay the first grids."""
        settings = self._settings
        began = time.monotonic()
        rows = torch.from_numpy(self._data.windows(_CALIBRATION_STEP, settings.calibration_sequences)[:, :-1])
        batches = (part.to(self._machine.device) for part in rows.split(_CALIBRATION_BATCH))
        energies = self._teacher.energies(batches)
        self._tell(f"inputs measured on {rows.numel()} tokens in {time.monotonic() - began:.1f} s")
        if self._start is None:
            self.student.start(self._prepared, energies, self._tell)
        else:
            self.student.take(self._start.matrices, self._start.gains, energies)
            self._tell(f"begins as the result with digest {self._start.digest[:12]}")
        self._tell(f"begins after {time.monotonic() - began:.1f} s")

    def _step(self, step: int) -> torch.Tensor:
        """Do one step and return its (loss, divergence from the teacher)."""
        settings = self._settings
        if settings.is_mask_due(step):
            for _, weight in self.student.weights():
                weight.choose_mask()
        share = settings.rate_share(step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * share
        rows = torch.from_numpy(self._team.part(self._data.windows(step, settings.batch)))
        if self._machine.device.type == "cuda":
            rows = rows.pin_memory().to(self._machine.device, non_blocking=True)
        tokens, truth = rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
        leak = self._leaks[settings.is_mask_free(step)]
        streams = self._teacher.streams(tokens, self._rotation, self._layer)
        self._optimizer.zero_grad(set_to_none=True)
        if step < settings.block_steps:
            told = self._learn_alone(streams, leak)
        else:
            told = self._learn_together(step, streams, tokens, truth, leak)
        self._team.mean(parameter.grad for parameter in self.student.parameters() if parameter.grad is not None)
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), settings.clip)
        self._optimizer.step()
        return told

    def _learn_alone(self, streams: list[torch.Tensor], leak: torch.Tensor) -> torch.Tensor:
        """Let every block make the teacher's update of the teacher's stream."""
        total = torch.zeros((), device=self._machine.device)
        for block, before, after in zip(self.student.layers(), streams, streams[1:], strict=False):
            made = self._block(block, before, self._plan, leak)
            error = self._error(made - before, after - before)
            error.backward()
            total = total + error.detach()
        mean = total / len(self._teacher.layers)
        return torch.stack([mean, torch.zeros_like(mean)])

    def _learn_together(
        self, step: int, streams: list[torch.Tensor], tokens: torch.Tensor, truth: torch.Tensor, leak: torch.Tensor
    ) -> torch.Tensor:
        """Let the whole student predict what the teacher predicts."""
        feature_weight = self._settings.feature_weight_at(step)
        features = torch.zeros((), device=self._machine.device)
        x = functional.embedding(tokens, self.student.embedding)
        for block, wanted in zip(self.student.layers(), streams[1:], strict=True):
            x = self._block(block, x, self._plan, leak)
            if feature_weight > 0:
                features = features + self._error(x, wanted)
        codes, scale = self.student.final_codes(x)
        loss, apart = self._loss(
            codes.flatten(0, 1), scale.flatten(0, 1), self._teacher.final(streams[-1]).flatten(0, 1), truth.flatten()
        )
        if feature_weight > 0:
            loss = loss + feature_weight * features / len(self._teacher.layers)
        loss.backward()
        return torch.stack([loss.detach(), apart.detach()])

    def _report(self, values: list[float], steps_per_s: float) -> None:
        settings, course = self._settings, self.course
        per_step = settings.batch * settings.length
        left = (settings.steps - course.step) / steps_per_s
        entry = {"step": course.step, "loss": values[0], "divergence": values[1], "trained_s": round(course.trained_s, 1)}
        course.log.append({name: float(value) for name, value in entry.items()})
        self._tell(
            f"step {course.step}/{settings.steps}  loss {values[0]:.4f}  divergence {values[1]:.4f}  "
            f"{steps_per_s * per_step:.0f} tokens/s  {course.trained_s:.0f} s trained  {left / 60:.1f} min left"
        )

    def _save(self, path: Path) -> None:
        if not self._team.is_first:
            return
        began = time.monotonic()
        self._machine.synchronize()
        save_state(path, self.student, self._optimizer, self._settings, dataclasses.replace(self.course))
        self._tell(f"state of step {self.course.step} saved in {time.monotonic() - began:.1f} s")


def _check_start(start: Result, prepared: Prepared, settings: Settings) -> None:
    if start.source_digest != prepared.source_digest:
        own, other = prepared.source_digest[:12], start.source_digest[:12]
        raise SpecError(f"Start of a training must be a student of the teacher with digest {own}, not of one with {other}")
    if start.settings.format != settings.format:
        raise SpecError(
            f"Distillation format must be {start.settings.format}, as in the result it starts from, not {settings.format}"
        )
