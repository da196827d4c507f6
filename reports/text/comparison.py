"""What changed between two results, two studies or two commits: the answer in the first line, then tables by effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lamforge.explore.axes import Value
from lamforge.explore.differences import DesignChange, Figures, StudyComparison, StudySide
from lamforge.explore.exploration import Design
from lamforge.flow.compare import Change, DocumentComparison, Leaf, Only, Part
from reports.text.figures import plural
from reports.text.table import table

__all__ = ["answer_text", "comparison_text"]

_MOST_ROWS = 30
_MOST_LETTERS = 40
_SPEEDS = ("token_per_s", "tokens_per_s", "decode_tokens_per_s")
_FIDELITIES = {"exact": "exact figures", "closed": "figures of the closed form", "estimate": "estimated figures"}


def comparison_text(found: DocumentComparison | StudyComparison) -> str:
    """Return the answer, what A and B are, and tables of what changed, that of the largest effect first."""
    lines = _documents(found) if isinstance(found, DocumentComparison) else _studies(found)
    return "\n".join([answer_text(found), *lines])


def answer_text(found: DocumentComparison | StudyComparison) -> str:
    """Return in one sentence what changed."""
    return _document_answer(found) if isinstance(found, DocumentComparison) else _study_answer(found)


def _document_answer(found: DocumentComparison) -> str:
    results, headline = found.results, found.headline
    if headline is None:
        sentence = f"Nothing changed of {plural(results.same, 'value')}"
    else:
        others = len(results.changes) - 1
        rest = f"{plural(others, 'other value')} {'changes' if others == 1 else 'change'}" if others else "nothing else changes"
        sentence = f"{_headline(headline)}; {rest}"
    alone = [
        f"{name} alone has {plural(sum(each.values for each in only), 'more value' if headline is None else 'value')}"
        for name, only in (("A", results.only_a), ("B", results.only_b))
        if only
    ]
    return "; ".join([sentence, *alone]) + ("." if headline is None and not alone else "")


def _headline(change: Change) -> str:
    a, b = _pair(change.a, change.b)
    name = re.sub(r"\[[^]]*\]", "", change.path).rpartition(".")[2]
    told = f"{change.path} {a} → {b}"
    if not change.share:
        return f"B differs in {name}: {told}"
    by = _percent(abs(change.share)).removeprefix("+")
    if name in _SPEEDS:
        return f"B is {by} {'faster' if change.share > 0 else 'slower'}: {told}"
    return f"B is {by} {'higher' if change.share > 0 else 'lower'} in {name}: {told}"


def _documents(found: DocumentComparison) -> Iterator[str]:
    yield f"A: {found.a}"
    yield f"B: {found.b}"
    if found.verb is not None:
        yield f"of {found.verb}, {plural(found.results.same, 'value')} the same in both"
    yield from _part(found.results, "value")
    if found.machine.is_changed:
        yield from _part(found.machine, "of the machine, no result")


def _part(part: Part, title: str) -> Iterator[str]:
    if part.changes:
        groups = _grouped(part.changes)
        rows = [(_place(group), *_pair(group[0].a, group[0].b), _growth(group[0])) for group in groups[:_MOST_ROWS]]
        yield from ("", table(rows, head=(title, "A", "B", "change"), right=(1, 2, 3)), *_rest(len(groups)))
    for name, only in (("A", part.only_a), ("B", part.only_b)):
        if only:
            yield from ("", f"only in {name}{'' if title == 'value' else f' ({title})'}: {_listed(only)}")


def _grouped(changes: Sequence[Change]) -> list[list[Change]]:
    """Return changes, those of values of one list together, in the order of the first of each."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(re.sub(r"\[\d+\]$", "[]", change.path), []).append(change)
    return list(groups.values())


def _place(group: Sequence[Change]) -> str:
    more = len(group) - 1
    return group[0].path if not more else f"{group[0].path} and {more:,} more of the list"


