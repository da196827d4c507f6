"""Knows the stages of a distillation from the user's side: prepare, sample, train, export, and the folder between them.

`python -m lamforge.flow.distill probe|sample|train` runs where there is nothing but PyTorch and NumPy.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import lzma
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import LamforgeError, SpecError, shown
from hwsim.whole_files import whole_file
from models.distill.settings import Settings

__all__ = ["export", "main", "merge", "named_paths", "prepare", "probe", "sample", "settings_of", "shard_of", "stage_text", "train"]

Tell = Callable[[str], None]

_PREPARED = "prepared"
_SAMPLED = "sampled"
_REPORT = "report.json"
_REFUSED = 2


def settings_of(assignments: Sequence[str], file: Path | None = None) -> Settings:
    """Return settings from a JSON file, or the defaults, with some changed by texts such as `steps=2000`."""
    given: object = {}
    if file is not None:
        try:
            given = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SpecError(f"Distillation settings {file.name} must be a readable JSON file, but: {error}") from None
    pairs = [text.partition("=") for text in assignments]
    for (name, equals, _), text in zip(pairs, assignments, strict=True):
        if not name or not equals:
            raise SpecError(f"Distillation setting must read NAME=VALUE, not {shown(text)}")
    return Settings.from_document(given).changed({name: value for name, _, value in pairs})


def named_paths(texts: Sequence[str]) -> dict[str, Path]:
    """Return paths by name of texts such as `wikipedia=some.txt`."""
    pairs = [text.partition("=") for text in texts]
    for (name, _, path), text in zip(pairs, texts, strict=True):
        if not name or not path:
            raise SpecError(f"Text must read NAME=FILE, not {shown(text)}")
    return {name: Path(path) for name, _, path in pairs}


def shard_of(text: str) -> tuple[int, int]:
    """Return (own number, in all) of a text such as `0/2`."""
    own, _, count = text.partition("/")
    if not (own.isdecimal() and count.isdecimal() and int(own) < int(count)):
        raise SpecError(f"Shard must read OWN/COUNT, such as 0/2, not {shown(text)}")
    return int(own), int(count)


def prepare(
    source: str, texts: Mapping[str, Path], evaluations: Mapping[str, Path], folder: Path, tell: Tell
) -> dict[str, Any]:
    """Write what a training machine is given into `folder`, in parts, and return their sizes.

    texts, evaluations: text files by name, `.xz` ones unpacked.
    """
    from hwsim.arch.isa import Format
    from lamforge.flow.sources import open_checkpoint
    from models.compress import rtn
    from models.distill.prepare import float_head
    from models.distill.prepare import prepare as prepare_parts

    checkpoint = open_checkpoint(source)
    tell(f"{checkpoint.config.name} opened; tokens and integers follow")
    paths = prepare_parts(
        checkpoint,
        {name: _text(path) for name, path in texts.items()},
        {name: _text(path) for name, path in evaluations.items()},
        folder / _PREPARED,
        head=rtn.quantize(float_head(checkpoint), Format.W8),
    )
    sizes = {str(path): path.stat().st_size for path in paths}
    return {"model": checkpoint.config.name, "parts": sizes, "bytes": sum(sizes.values())}


def sample(
    folder: Path, settings: Settings, *, device: str, minutes: float, shard: tuple[int, int], tell: Tell
) -> dict[str, Any]:
    """Let the teacher write text into `folder` until it is enough or time is up, and return how much there is."""
    from models.distill.machine import machine_of
    from models.distill.prepared import read_prepared
    from models.distill.sampling import sample as write_samples
    from models.distill.teacher import Teacher

    deadline = time.monotonic() + 60 * minutes
    machine = machine_of(device, is_eager=True)
    prepared = read_prepared(folder / _PREPARED)
    teacher = Teacher(prepared, machine.device, machine.dtype)
    tokens = write_samples(prepared, settings, folder / _SAMPLED, teacher, tell, deadline=deadline, shard=shard)
    return {"tokens": tokens, "device": machine.name}


def probe(
    folder: Path,
    settings: Settings,
    *,
    device: str,
    layers: int,
    tell: Tell,
    is_eager: bool = False,
    attention: str | None = None,
) -> dict[str, Any]:
    """Try a machine on a random teacher of SmolLM2-135M's width with so many layers, and return speeds and agreements."""
    from models.config import ModelConfig
    from models.distill.machine import machine_of
    from models.distill.probe import probe as try_machine

    config = ModelConfig(
        name="probe",
        hidden=576,
        layers=layers,
        heads=9,
        kv_heads=3,
        head_dim=64,
        ffn=1536,
        vocab=49152,
        norm_eps=1e-5,
        rope_base=1e5,
        tied_head=True,
        max_positions=8192,
    )
    return try_machine(config, settings, machine_of(device, is_eager=is_eager, attention=attention), folder, tell)


