"""`lamforge distill`: teaches a float model to be an integer one, in stages that may run on different machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from hwsim.errors import SpecError, shown
from lamforge.bare import Stamped, settings_of
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, subcommand
from reports.documents.plain import plain
from reports.text.values import values_text

__all__ = ["app"]

app = Typer(
    name="distill",
    short_help="Train a model in the engine's own form, stage by stage.",
    help="Train a model in the engine's own form: 2-bit weights, 2:4, 8-bit activations, 4-bit cache, Λ attention."
    " The stages follow one another: prepare, sample, train (and merge), export. `python -m lamforge.bare` runs probe, sample"
    " and train with PyTorch and NumPy alone.",
)

CheckpointArgument = Annotated[str, Argument(metavar="CHECKPOINT", help="The teacher.", show_default=False)]
FolderOption = Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="Folder to write into.", show_default=False)]
WorkOption = Annotated[Path, Option("--work", metavar="FOLDER", help="Where the stages find each other's files.")]
SettingsOption = Annotated[Path | None, Option("--settings", metavar="FILE", help="Settings, a JSON file.", show_default=False)]
ChangesOption = Annotated[
    list[str] | None, Option("--set", metavar="NAME=VALUE", help="Change a setting: format=w2.", show_default=False)
]
DeviceOption = Annotated[str, Option("--device", help="cuda or cpu.")]
MinutesOption = Annotated[float, Option("--minutes", help="Time after which to stop; another call goes on.")]
EagerOption = Annotated[bool, Option("--eager", help="Compile nothing.")]
KernelOption = Annotated[str | None, Option("--kernel", help="Of attention: flex or masked.", show_default="flex where compiled")]


@subcommand(app)
def prepare(
    checkpoint: CheckpointArgument,
    texts: Annotated[
        list[str], Option("--text", metavar="NAME=FILE", help="Text to train on: public-domain and wikipedia.", show_default=False)
    ],
    evaluations: Annotated[
        list[str] | None, Option("--evaluation", metavar="NAME=FILE", help="Text to predict after training.", show_default=False)
    ] = None,
    work: WorkOption = Path("build/distill"),
    tokenizer: options.Tokenizer = None,
) -> Answer:
    """Pack the teacher and its texts into files small enough to carry to a machine with a GPU.

    Example:

        lamforge distill prepare smollm2-135m --text public-domain=pd.txt --text wikipedia=wp.txt --evaluation held=held.txt
    """
    from lamforge.flow.distill.prepare import PrepareRequest, run

    request = PrepareRequest(checkpoint, texts=_paths(texts), evaluations=_paths(evaluations or ()), work=work, tokenizer=tokenizer)
    return answer(run(request, Stamped()), values_text, plain)


@subcommand(app)
def probe(
    work: WorkOption = Path("build/distill"),
    settings: SettingsOption = None,
    changes: ChangesOption = None,
    device: DeviceOption = "cuda",
    layers: Annotated[int, Option(help="Layers of the random teacher.")] = 4,
    is_eager: EagerOption = False,
    kernel: KernelOption = None,
) -> Answer:
    """Try a machine on a random teacher: does all that is compiled run there, and does it agree with plain code?

    Example:

        lamforge distill probe --layers 2
    """
    from lamforge.flow.distill.probe import ProbeRequest, run

    request = ProbeRequest(
        work=work, settings=settings_of(changes or (), settings), device=device, layers=layers, is_eager=is_eager, kernel=kernel
    )
    return answer(run(request, Stamped()), values_text, plain)


@subcommand(app)
def sample(
    work: WorkOption = Path("build/distill"),
    settings: SettingsOption = None,
    changes: ChangesOption = None,
    device: DeviceOption = "cuda",
    minutes: MinutesOption = 9.0,
    shard: Annotated[tuple[int, int], Option(metavar="OWN COUNT", help="Which batches this process samples.")] = (0, 1),
) -> Answer:
    """Let the teacher write text to train on.

    Examples:

        lamforge distill sample --minutes 4

        CUDA_VISIBLE_DEVICES=1 lamforge distill sample --shard 1 2
    """
    from lamforge.flow.distill.sample import SampleRequest, run

    chosen = settings_of(changes or (), settings)
    request = SampleRequest(work=work, settings=chosen, device=device, minutes=minutes, shard=shard)
    return answer(run(request, Stamped()), values_text, plain)


@subcommand(app)
def train(
    work: WorkOption = Path("build/distill"),
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FOLDER", help="Folder of the result.", show_default="below --work")
    ] = None,
    from_result: Annotated[
        str | None, Option("--from", metavar="RESULT", help="Shipped training, or folder, to begin as.", show_default="the teacher")
    ] = None,
    settings: SettingsOption = None,
    changes: ChangesOption = None,
    device: DeviceOption = "cuda",
    minutes: MinutesOption = 9.0,
    fit_minutes: Annotated[
        float | None, Option(help="Choose the steps that fit into so many minutes of training in all.", show_default=False)
    ] = None,
    is_fit_only: Annotated[bool, Option("--fit-only", help="Say these steps and train nothing.")] = False,
    is_eager: EagerOption = False,
    kernel: KernelOption = None,
    windows: Annotated[int | None, Option(help="Windows to evaluate of each text.", show_default="all")] = None,
) -> Answer | None:
    """Teach the student, and go on where it was stopped; the result is written whenever it stops.

    Examples:

        lamforge distill train --minutes 9 --fit-minutes 14 -o build/distill/result

        lamforge distill train --from build/distill/result --set mask_share=0 --set block_share=0 -o build/distill/second
    """
    from lamforge.flow.distill.train import TrainRequest, run
    from reports.documents.plain import lesson_document
    from reports.text.model import lesson_text

    request = TrainRequest(
        work=work,
        output=output,
        from_result=from_result,
        settings=settings_of(changes or (), settings),
        device=device,
        minutes=minutes,
        fit_minutes=fit_minutes,
        is_fit_only=is_fit_only,
        is_eager=is_eager,
        kernel=kernel,
        max_windows=windows,
    )
    found = run(request, Stamped())
    return answer(found, lesson_text, lesson_document) if found.is_first else None


@subcommand(app)
def merge(
    first: Annotated[str, Option("--from", metavar="RESULT", help="Shipped training, or folder.", show_default=False)],
    second: Annotated[Path, Option("--result", metavar="FOLDER", help="Training that went on from it.", show_default=False)],
    layer: Annotated[int, Option(help="The first layer that is the second training's.", show_default=False)],
    output: FolderOption,
) -> Answer:
    """Take the first layers of one training and the others of one that went on from it.

    Example:

        lamforge distill merge --from build/distill/first --result build/distill/second --layer 15 -o build/distill/result
    """
    from lamforge.flow.distill.merge import MergeRequest, run

    request = MergeRequest(first=first, second=second, output=output, from_layer=layer)
    return answer(run(request, Stamped()), values_text, plain)


@subcommand(app)
def export(
    checkpoint: CheckpointArgument,
    result: Annotated[Path, Option(metavar="FOLDER", help="What train or merge wrote.", show_default=False)],
    output: FolderOption,
    tokenizer: options.Tokenizer = None,
) -> Answer:
    """Make a compressed model of a result, with nothing rounded again on the way.

    Example:

        lamforge distill export smollm2-135m --result build/distill/result -o build/model
    """
    from lamforge.flow.distill.export import ExportRequest, run
    from reports.documents.model import distilled_document
    from reports.text.model import distilled_text

    request = ExportRequest(checkpoint, result=result, output=output, tokenizer=tokenizer)
    return answer(run(request, Stamped()), distilled_text, distilled_document)


def _paths(texts: Sequence[str]) -> dict[str, Path]:
    """Return paths by name of texts such as `wikipedia=some.txt`; raise SpecError for another text."""
    pairs = [text.partition("=") for text in texts]
    for (name, _, path), text in zip(pairs, texts, strict=True):
        if not name or not path:
            raise SpecError(f"Text must be NAME=FILE, not {shown(text)}")
    return {name: Path(path) for name, _, path in pairs}