def _listed(only: Sequence[Only]) -> str:
    shown = ", ".join(each.path if each.values == 1 else f"{each.path} ({each.values:,} values)" for each in only[:_MOST_ROWS])
    return f"{shown}, and {len(only) - _MOST_ROWS:,} more" if len(only) > _MOST_ROWS else shown


def _rest(count: int) -> list[str]:
    return [f"and {count - _MOST_ROWS:,} more"] if count > _MOST_ROWS else []


def _growth(change: Change) -> str:
    """Return by how much a value grows: of a part, in shares of the whole."""
    if change.share_of_whole is not None:
        return f"{_percent(change.share_of_whole)} of the sum"
    return "" if change.share is None else _percent(change.share)


def _percent(share: float) -> str:
    return f"{share:+,.0%}" if abs(share) >= 10 else f"{100 * share:+.3g}%"


def _pair(a: Leaf, b: Leaf) -> tuple[str, str]:
    """Return two values with as many digits as tell them apart."""
    shown = [(_cell(a, digits), _cell(b, digits)) for digits in (5, 8, 12, 17)]
    return next((pair for pair in shown if pair[0] != pair[1]), shown[-1])


def _cell(value: Leaf, digits: int = 5) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.{digits}g}"
    line = " ".join(value.split()) or "''"
    most = _MOST_LETTERS * (1 if digits == 5 else 4)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _study_answer(found: StudyComparison) -> str:
    came = f"{plural(len(found.came), 'design')} came to the front, {len(found.left):,} left it, {found.stayed:,} stayed"
    fronts = came if found.came or found.left else f"the front of {plural(found.stayed, 'design')} is the same"
    changed = sum(each.changed for each in found.figures)
    same = sum(each.same for each in found.figures)
    if not found.is_changed:
        return f"Nothing changed of {plural(same, 'figure')}: {_bests(found)}"
    figures = f"{plural(changed, 'figure')} of designs in both {'changes' if changed == 1 else 'change'}"
    best = _bests(found)
    led = f"another placement leads in {len(found.leads):,} of {plural(found.cases, 'case')}"
    return "; ".join([f"{best[0].upper()}{best[1:]}", *([led] if found.leads else []), fronts, figures])


def _bests(found: StudyComparison) -> str:
    a, b = found.a, found.b
    if a.objective == b.objective and a.for_each == b.for_each and len({**a.bests, **b.bests}) > 1:
        cases = len({**a.bests, **b.bests})
        changes = _best_changes(found)
        if not changes:
            return f"the best {a.objective} is the same in each of {cases:,} cases of {', '.join(a.for_each)}"
        values, change = changes[0]
        most = ", the most" if len(changes) > 1 else ""
        told = f"{_values(values)}: {' → '.join(_pair(change.a, change.b))}"
        growth = f" ({_growth(change)})" if change.share else ""
        where = f"in {len(changes):,} of {cases:,} cases of {', '.join(a.for_each)}"
        return f"the best {a.objective} changes {where}{most} with {told}{growth}"
    goals = [None if side.best is None else side.goal(side.best) for side in (a, b)]
    if a.objective == b.objective and goals[0] is not None and goals[1] is not None:
        if goals[0] == goals[1]:
            return f"the best {a.objective} is {_cell(goals[0])} in both"
        change = Change(path=a.objective, a=goals[0], b=goals[1])
        cells = _pair(change.a, change.b)
        than = f"{_percent(change.share)} against A's" if change.share else "A's is"
        return f"B's best {a.objective} is {cells[1]}, {than} {cells[0]}"
    return ", ".join(f"{name}'s {_best(side)}" for name, side in (("A", a), ("B", b)))


def _best_changes(found: StudyComparison) -> list[tuple[Mapping[str, Value], Change]]:
    """Return the values of `for_each` of which the best by the first objective is another one, by effect."""
    a, b = found.a, found.b
    changes = []
    for group in {**a.bests, **b.bests}:
        goals = [side.goal(side.bests[group]) if group in side.bests else None for side in (a, b)]
        if goals[0] != goals[1]:
            changes.append((dict(zip(a.for_each, group, strict=True)), Change(path=a.objective, a=goals[0], b=goals[1])))
    return sorted(changes, key=lambda each: -round(each[1].effect, 3))