def train(
    folder: Path,
    output: Path,
    settings: Settings,
    *,
    device: str,
    minutes: float,
    tell: Tell,
    start: str | None = None,
    is_eager: bool = False,
    attention: str | None = None,
    fit_minutes: float | None = None,
    is_fit_only: bool = False,
    max_windows: int | None = None,
) -> dict[str, Any]:
    """Train in `folder` until all steps are done or time is up; write the student as it then is into `output`.

    minutes: from the call on, compilation included; evaluation comes after them, once all steps are done.
    start: a shipped training or the folder of a result, which the student begins as.
    fit_minutes: sets the steps of a training that has not begun to what fits into so many minutes of steps.
    is_fit_only: says these steps and does no more, for several trainings that are to have as many.

    Started by `torchrun` in several processes, these train one student; all but the first return nothing.
    """
    from models.distill import shipped
    from models.distill.machine import machine_of
    from models.distill.prepared import read_prepared
    from models.distill.result import read_result
    from models.distill.sampling import read_samples
    from models.distill.state import stated_settings
    from models.distill.team import join_team
    from models.distill.training import STATE, Training

    deadline = time.monotonic() + 60 * minutes
    team = join_team(device)
    tell = tell if team.is_first else _nothing
    machine = machine_of(device, is_eager=is_eager, attention=attention, team=team)
    begun = None if start is None else read_result(shipped.locate(start))
    state = folder / settings.format / STATE
    if fit_minutes is not None and state.is_file():
        settings = dataclasses.replace(settings, steps=stated_settings(state).steps)
    prepared = read_prepared(folder / _PREPARED)
    samples = read_samples(folder / _SAMPLED)
    tell(f"{prepared.config.name} to {settings.format} on {machine.name}, {sum(map(len, samples.values()))} sampled tokens")
    training = Training(prepared, samples, settings, machine, tell, start=begun)
    if fit_minutes is not None and not state.is_file():
        training.fit(fit_minutes)
    if is_fit_only:
        return {"device": machine.name, "steps": training.document()["settings"]["steps"]}
    training.open(state)
    is_done = training.run(state, deadline=deadline)
    report = training.finish(output, is_measured=is_done, max_windows=max_windows)
    if not team.is_first:
        return {}
    with whole_file(output / _REPORT) as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report | {"is_done": is_done}


def export(source: str, result: Path, output: Path, tell: Tell) -> dict[str, Any]:
    """Write the compressed model of a training's result to `output` and return what it is.

    Raises:
        SpecError: the checkpoint is not the one that was the teacher.
    """
    from lamforge.flow.compress import compress, model_document
    from lamforge.flow.sources import open_checkpoint
    from models.attention import LambdaShape
    from models.compress import Recipe, Step
    from models.distill.result import read_result
    from models.matrices import HEAD

    checkpoint, settings = open_checkpoint(source), read_result(result).settings
    recipe = Recipe(
        name=f"{settings.format}a8kv4-distilled",
        steps=(
            Step.from_document({"method": "distill", "format": settings.format, "result": str(result)}),
            Step.from_document({"method": "rtn", "format": "w8", "at": HEAD}),
        ),
        pattern=LambdaShape(sinks=settings.sinks, window=settings.window),
    )
    document = model_document(compress(checkpoint, recipe, output), output)
    tell(f"step {document['training']['steps']} of {settings.steps} written to {output}")
    return document | {"folder": str(output)}


