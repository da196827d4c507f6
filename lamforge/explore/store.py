"""The folder of a study's results: Parquet parts that are written whole, one row a point and fidelity, and what they belong to."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from hwsim.errors import SpecError, shown
from hwsim.whole_files import LOCK, only_writer, whole_file, write_text
from lamforge.explore.space import Space
from lamforge.explore.study_text import study_text

__all__ = ["CLOSED", "ESTIMATE", "EXACT", "ORIGIN", "STUDY", "Store", "code_digest", "digest_of", "is_study_folder"]

CLOSED, EXACT, ESTIMATE = "closed", "exact", "estimate"
"""Fidelities: of engines the first two, of placements the last."""
ORIGIN, STUDY = "study.json", "study.yaml"
"""Files that say what results belong to, and what the study is."""
_PARTS = "parts"
_ROOT = Path(__file__).parents[2]
_SOURCES = (
    "hwsim/arch",
    "hwsim/machine",
    "hwsim/memory",
    "hwsim/offload",
    "hwsim/specs/boards",
    "hwsim/specs/devices",
    "hwsim/specs/memories",
    "hwsim/specs/offload",
    "compiler",
    "rtl/regions.py",
    "models/config.py",
    "models/families.py",
    "models/zoo",
    "lamforge/flow/offload",
    "lamforge/flow/resources",
    "lamforge/flow/programs.py",
    "lamforge/flow/simulate.py",
    "lamforge/flow/target.py",
    "lamforge/explore",
)
"""What decides the rows of a study."""


def is_study_folder(folder: Path) -> bool:
    """Return whether a folder holds results of an exploration."""
    return (folder / ORIGIN).is_file()


def code_digest() -> str:
    """Return the hexadecimal SHA-256 of the sources and data that decide results."""
    return digest_of(_SOURCES)


def digest_of(sources: Sequence[str]) -> str:
    """Return the hexadecimal SHA-256 of files, and of the sources and data in folders; studies and accuracies are left out."""
    found = hashlib.sha256()
    for source in sources:
        path = _ROOT / source
        files = (
            [path]
            if path.is_file()
            else sorted(each for each in path.rglob("*") if each.suffix in (".py", ".yaml", ".json", ".csv"))
        )
        for file in files:
            if not {"studies", "accuracies"} & {*file.parts}:
                found.update(f"{file.relative_to(_ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, made where it is missing; raise SpecError where it is not one to explore into."""
    try:
        found = [each.name for each in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise SpecError(
            f"Output must be a folder that can be written, not {shown(str(folder))} ({error.strerror or error})"
        ) from None
    others = [name for name in found if name != LOCK and not name.startswith(f".{ORIGIN}.")]
    if others and not (folder / ORIGIN).is_file():
        raise SpecError(f"Output must be a new or empty folder, or one with results of the study, not {shown(str(folder))}")
    with only_writer(folder):
        yield


@dataclasses.dataclass(frozen=True, kw_only=True)
class Store:
    """A folder that holds the rows of one study by one version of the code; made by `opened`.

    Attributes:
        folder: where it lies.
        code: digest of the code.
    """

    folder: Path
    code: str

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, space: Space) -> Iterator[Store]:
        """Yield the store in a folder, made anew or gone on with; nobody else has it meanwhile.

        Raises:
            SpecError: it belongs to another study or another version, another process has it, or it cannot be written.
        """
        code, origin = code_digest(), folder / ORIGIN
        with _held(folder):
            left_over = (f".{ORIGIN}.*", f".{STUDY}.*", ".*.csv.*", f"{_PARTS}/.*.parquet.*")
            for left in (path for pattern in left_over for path in folder.glob(pattern)):
                # What was being written when a process was killed.
                shutil.rmtree(left, ignore_errors=True)
            if origin.is_file():
                cls._check(origin, space, code)
            else:
                write_text(origin, json.dumps({"name": space.study.name, "study": space.digest, "code": code}, indent=1) + "\n")
            # The name, and what is simulated, may be others than those of the run before.
            write_text(folder / STUDY, study_text(space.study))
            yield cls(folder=folder, code=code)

    @staticmethod
    def _check(origin: Path, space: Space, code: str) -> None:
        try:
            found = json.loads(origin.read_text())
            name, digest, version = (str(found[key]) for key in ("name", "study", "code"))
        except (OSError, ValueError, KeyError, TypeError):
            raise SpecError(f"Output must hold {ORIGIN} as explore writes it, not what is in {shown(str(origin))}") from None
        kept = "what was computed is kept: choose another folder"
        if digest != space.digest:
            raise SpecError(
                f"Output must be of the study as its file is now, not of {name} as it was when begun in"
                f" {shown(str(origin.parent))} ({kept})"
            )
        if version != code:
            raise SpecError(
                f"Output must be of this version of Lamforge, not of another that began it in {shown(str(origin.parent))} ({kept})"
            )

    def write(self, fidelity: str, number: int, rows: pa.Table) -> None:
        """Write rows as one part, whole or not at all; raise SpecError where that is refused, such as by a full disk."""
        text = io.BytesIO()
        pa.parquet.write_table(rows, text, compression="zstd")
        with whole_file(self._part(fidelity, number)) as part:
            part.write_bytes(text.getvalue())

    def read(self, fidelity: str, number: int) -> pa.Table | None:
        """Return a part, or None where it is not there; raise SpecError where it is damaged."""
        path = self._part(fidelity, number)
        if not path.is_file():
            return None
        try:
            return pa.parquet.read_table(path)
        except (OSError, pa.ArrowException):
            raise SpecError(f"Part of a study must be Parquet as explore writes it, not {shown(str(path))}: remove it") from None

    def numbers(self, fidelity: str) -> list[int]:
        """Return the numbers of the parts there are, in order."""
        names = (path.name for path in (self.folder / _PARTS).glob(f"{fidelity}-*.parquet"))
        return sorted(int(name.removeprefix(f"{fidelity}-").removesuffix(".parquet")) for name in names)

    def parts(self, fidelity: str) -> Iterator[pa.Table]:
        """Yield the parts there are, in the order of their numbers; raise SpecError where one is damaged."""
        for number in self.numbers(fidelity):
            part = self.read(fidelity, number)
            if part is not None:
                yield part

    def table(self) -> pa.Table:
        """Return all rows, those of the closed form first, in the order of the points."""
        parts = [*self.parts(CLOSED), *self.parts(EXACT)]
        return pa.concat_tables(parts).sort_by([("fidelity", "ascending"), ("point", "ascending")])

    def write_csv(self, name: str, tables: Iterable[pa.Table]) -> None:
        """Write tables one after the other as CSV beside the parts, whole or not at all."""
        with whole_file(self.folder / name) as part, contextlib.ExitStack() as stack:
            writer: pa.csv.CSVWriter | None = None
            for rows in tables:
                if writer is None:
                    writer = stack.enter_context(pa.csv.CSVWriter(part, rows.schema))
                writer.write_table(rows)

    def _part(self, fidelity: str, number: int) -> Path:
        return self.folder / _PARTS / f"{fidelity}-{number:06}.parquet"