def _best(side: StudySide) -> str:
    if side.best is None:
        return "constraints are met by no design"
    return f"best {side.objective} is {_cell(side.goal(side.best))}"


def _studies(found: StudyComparison) -> Iterator[str]:
    for name, side in (("A", found.a), ("B", found.b)):
        design = "" if side.best is None else f", the best with {_values(side.best.values)}"
        simulated = "estimated" if side.is_placement else f"{side.exact_points:,} of them to the cycle"
        counts = f"{plural(side.points, 'point')}, {simulated}"
        design = "" if len(side.bests) > 1 else design
        yield f"{name}: {side.folder}, study {side.name}, {counts}{design}"
    if found.a.code != found.b.code:
        yield "Two versions of the code computed them."
    if found.matched_by == "axes":
        yield "No configuration is in both: designs with the same values of the axes are set beside each other."
    elif found.matched_by is None:
        yield "No design is in both: the axes are different ones."
    yield from _part(found.study, "study")
    if len({**found.a.bests, **found.b.bests}) > 1 and found.a.for_each == found.b.for_each:
        yield from _best_table(found)
    yield from _leads(found)
    yield from _fronts(found)
    for figures in found.figures:
        yield from _figures(figures)


def _best_table(found: StudyComparison) -> Iterator[str]:
    changes = _best_changes(found)
    if changes:
        rows = [(_values(values), *_pair(each.a, each.b), _growth(each)) for values, each in changes[:_MOST_ROWS]]
        yield from ("", table(rows, head=(f"best {found.a.objective}", "A", "B", "change"), right=(1, 2, 3)), *_rest(len(changes)))


def _leads(found: StudyComparison) -> Iterator[str]:
    if found.leads:
        rows = [
            (each.objective, "best" if each.batch is None else f"{each.batch}", _values(each.values), each.a or "", each.b or "")
            for each in found.leads[:_MOST_ROWS]
        ]
        yield from ("", table(rows, head=("leads by", "batch", "where", "A", "B")), *_rest(len(found.leads)))


def _fronts(found: StudyComparison) -> Iterator[str]:
    designs = [("came", each) for each in found.came] + [("left", each) for each in found.left]
    if designs:
        paths = list(dict.fromkeys(path for _, each in designs for path in each.values))
        metrics = [name for name in dict.fromkeys(name for _, each in designs for name in each.metrics) if name not in paths]
        # What all have one value of says nothing of what came and what left.
        metrics = [name for name in metrics if len(designs) == 1 or len({each.metrics.get(name) for _, each in designs}) > 1]
        rows = [(state, *(_of_design(each, name) for name in (*paths, *metrics))) for state, each in designs[:_MOST_ROWS]]
        yield from ("", table(rows, head=("front", *paths, *metrics), right=range(1, 1 + len(paths) + len(metrics))))
        yield from _rest(len(designs))


def _of_design(design: Design, name: str) -> str:
    value = design.metrics.get(name, design.values.get(name))
    return "" if value is None else _cell(value)


def _figures(figures: Figures) -> Iterator[str]:
    title = _FIDELITIES[figures.fidelity]
    if figures.only_a or figures.only_b:
        yield from ("", f"{title}: {plural(figures.only_a, 'design')} only in A, {figures.only_b:,} only in B")
    if figures.changes:
        rows = [(*_changed(each), _growth(each.change)) for each in figures.changes[:_MOST_ROWS]]
        yield from ("", table(rows, head=(title, "figure", "A", "B", "change"), right=(2, 3, 4)), *_rest(figures.changed))


def _changed(each: DesignChange) -> Sequence[str]:
    return (_values(each.values), each.change.path, *_pair(each.change.a, each.change.b))


def _values(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{path} {_cell(value)}" for path, value in values.items())
