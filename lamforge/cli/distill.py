"""`lamforge distill`: teaches a float model to be an integer one, in stages that may run on different machines."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from hwsim.errors import SpecError
from lamforge.cli.console import JsonOption, emit, status

__all__ = ["Stage", "distill"]

Value = TypeVar("Value")


class Stage(StrEnum):
    """What can be done."""

    prepare = "prepare"
    sample = "sample"
    train = "train"
    merge = "merge"
    export = "export"


def distill(
    stage: Annotated[Stage, typer.Argument(help="prepare, sample, train, merge or export.", show_default=False)],
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="CHECKPOINT", help="The teacher, for prepare and export.", show_default=False)
    ] = None,
    work: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the stages find each other's files.")] = Path("build/distill"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The result of train, or the model of export.", show_default=False)
    ] = None,
    result: Annotated[Path | None, typer.Option(metavar="FOLDER", help="What train wrote, for export.", show_default=False)] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="NAME=FILE", help="Text to train on: public-domain and wikipedia.", show_default=False),
    ] = None,
    evaluations: Annotated[
        list[str] | None,
        typer.Option("--evaluation", metavar="NAME=FILE", help="Text to predict after training.", show_default=False),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="RESULT", help="Shipped training, or folder, to train from or to merge.", show_default="the teacher"
        ),
    ] = None,
    layer: Annotated[
        int | None, typer.Option(help="Of merge: the first layer that is the second training's.", show_default=False)
    ] = None,
    settings: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings, a JSON file.", show_default=False)] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting: format=w2.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cuda or cpu.")] = "cuda",
    minutes: Annotated[float, typer.Option(help="Of sample and train: time after which to stop; another call goes on.")] = 9.0,
    fit_minutes: Annotated[
        float | None, typer.Option(help="Choose the steps that fit into so many minutes of training in all.", show_default=False)
    ] = None,
    is_fit_only: Annotated[bool, typer.Option("--fit-only", help="Say these steps and train nothing.")] = False,
    shard: Annotated[str, typer.Option(metavar="OWN/COUNT", help="Which batches this process samples.")] = "0/1",
    is_eager: Annotated[bool, typer.Option("--eager", help="Compile nothing.")] = False,
    attention: Annotated[str | None, typer.Option(help="flex or masked.", show_default="flex where compiled")] = None,
    windows: Annotated[int | None, typer.Option(help="Windows to evaluate of each text.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model in the engine's own form: 2-bit weights, 2:4, 8-bit activations, 4-bit cache, Λ attention.

    prepare packs the teacher and its texts; sample lets the teacher write more text; train teaches, and goes on where it
    was stopped, or from a result; merge takes the first layers of one training and the others of one that went on from it; export
    makes the compressed model. `python -m lamforge.flow.distill` samples and trains with PyTorch and
    NumPy alone.

    Examples:

        lamforge distill prepare smollm2-135m --text public-domain=pd.txt --text wikipedia=wp.txt --evaluation held=held.txt

        lamforge distill sample --minutes 4

        lamforge distill train --minutes 9 -o build/distill/result

        lamforge distill export smollm2-135m --result build/distill/result -o build/model
    """
    from lamforge.flow import distill as stages

    began = time.monotonic()

    def tell(sentence: str) -> None:
        status(f"[{time.monotonic() - began:7.1f} s] {sentence}")

    document: dict[str, Any]
    if stage == Stage.prepare:
        source = _given(checkpoint, "prepare", "CHECKPOINT")
        named = stages.named_paths(texts or ())
        document = stages.prepare(source, named, stages.named_paths(evaluations or ()), work, tell)
    elif stage == Stage.sample:
        chosen = stages.settings_of(changes or (), settings)
        document = stages.sample(work, chosen, device=device, minutes=minutes, shard=stages.shard_of(shard), tell=tell)
    elif stage == Stage.train:
        chosen = stages.settings_of(changes or (), settings)
        document = stages.train(
            work,
            output or work / chosen.format / "result",
            chosen,
            device=device,
            minutes=minutes,
            tell=tell,
            start=start,
            is_eager=is_eager,
            attention=attention,
            fit_minutes=fit_minutes,
            is_fit_only=is_fit_only,
            max_windows=windows,
        )
    elif stage == Stage.merge:
        document = stages.merge(
            _given(start, "merge", "--from"),
            _given(result, "merge", "--result"),
            _given(output, "merge", "--output"),
            from_layer=_given(layer, "merge", "--layer"),
            tell=tell,
        )
    else:
        source = _given(checkpoint, "export", "CHECKPOINT")
        folder = _given(output, "export", "--output")
        document = stages.export(source, _given(result, "export", "--result"), folder, tell)
    emit(stages.stage_text(document), document, as_json=as_json)


def _given(value: Value | None, stage: str, name: str) -> Value:
    if value is None:
        raise SpecError(f"Stage {stage} must be given {name}, which is missing")
    return value
