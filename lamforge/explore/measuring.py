"""Measures the accuracies that a study lacks, row by row: perplexity and pass keys of models under each attention of its grid."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import itertools
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path

from hwsim.errors import SpecError, shown
from hwsim.whole_files import write_text
from lamforge.explore.accuracy import FILES, Accuracies, Key, Row, Scored, accuracies_text, load_accuracies
from lamforge.explore.space import Space
from lamforge.explore.store import digest_of
from lamforge.explore.study import Study, load_study
from lamforge.flow.accuracy import CONFIDENCE, Text
from lamforge.flow.compress import chosen_recipe
from lamforge.flow.sources import open_checkpoint, open_compressed
from lamforge.flow.verb import SILENT, Listener
from models.attention import LambdaShape
from models.compressed import CompressedModel, make
from models.evaluation import evaluation_text, windows
from models.evaluation.passkey import DEPTHS, passkey_tasks
from models.evaluation.perplexity import Perplexity, exponential, perplexity, ratio_error, width
from models.evaluation.reading import Integers
from models.evaluation.retrieval import Task, answer
from models.integer import IntegerReference
from models.integer.threads import each
from models.matrices import HEAD
from models.zoo import shape

__all__ = ["MeasureRequest", "Measured", "interval", "run", "scored"]

_SOURCES = (
    *("hwsim/arch", "models/attention", "models/integer", "models/evaluation"),
    *("models/tokenizer.py", "models/tokenizer_files.py", "models/tokenizer_classes.py", "models/chat_renderer.py"),
)
"""What decides the figures of a model that is there."""
_SIZES = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
"""What a network's models agree in."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """A study whose accuracies are measured.

    Attributes:
        study: name of a shipped study, path of a YAML file, or a study; it names its table.
        folder: where compressed models of the table lie, each by its name; those that are missing are made there.
        table: file to write the table to; one that is there is gone on with, so that what it has is not measured again. None takes
            the study's own.
    """

    study: str | Study = dataclasses.field(kw_only=False)
    folder: Path = Path("build/models")
    table: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """A table, its file, how many of its rows were measured now, and what no model of it can give."""

    table: Accuracies
    file: Path
    new_rows: int
    unmeasured: tuple[Key, ...]

    @property
    def intervals(self) -> Mapping[Key, tuple[float, float]]:
        """Of each row, the ends of the confidence interval of its perplexity."""
        return {row.key: interval(scored(row, self.table)) for row in self.table.rows}


def scored(row: Row, table: Accuracies) -> Perplexity:
    """Return what a row says of the windows of the text."""
    predicted = table.text.window - 1
    return Perplexity(sums=tuple(each * predicted for each in row.nll), counts=(predicted,) * len(row.nll))


def interval(found: Perplexity) -> tuple[float, float]:
    """Return the ends of the confidence interval of a perplexity over texts like this one: Student's t, windows being the units."""
    half = width(CONFIDENCE, found.windows - 1) * ratio_error(found.sums, found.counts)
    return exponential(found.nll - half), exponential(found.nll + half)


def run(request: MeasureRequest, listener: Listener = SILENT) -> Measured:
    """Measure what the grid of a study asks for and its table does not have; the table is written anew after every row.

    Raises:
        SpecError: the study or its table is wrong, or the text is another one or too short.
        CheckpointError: a model is not there.
    """
    study = load_study(request.study) if isinstance(request.study, str) else request.study
    if study.accuracy is None:
        raise SpecError("Study accuracy must be given to be measured, not left out")
    file = _file_of(study.accuracy) if request.table is None else request.table
    table = load_accuracies(study.accuracy if request.table is None or not request.table.exists() else str(request.table))
    missing = _missing(Space(study), table)
    if not missing:
        return Measured(table=table, file=file, new_rows=0, unmeasured=())
    text = evaluation_text() if table.text.file is None else _read(Path(table.text.file))
    digest = hashlib.sha256(text.encode()).hexdigest()
    if table.text.sha256 not in (None, digest):
        raise SpecError(f"Text of accuracies must have the SHA-256 {table.text.sha256}, not {digest}")
    table = dataclasses.replace(table, text=dataclasses.replace(table.text, sha256=digest))
    comment = _comment(file if file.is_file() else _file_of(study.accuracy))
    # Refuses a place that cannot be written before anything is measured.
    write_text(file, accuracies_text(table, comment))
    before = len(table.rows)
    models = {model.name: _opened(model, request.folder, table.network, listener) for model in table.models}
    formats = {name: _formats(name, model) for name, model in models.items()}
    alike = [name for name in formats if [*formats.values()].count(formats[name]) > 1]
    if alike:
        raise SpecError(f"Models of accuracies must have different formats, not the same as {' and '.join(map(shown, alike))} have")
    unmeasured = [key for key in missing if key[:3] not in formats.values()]
    wanted = [(name, key) for key in missing for name in models if formats[name] == key[:3]]
    scorers = {name: _Scorer(models[name], text, table) for name in models}
    for done, (name, key) in enumerate(wanted):
        listener.progress("rows", done / len(wanted), f"{name}, {key[3]}+{key[4]}")
        rows = (*table.rows, scorers[name].row(name, key))
        table = dataclasses.replace(table, rows=tuple(sorted(rows, key=lambda row: ([*models].index(row.model), row.key[3:]))))
        write_text(file, accuracies_text(table, comment))
    return Measured(table=table, file=file, new_rows=len(table.rows) - before, unmeasured=tuple(unmeasured))