def merge(first: str, second: Path, output: Path, *, from_layer: int, tell: Tell) -> dict[str, Any]:
    """Write the result that has the layers of `first` below a layer, and from there on those of `second`, into `output`.

    first: a shipped training or the folder of a result, which the second began as.

    Raises:
        SpecError: the second did not begin as the first, or one of them is left without layers.
    """
    from models.distill import shipped
    from models.distill.merging import merge as merge_results
    from models.distill.result import read_result

    paths = merge_results(shipped.locate(first), second, output, from_layer=from_layer)
    report = read_result(output).report
    with whole_file(output / _REPORT) as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    tell(f"layers 0 to {from_layer - 1} of {first}, the others of {second}")
    return {"parts": {str(path): path.stat().st_size for path in paths}, "folder": str(output)}


def stage_text(document: Mapping[str, Any]) -> str:
    """Return what a stage did as lines of name and value."""
    names = ("model", "name", "folder", "device", "bytes", "tokens", "steps", "trained_s", "is_done", "fingerprint")
    lines = [f"{name}: {document[name]}" for name in names if name in document]
    lines += [f"{path}: {size} bytes" for path, size in document.get("parts", {}).items()]
    trained = document.get("training", document)
    for text, found in trained.get("perplexities", {}).items():
        lines.append(f"{text}: {found['student']['perplexity']:.3f}, {found['ratio']:.3f} times the teacher's")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `probe`, `sample` or `train` and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lamforge.flow.distill")
    parser.add_argument("stage", choices=("probe", "sample", "train"))
    parser.add_argument("--work", type=Path, default=Path("build/distill"))
    parser.add_argument("--output", "-o", type=Path)
    # Not --start, which torchrun would take for its own --start-method.
    parser.add_argument("--from", dest="start", metavar="RESULT", help="shipped training, or folder, that train begins as")
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--fit-minutes", type=float)
    parser.add_argument("--fit-only", action="store_true")
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--attention")
    parser.add_argument("--windows", type=int)
    parser.add_argument("--layers", type=int, default=4, help="of probe")
    given = parser.parse_args(arguments)
    began = time.monotonic()

    def tell(sentence: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:7.1f} s] {sentence}\n")
        sys.stderr.flush()

    try:
        settings = settings_of(given.set, given.settings)
        if given.stage == "probe":
            document = probe(
                given.work,
                settings,
                device=given.device,
                layers=given.layers,
                tell=tell,
                is_eager=given.eager,
                attention=given.attention,
            )
        elif given.stage == "sample":
            document = sample(
                given.work, settings, device=given.device, minutes=given.minutes, shard=shard_of(given.shard), tell=tell
            )
        else:
            document = train(
                given.work,
                given.output or given.work / settings.format / "result",
                settings,
                device=given.device,
                minutes=given.minutes,
                tell=tell,
                start=given.start,
                is_eager=given.eager,
                attention=given.attention,
                fit_minutes=given.fit_minutes,
                is_fit_only=given.fit_only,
                max_windows=given.windows,
            )
    except LamforgeError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    if document:
        sys.stdout.write((json.dumps(document, indent=1) if given.stage == "probe" else stage_text(document)) + "\n")
    return 0


def _nothing(sentence: str) -> None:
    """Say nothing: the first process of a team speaks."""


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (lzma.decompress(content) if path.suffix == ".xz" else content).decode("utf-8")
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise SpecError(f"Text {path.name} must be a readable UTF-8 file, but: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
