"""How well a model predicts a text, what it finds again in long prompts, and in which layers its integers cost most."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwsim.errors import SpecError
from lamforge.flow.accuracy import Accuracy, Contestants, Text, accuracy
from lamforge.flow.provenance import Provenance, provenance
from lamforge.flow.sources import ModelSource
from lamforge.flow.verb import SILENT, Listener, verb
from models.evaluation import evaluation_text, windows
from models.evaluation.layers import LayerError, layer_errors
from models.evaluation.needles import needle_tasks
from models.evaluation.passkey import DEPTHS, passkey_tasks
from models.evaluation.retrieval import Answer, Task, answer
from models.evaluation.stream import Bucket, check_length, stream
from models.integer.threads import each, one_each

__all__ = ["EvaluateRequest", "Evaluation", "LayerError", "Retrieval", "Stream", "Trial", "evaluate", "run"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """A model to measure, and what to measure beside perplexity.

    Attributes:
        model: folder of a compressed model, one that is open, or a checkpoint as for compress.
        text: file with the text to predict; None takes the shipped one.
        window: tokens of a window; each starts from an empty context.
        windows: windows, evenly spaced over the text; None takes all.
        attention: attention pattern of a float model, such as `lambda:4+252`; None takes the one it was trained with.
        source: checkpoint that a compressed model was made from; None looks among the shipped ones.
        stream: tokens of one long text to read at a stretch; None leaves it out.
        passkey: lengths in tokens of prompts that hide a pass key; none leaves them out.
        needles: lengths in tokens of prompts that hide one of several like facts; none leaves them out.
        trials: prompts of each length and depth.
        seed: of the prompts.
        has_layers: whether the halves of layers are compared, on the first window of the text.
        tokenizer: folder of the tokenizer that a float model gets; None takes its own.
    """

    model: ModelSource = dataclasses.field(kw_only=False)
    text: str | Path | None = None
    window: int = 1024
    windows: int | None = None
    attention: str | None = None
    source: str | Path | None = None
    stream: int | None = None
    passkey: Sequence[int] = ()
    needles: Sequence[int] = ()
    trials: int = 2
    seed: int = 0
    has_layers: bool = False
    tokenizer: str | Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream:
    """Likelihood by position in one text of `tokens` tokens: the buckets of each model, by its name."""

    tokens: int
    buckets: Mapping[str, Sequence[Bucket]]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Positions start .. stop - 1 of each bucket; they are the same for every model."""
        return [(bucket.start, bucket.stop) for bucket in next(iter(self.buckets.values()))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """A task and what each model answered, by its name; `is_within`: whether the model's attention still reads the fact."""

    task: Task
    is_within: bool
    answers: Mapping[str, Answer]

    @property
    def depth(self) -> float:
        """Depth of the task, rounded to a twentieth so that neighbouring ones are one."""
        return round(self.task.depth * 20) / 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Answers to tasks of one kind.

    Attributes:
        per_place: tasks of each length and depth.
        seed: of the tasks.
        names: of the models.
        trials: every task with its answers.
    """

    per_place: int
    seed: int
    names: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def lengths(self) -> list[int]:
        """Lengths of the tasks, in tokens."""
        return sorted({trial.task.length for trial in self.trials})

    @property
    def depths(self) -> list[float]:
        """Depths of the tasks, each rounded as `Trial.depth` is."""
        return sorted({trial.depth for trial in self.trials})

    def chosen(self, *, is_within: bool | None = None, length: int | None = None, depth: float | None = None) -> list[Trial]:
        """Return the trials within or beyond what is read at once, of a length and a depth; None takes both, or all."""
        return [
            trial
            for trial in self.trials
            if is_within in (None, trial.is_within) and length in (None, trial.task.length) and depth in (None, trial.depth)
        ]

    def right(self, name: str, trials: Sequence[Trial]) -> int:
        """Return how many of some trials a model answered right, token for token."""
        return sum(trial.answers[name].is_right for trial in trials)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured of a model; what was not asked for is None.

    `saturated` is the share of the residual stream that saturated in integers, by the half of a layer after which it did.
    """

    accuracy: Accuracy
    stream: Stream | None
    passkey: Retrieval | None
    needles: Retrieval | None
    layers: tuple[LayerError, ...] | None
    saturated: Mapping[str, float]
    provenance: Provenance

    def worst_layers(self, count: int) -> list[LayerError]:
        """Return the halves of layers whose own error is largest, the worst first; none where they were not compared."""
        return sorted(self.layers or (), key=lambda entry: -entry.own)[:count]


def run(request: EvaluateRequest, listener: Listener = SILENT) -> Evaluation:
    """Measure perplexity on a text: of the float model dense, under the same attention, and in the engine's integers.

    All read the same windows, with the confidence interval of each paired difference.

    Raises:
        CheckpointError: there is no such model, or the source is another one.
        SpecError: the text is too short for what is asked, or the layers of a float model are asked for.
    """
    if request.text is None:
        text = Text(name="the shipped text", content=evaluation_text(), window=request.window, windows=request.windows)
    else:
        text = Text.read(Path(request.text), window=request.window, windows=request.windows)
    models = Contestants.of(request.model, attention=request.attention, float_source=request.source, tokenizer=request.tokenizer)
    tokenizer = models.tokenizer
    tokens = models.tokens(text.content)
    windows(tokens, length=text.window, max_windows=text.windows)
    # Everything that can be refused is, before the first of it is measured.
    if request.stream is not None:
        check_length(tokens, request.stream)
    if request.has_layers and (models.integers is None or models.reference is None):
        raise SpecError("Layers must be those of a compressed model with its source at hand to be compared, not of one model alone")
    passkeys = passkey_tasks(
        tokenizer, text.content, lengths=request.passkey, depths=DEPTHS, trials=request.trials, seed=request.seed
    )
    needles = needle_tasks(tokenizer, lengths=request.needles, trials=request.trials, seed=request.seed) if request.needles else []
    measured = accuracy(models, text, listener)
    streamed = None if request.stream is None else _streams(models, tokens, request.stream, listener)
    retrievals = [
        _retrieval(models, tasks, request, kind, listener) if tasks else None
        for kind, tasks in (("passkey", passkeys), ("hard-needle", needles))
    ]
    layers = None
    if request.has_layers and models.reference is not None and models.integers is not None:
        with one_each():
            first = tokens[: text.window]
            layers = tuple(layer_errors(models.reference, models.integers, first, listener.part("layers")))
    saturation = None if models.integers is None else models.integers.saturation
    if saturation is not None and saturation.sentence is not None:
        listener.say(saturation.sentence)
    return Evaluation(
        accuracy=measured,
        stream=streamed,
        passkey=retrievals[0],
        needles=retrievals[1],
        layers=layers,
        saturated={} if saturation is None else saturation.shares,
        provenance=provenance(),
    )


evaluate = verb("evaluate", EvaluateRequest, run)


def _streams(models: Contestants, tokens: Sequence[int], length: int, listener: Listener) -> Stream:
    def read(name: str) -> list[Bucket]:
        return stream(models.predictors[name], tokens, length=length, told=listener.part(f"stream, {name}"))

    names = [*models.predictors]
    return Stream(tokens=length, buckets=dict(zip(names, each(read, names), strict=True)))


def _retrieval(models: Contestants, tasks: Sequence[Task], request: EvaluateRequest, kind: str, listener: Listener) -> Retrieval:
    answers: dict[str, list[Answer]] = {}
    for name, predictor in models.predictors.items():

        def told(found: list[Answer], name: str = name) -> None:
            listener.progress(f"{kind}, {name}", len(found) / len(tasks))

        answers[name] = each(functools.partial(answer, predictor), tasks, told)
    trials = [
        Trial(task=task, is_within=task.is_within(models.pattern), answers=dict(zip(answers, found, strict=True)))
        for task, found in zip(tasks, zip(*answers.values(), strict=True), strict=True)
    ]
    return Retrieval(per_place=request.trials, seed=request.seed, names=tuple(answers), trials=tuple(trials))