class _Scorer:
    """Scores one model on the text and the prompts of a table; what reads the same keys is read once."""

    def __init__(self, compressed: CompressedModel, text: str, table: Accuracies):
        tokenizer = compressed.present_tokenizer
        self._fingerprint, self._integers, self._table = compressed.model.fingerprint, IntegerReference(compressed.model), table
        self._tokens = tokenizer.encode_whole(text)
        length, count = table.text.window, table.text.windows
        found = len(windows(self._tokens, length=length, max_windows=count))
        if found < count:
            raise SpecError(f"Text of accuracies must have {count} windows of {length} tokens, not {found}")
        keys = table.pass_keys
        self._tasks: dict[int, list[Task]] = {
            length: passkey_tasks(tokenizer, text, lengths=(length,), depths=DEPTHS, trials=keys.trials, seed=keys.seed)
            for length in keys.lengths
        }
        self._nll: dict[LambdaShape, tuple[float, ...]] = {}
        self._found: dict[tuple[LambdaShape, int], int] = {}

    def row(self, name: str, key: Key) -> Row:
        """Return the row of a model with a name for values of PATHS."""
        layers, head, cache, sinks, window = key
        return Row(
            model=name,
            layers=layers,
            head=head,
            cache=cache,
            sinks=sinks,
            window=window,
            nll=self._nll_of(sinks, window),
            found=tuple(self._found_of(sinks, window, length) for length in self._tasks),
            fingerprint=self._fingerprint[:16],
            code=digest_of(_SOURCES)[:16],
            version=metadata.version("lamforge"),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    def _nll_of(self, sinks: int, window: int) -> tuple[float, ...]:
        text = self._table.text
        pattern = _pattern(sinks, window, text.window)
        if pattern not in self._nll:
            found = perplexity(Integers(self._integers, pattern), self._tokens, length=text.window, max_windows=text.windows)
            self._nll[pattern] = tuple(round(total / count, 6) for total, count in zip(found.sums, found.counts, strict=True))
        return self._nll[pattern]

    def _found_of(self, sinks: int, window: int, length: int) -> int:
        tasks = self._tasks[length]
        pattern = _pattern(sinks, window, max(len(task.prompt) + len(task.answer) for task in tasks))
        if (pattern, length) not in self._found:
            answers = each(functools.partial(answer, Integers(self._integers, pattern)), tasks)
            self._found[pattern, length] = sum(one.is_right for one in answers)
        return self._found[pattern, length]


def _pattern(sinks: int, window: int, length: int) -> LambdaShape:
    """Return attention that gives a text of `length` tokens the same bits; the same one wherever the whole text is kept."""
    return LambdaShape(sinks=0, window=length) if sinks + window >= length else LambdaShape(sinks=sinks, window=window)


def _file_of(source: str) -> Path:
    """Return where a table lies that a study names; raise SpecError where it cannot be written."""
    if source.endswith((".yaml", ".yml")):
        return Path(source)
    return Path(str(resources.files(FILES.package))) / FILES.folder / f"{source}.yaml"


def _read(file: Path) -> str:
    return Text.read(file, window=2, windows=None).content


def _comment(file: Path) -> str:
    """Return the lines with `#` that a file begins with, which are kept."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
    return "".join(itertools.takewhile(lambda line: line.startswith("#"), lines))


def _missing(space: Space, table: Accuracies) -> list[Key]:
    """Return what the points of a grid ask for and a table does not have, in the order of the grid."""
    found: dict[Key, int] = {}
    for points in space.blocks():
        if points.size:
            _, lacking = space.measured(points, space.columns(points), table)
            found |= {key: int(lacks[0]) for key, lacks in lacking.items() if key not in found}
    return sorted(found, key=lambda key: found[key])


def _opened(model: Scored, folder: Path, network: str, listener: Listener) -> CompressedModel:
    """Return a model of a table, compressed where it is not yet."""
    place = folder / model.name if model.folder is None else Path(model.folder)
    if model.checkpoint is not None and model.recipe is not None and not place.exists():
        listener.say(f"Compressing {model.checkpoint} by {model.recipe} into {place}")
        place.parent.mkdir(parents=True, exist_ok=True)
        progress = listener.part(f"compress {model.name}")
        make(open_checkpoint(model.checkpoint), chosen_recipe(model.recipe), place, progress=lambda done, of: progress(done / of))
    compressed = open_compressed(place)
    config = dataclasses.replace(compressed.model.config, name="model", qkv_bias=False)
    wanted = dataclasses.replace(shape(network), name="model", qkv_bias=False)
    different = [name for name in _SIZES if getattr(config, name) != getattr(wanted, name)]
    if different:
        raise SpecError(
            f"Model {shown(model.name)} must be of the network {network}, from which it differs in {', '.join(different)}"
        )
    return compressed


def _formats(name: str, compressed: CompressedModel) -> tuple[str, str, str]:
    """Return the formats of a model's layers, head and cache; raise SpecError where its layers have several."""
    model = compressed.model
    layers = {matrix.format.name.lower() for part, matrix in model.matrices.items() if part != HEAD}
    if len(layers) != 1:
        raise SpecError(f"Model {shown(name)} must have one weight format in all layers, not {' and '.join(sorted(layers))}")
    return layers.pop(), model.matrices[HEAD].format.name.lower(), model.cache.name.lower()
