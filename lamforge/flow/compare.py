"""Two results of a verb as JSON documents set beside each other: what changed, by path, sorted by effect."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeGuard, cast

from hwsim.errors import SpecError, shown
from hwsim.plain import read_json

__all__ = ["HEADLINES", "MARK", "Change", "DocumentComparison", "Json", "Leaf", "Only", "Part", "compare_documents", "read_result"]

Leaf: TypeAlias = None | bool | int | float | str
Json: TypeAlias = "Leaf | list[Json] | dict[str, Json]"

MARK = "verb"
"""Name under which a document says which verb made it, such as `offload run`."""
HEADLINES = (
    *("is_equal", "fits", "mismatches", "cycle_difference"),
    *("token_per_s", "tokens_per_s", "decode_tokens_per_s", "perplexity", "cycles", "first_token_s", "step_s"),
    *("token_per_j", "token_per_joule", "joules_per_token", "card_j", "card_w", "chip_w", "price_usd", "usd_per_million_tokens"),
    *("over", "total", "bytes", "largest_error", "fraction_of_peak"),
)
"""Names of the figures that are asked for first, in this order; of those that are mappings, every entry."""
_MACHINE = {
    *("provenance", "versions", "created", "folder", "report", "tool", "wall_s", "memory_mb"),
    *("generate_s", "synthesis_s", "compile_s", "compress_s", "build_s", "simulator_s", "verilator_s", "trained_s"),
    *("simulator_cycles_per_s", "verilator_cycles_per_s", "closed_points_per_s", "exact_points_per_s", "kept_points"),
}
"""Names of what a run took, where it ran and what it wrote, which is no result; `around.name` is one in `around` alone."""
_MACHINE_OF: Mapping[str, set[str]] = {
    "demo": _MACHINE | {"seconds", "generation.prefill_s", "generation.step_s", "generation.token_per_s"},
    "generate": _MACHINE | {"prefill_s", "step_s", "token_per_s"},
    "gpu measure": {"provenance", "versions", "created"},
    "study bench": {"provenance", "versions", "created"},
}
"""The same of verbs that take other times, or whose results are times of the machine."""
_KEYS = (
    *("configuration", "constraint", "name", "case", "system", "set", "unit", "of", "to", "path", "method", "at"),
    *("memory", "position", "context", "length", "depth", "index", "before", "after"),
)
"""Names of entries that say which record of a list one is: of as few as tell all records of both lists apart, the first here."""
_MOST_KEYS = 3
_MOST_BYTES = 1 << 28
_ALIKE = 0.5
"""Share of names that two documents without a mark must have in common."""
_CLOSE = 1e-9
_DIGEST_LETTERS = 12
_HEX = frozenset("0123456789abcdef")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """A value that is another one in B than in A.

    Attributes:
        path: where it stands: names with points between, in brackets which record or place of a list.
        a, b: both values.
        whole: what the value is part of, where it is: the larger of the sums in A and B of parts that add up to a figure.
    """

    path: str
    a: Leaf
    b: Leaf
    whole: float | None = None

    @property
    def share(self) -> float | None:
        """By what share of A the value grows; None of texts and truths, and where A is 0."""
        numbers = _numbers(self.a, self.b)
        return None if numbers is None or not numbers[0] else (numbers[1] - numbers[0]) / abs(numbers[0])

    @property
    def share_of_whole(self) -> float | None:
        """By what share of its whole the value grows; None where it is no part of one."""
        numbers = _numbers(self.a, self.b)
        return None if numbers is None or not self.whole else (numbers[1] - numbers[0]) / self.whole

    @property
    def effect(self) -> float:
        """How much it matters, from 0 to 1: the difference in shares of the whole, else of the larger of both.

        Texts, truths, and numbers that were 0 or have another sign, change wholly. A digest only says that something else changed.
        """
        numbers = _numbers(self.a, self.b)
        if numbers is None:
            return 0.0 if _is_digest(self.a) and _is_digest(self.b) else 1.0
        most = self.whole or max(map(abs, numbers))
        share = abs(numbers[1] - numbers[0]) / most if math.isfinite(most) else 1.0
        return min(1.0, share) if math.isfinite(share) else 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Only:
    """What only one of both has: where it would stand, and how many values it is."""

    path: str
    values: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """Differences of one kind.

    Attributes:
        same: values that are the same in both.
        changes: values that are not, those of the largest effect first.
        only_a, only_b: what only one has, in its order.
    """

    same: int
    changes: tuple[Change, ...]
    only_a: tuple[Only, ...]
    only_b: tuple[Only, ...]

    @property
    def is_changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.changes or self.only_a or self.only_b)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DocumentComparison:
    """Two results of one verb, A and B.

    Attributes:
        a, b: what they are called, such as their files.
        verb: that made them; None where they do not say it.
        results: what they found.
        machine: what they took, where, and with which versions.
    """

    a: str
    b: str
    verb: str | None
    results: Part
    machine: Part

    @property
    def is_changed(self) -> bool:
        """Whether a result differs."""
        return self.results.is_changed

    @property
    def headline(self) -> Change | None:
        """The change to name first: of the figures that are asked for first, else of the largest effect; None without changes."""
        return min(self.results.changes, key=_rank, default=None)


def read_result(path: Path) -> dict[str, Json]:
    """Return the document in a file that a verb wrote as JSON; raise SpecError where it is none."""
    document = cast(Json, read_json("Result", path, str(path), SpecError, most_bytes=_MOST_BYTES))
    if not isinstance(document, dict):
        raise SpecError(f"Result must be the JSON object that a verb prints, not {shown(document)} in {shown(str(path))}")
    return document


def compare_documents(
    a: Mapping[str, Json], b: Mapping[str, Json], *, names: tuple[str, str] = ("A", "B"), tolerance: float = 0.0
) -> DocumentComparison:
    """Return what differs between two documents.

    names: what they are called.
    tolerance: relative difference up to which two numbers are the same.

    Raises:
        SpecError: they are of different verbs, or the tolerance is no share.
    """
    if not 0 <= tolerance < 1:
        raise SpecError(f"Tolerance must be a share from 0 to below 1, not {shown(tolerance)}")
    verb = _verb_of(a, b, names)
    found = _Walk(_MACHINE_OF.get(verb or "", _MACHINE), tolerance)
    found.mappings("", {**a}, {**b}, (), is_machine=False)
    return DocumentComparison(a=names[0], b=names[1], verb=verb, results=found.part(False), machine=found.part(True))


def _verb_of(a: Mapping[str, Json], b: Mapping[str, Json], names: tuple[str, str]) -> str | None:
    """Return the verb that two documents are of; raise SpecError where they are of two."""
    marks = [each.get(MARK) for each in (a, b)]
    verbs = [mark if isinstance(mark, str) else None for mark in marks]
    if None not in verbs and verbs[0] != verbs[1]:
        raise SpecError(
            f"Results must be of the same verb, not of {verbs[0]} in {shown(names[0])} and of {verbs[1]} in {shown(names[1])}"
        )
    if None in verbs:
        mine, others = ({*each} - {MARK} for each in (a, b))
        if len(mine & others) < _ALIKE * len(mine | others):
            raise SpecError(
                f"Results must be of the same verb, not documents with {len(mine & others)} of {len(mine | others)} names"
                f" in common, as in {shown(names[0])} and {shown(names[1])}"
            )
    return verbs[0] or verbs[1]


class _Walk:
    """Goes through two documents side by side and keeps what it finds, apart for results and for the machine."""

    def __init__(self, machine: set[str], tolerance: float):
        self._machine, self._tolerance = machine, tolerance
        self._same = {False: 0, True: 0}
        self._changes: dict[bool, list[Change]] = {False: [], True: []}
        self._only: dict[tuple[bool, int], list[Only]] = {(kind, side): [] for kind in (False, True) for side in (0, 1)}

    def part(self, is_machine: bool) -> Part:
        """Return what was found of the results or of the machine."""
        return Part(
            same=self._same[is_machine],
            changes=tuple(sorted(self._changes[is_machine], key=_order)),
            only_a=tuple(self._only[is_machine, 0]),
            only_b=tuple(self._only[is_machine, 1]),
        )

    def mappings(self, path: str, a: dict[str, Json], b: dict[str, Json], outer: tuple[float, ...], *, is_machine: bool) -> None:
        """Compare two mappings; outer: figures around them, one of which their entries may add up to."""
        whole = _whole(a, b, outer)
        inner = (*outer, *(float(value) for each in (a, b) for value in each.values() if _is_number(value)))
        for name in dict.fromkeys((*a, *b)):
            if not path and name == MARK:
                continue
            place = f"{path}.{name}" if path else name
            kind = is_machine or name in self._machine or f"{path.rpartition('.')[2]}.{name}" in self._machine
            if name in a and name in b:
                self._values(place, a[name], b[name], inner, whole, is_machine=kind)
            else:
                self._one_has(place, int(name in b), (b if name in b else a)[name], kind)

    def _values(self, path: str, a: Json, b: Json, outer: tuple[float, ...], whole: float | None, *, is_machine: bool) -> None:
        if isinstance(a, dict) and isinstance(b, dict):
            self.mappings(path, a, b, outer, is_machine=is_machine)
        elif isinstance(a, list) and isinstance(b, list):
            self._lists(path, a, b, outer, is_machine)
        elif isinstance(a, dict | list) or isinstance(b, dict | list):
            for side, value in enumerate((a, b)):
                self._one_has(path, side, value, is_machine)
        elif self._is_same(a, b):
            self._same[is_machine] += 1
        else:
            self._changes[is_machine].append(Change(path=path, a=a, b=b, whole=whole))

    def _lists(self, path: str, a: list[Json], b: list[Json], outer: tuple[float, ...], is_machine: bool) -> None:
        records = [[each for each in side if isinstance(each, dict)] for side in (a, b)]
        keys = _keys(*records) if list(map(len, records)) == [len(a), len(b)] else None
        if keys is None and len(a) != len(b) and all(isinstance(each, str) for each in (*a, *b)):
            self._lines(path, list(map(str, a)), list(map(str, b)), is_machine)
            return
        if keys is None:
            found: list[dict[tuple[str, ...], Json]] = [
                {(str(place),): value for place, value in enumerate(side)} for side in (a, b)
            ]
        else:
            found = [{_key(record, keys): record for record in side} for side in records]
        for key in dict.fromkeys((*found[0], *found[1])):
            place = f"{path}[{', '.join(map(_label, key))}]"
            if key in found[0] and key in found[1]:
                self._values(place, found[0][key], found[1][key], outer, None, is_machine=is_machine)
            else:
                side = int(key in found[1])
                self._one_has(place, side, found[side][key], is_machine)

    def _lines(self, path: str, a: list[str], b: list[str], is_machine: bool) -> None:
        """Compare two lists of texts as lines: what both have in the same order is the same, wherever it stands.

        Texts of lists of the same length are those of the same things, such as what binds at each context.
        """
        # Which of several longest common parts is taken depends on the order of both.
        sides = (0, 1) if a <= b else (1, 0)
        lines = (a, b)
        matcher = difflib.SequenceMatcher(None, lines[sides[0]], lines[sides[1]], autojunk=False)
        for block, *places in matcher.get_opcodes():
            if block == "equal":
                self._same[is_machine] += places[1] - places[0]
                continue
            for side, first, end in ((sides[0], places[0], places[1]), (sides[1], places[2], places[3])):
                for line in range(first, end):
                    self._one_has(f"{path}[{line}]", side, lines[side][line], is_machine)

    def _one_has(self, path: str, side: int, value: Json, is_machine: bool) -> None:
        self._only[is_machine, side].append(Only(path=path, values=_count(value)))

    def _is_same(self, a: Leaf, b: Leaf) -> bool:
        numbers = _numbers(a, b)
        if numbers is None:
            return type(a) is type(b) and a == b
        return a == b or abs(numbers[0] - numbers[1]) <= self._tolerance * max(map(abs, numbers))


def _numbers(a: Leaf, b: Leaf) -> tuple[float, float] | None:
    """Return two numbers; None where one is no number."""
    return (a, b) if _is_number(a) and _is_number(b) else None


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_digest(value: Leaf) -> bool:
    return isinstance(value, str) and len(value) >= 2 * _DIGEST_LETTERS and _HEX.issuperset(value)


def _count(value: Json) -> int:
    """Return how many values there are in one."""
    if isinstance(value, dict | list):
        return sum(map(_count, value.values() if isinstance(value, dict) else value))
    return 1


def _whole(a: Mapping[str, Json], b: Mapping[str, Json], outer: Sequence[float]) -> float | None:
    """Return the larger of the sums of two mappings of parts, each of which is a figure around them; None where one is not."""
    sums: list[float] = []
    for each in (a, b):
        numbers = [value for value in each.values() if _is_number(value) and value >= 0]
        total = math.fsum(numbers)
        if len(numbers) != len(each) or len(each) < 2 or not any(math.isclose(total, value, rel_tol=_CLOSE) for value in outer):
            return None
        sums.append(total)
    return max(sums) or None


def _key(record: Mapping[str, Json], names: Sequence[str]) -> tuple[str, ...]:
    """Return what says which record of a list one is; a whole number is the same with a point or without."""
    values = (record[name] for name in names)
    return tuple(str(int(each) if isinstance(each, float) and each.is_integer() else each) for each in values)


def _label(key: str) -> str:
    return key[:_DIGEST_LETTERS] if _is_digest(key) else key


def _keys(a: Sequence[Mapping[str, Json]], b: Sequence[Mapping[str, Json]]) -> tuple[str, ...] | None:
    """Return the names of entries that tell the records of each list apart, as few as do; None where none do."""
    every = (*a, *b)
    known = [name for name in _KEYS if every and all(not isinstance(each.get(name, []), dict | list) for each in every)]
    for count in range(1, _MOST_KEYS + 1):
        for names in itertools.combinations(known, count):
            if all(len({_key(each, names) for each in side}) == len(side) for side in (a, b)):
                return names
    return None


def _place(path: str) -> tuple[int, int]:
    """Return the place of a path among the headlines, and how deep it lies."""
    bare, brackets = re.subn(r"\[[^]]*\]", "", path)
    names = bare.split(".")
    place = min(HEADLINES.index(name) if name in HEADLINES else len(HEADLINES) for name in names[-2:])
    return place, len(names) + brackets


def _rank(change: Change) -> tuple[int, int, float, str]:
    return (*_place(change.path), -change.effect, change.path)


def _order(change: Change) -> tuple[float, int, int, str]:
    # What does not differ within a tenth of a percent is of equal effect.
    return (-round(change.effect, 3), *_place(change.path), change.path)
