"""Sentences on who leads where in a study of placements, and its tables for the terminal."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from lamforge.explore.axes import Value
from lamforge.explore.leads import Case, Entry, View
from lamforge.explore.metrics import PLACEMENT_METRICS
from lamforge.explore.placements import KINDS
from lamforge.explore.study import Objective, Study
from lamforge.flow.offload.compare import spread
from reports.text.figures import figure_text, tokens_text
from reports.text.findings import listed
from reports.text.table import table

__all__ = ["Question", "answers_text", "goal_text", "leaders_table", "measure_text", "question_text", "questions_of"]

_PROMPT = "prompt"
_GOALS = {
    ("token_per_s", True): "most token/s",
    ("decode_token_per_s", True): "most token/s between tokens",
    ("first_token_s", False): "least time to the first token",
    ("step_s", False): "least time between tokens",
    ("token_per_joule", True): "most token/J",
    ("price_usd", False): "least price of devices",
    ("usd_per_million_tokens", False): "least price of a token",
}
_NAMES = {"GPU": "the GPU alone", "GPU and host": "GPU and host memory", "GPU and SSD": "GPU and SSD", "GPU and CSD": "GPU and CSD"}
_MOST_NAMES = 3
_SHOWN_PROMPTS = 6
_NEAR = 2.0
"""Factor between two prompts that are told together, as in `up to 128K or 192K`."""

Question = tuple[tuple[str, Value], ...]
"""Values of `for_each` but the prompt, by path."""


def goal_text(objective: Objective) -> str:
    """Return what leads by an objective has, such as `most token/s`."""
    known = _GOALS.get((objective.name, objective.is_maximized))
    return known or f"{'highest' if objective.is_maximized else 'lowest'} {objective.name.replace('_', ' ')}"


def measure_text(objective: Objective) -> str:
    """Return what leads by an objective has, with the unit of its figures."""
    unit = PLACEMENT_METRICS[objective.name].unit if objective.name in PLACEMENT_METRICS else ""
    return goal_text(objective) if not unit else f"{goal_text(objective)}, {unit}"


def answers_text(views: Sequence[View], study: Study) -> list[str]:
    """Return who leads where: by the first objective, by the others where that differs, and what leads nowhere."""
    first, *others = study.objectives
    said = [f"{_often(views, first)}{_where(views, first, has_systems=True)}."]
    alike = [each for each in others if _often(views, each, None) == _often(views, first, None)]
    alike = [each for each in alike if _where(views, each) == _where(views, first)]
    if alike:
        said.append(f"The same holds for the {listed([goal_text(each) for each in alike])}.")
    said += [f"{_often(views, each)}{_where(views, each)}." for each in others if each not in alike]
    leading = {each.kind for goal in study.objectives for each in _leaders(views, goal) if each is not None}
    nearest = _nearest(views, first)
    beaten = [f"{_named(kind)} (at best {_share(nearest[kind])})" for kind in KINDS if kind in nearest and kind not in leading]
    return [*said, *([f"Nowhere in the lead by any of these: {listed(beaten)} of the {goal_text(first)}."] if beaten else [])]


def questions_of(view: View) -> dict[Question, list[Case]]:
    """Return the cases of a view by their values but the prompt, those of one question in the order of their prompts."""
    found: dict[Question, list[Case]] = {}
    for case in view.cases:
        found.setdefault(tuple((path, value) for path, value in case.values.items() if path != _PROMPT), []).append(case)
    return {key: sorted(cases, key=lambda case: float(case.values.get(_PROMPT, 0))) for key, cases in found.items()}


def question_text(question: Question) -> str:
    """Return a question in words."""
    return ", ".join(_value(path, value) for path, value in question)


def leaders_table(views: Sequence[View], study: Study) -> str:
    """Return the leaders by the first objective over prompts as a table."""
    goal = study.objectives[0]
    rows: list[list[str]] = []
    prompts: list[Value] = []
    for view in views:
        for question, cases in questions_of(view).items():
            some = [cases[place] for place in spread(len(cases), _SHOWN_PROMPTS)]
            prompts = [case.values.get(_PROMPT, study.base.get(_PROMPT, "")) for case in some]
            rows.append([view.name, question_text(question), *(_leader(case.leader(goal.name), goal.name) for case in some)])
    head = [goal_text(goal), "question", *(tokens_text(prompt) if isinstance(prompt, int | float) else "" for prompt in prompts)]
    return table(rows, head=head)


def _nearest(views: Sequence[View], objective: Objective) -> dict[str, float]:
    """Return how near each kind comes to the leader by an objective anywhere, as a share of its figure: at most 1."""
    found: dict[str, float] = {}
    for entries in (case.entries[objective.name] for view in views for case in view.cases):
        for each in entries:
            ratio = each.figure(objective.name) / (entries[0].figure(objective.name) or 1.0)
            found[each.kind] = max(found.get(each.kind, 0.0), ratio if objective.is_maximized else 1 / (ratio or 1.0))
    return found


def _share(share: float) -> str:
    return f"{100 * share:.2g} %"


def _leaders(views: Sequence[View], objective: Objective) -> list[Entry | None]:
    return [case.leader(objective.name) for view in views for case in view.cases]


def _often(views: Sequence[View], objective: Objective, goal: str | None = "") -> str:
    """Return which kind leads in how many cases by an objective; goal: what it has; None leaves that out."""
    leaders = _leaders(views, objective)
    counts = {kind: sum(each is not None and each.kind == kind for each in leaders) for kind in KINDS}
    kind = max(counts, key=lambda each: counts[each])
    said = "" if goal is None else f" the {goal or goal_text(objective)}"
    if not counts[kind]:
        return f"No placement meets the constraints, so that none has{said}"
    every = "in the one case" if len(leaders) == 1 else f"in all {len(leaders)} cases"
    often = every if counts[kind] == len(leaders) else f"in {counts[kind]} of {len(leaders)} cases"
    named = _named(kind)
    return f"{named[0].upper()}{named[1:]} has{said} {often}: "


def _where(views: Sequence[View], objective: Objective, *, has_systems: bool = False) -> str:
    """Return who leads by an objective at which prompts, views and questions with the same kinds together."""
    if not any(_leaders(views, objective)):
        return ""
    by_answer: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for view in views:
        questions = questions_of(view)
        said = tuple(
            (_label(asked, list(questions)), _runs_text([questions[each] for each in asked], objective.name, has_systems))
            for asked in _alike(questions, objective.name)
        )
        by_answer.setdefault(said, []).append(view.name)
    return "; ".join(
        f"at {' and at '.join(names)}, " + "; ".join(f"with {label}, {runs}" if label else runs for label, runs in said)
        for said, names in by_answer.items()
    )


def _alike(questions: Mapping[Question, Sequence[Case]], objective: str) -> list[list[Question]]:
    """Return the questions in groups in which the same kinds lead in the same order, up to prompts of at most a factor between."""
    groups: list[list[Question]] = []
    for question in questions:
        for group in groups:
            runs = [_runs(questions[each], objective) for each in (*group, question)]
            ends = [[float(cases[-1].values.get(_PROMPT, 1)) for _, cases in each] for each in runs]
            have_kinds = len({tuple(kind for kind, _ in each) for each in runs}) == 1
            if have_kinds and all(max(places) <= _NEAR * min(places) for places in zip(*ends, strict=True)):
                group.append(question)
                break
        else:
            groups.append([question])
    return groups


def _runs(cases: Sequence[Case], objective: str) -> list[tuple[str, list[Case]]]:
    """Return the kinds that lead from the smallest prompt on, each with its cases in a row; an empty one where nothing fits."""
    kinds = [(leader.kind if (leader := case.leader(objective)) else "", case) for case in cases]
    return [(kind, [case for _, case in group]) for kind, group in itertools.groupby(kinds, key=lambda each: each[0])]


def _runs_text(questions: Sequence[Sequence[Case]], objective: str, has_systems: bool) -> str:
    """Return in words what leads up to which prompt, of questions in which the same kinds do so in the same order."""
    runs = [_runs(cases, objective) for cases in questions]
    parts: list[str] = []
    for place, (kind, _) in enumerate(runs[0]):
        here = [leader for each in runs for case in each[place][1] if (leader := case.leader(objective))]
        named = f"{_named(kind)}{_systems(here) if has_systems else ''}" if kind else "nothing that fits"
        ends = [each[place][1][-1].values.get(_PROMPT) for each in runs]
        texts = [tokens_text(end) for end in sorted({float(end) for end in ends if end is not None})]
        unit = "" if parts else " tokens of prompt"
        if not texts:
            parts.append(named)
        elif place < len(runs[0]) - 1:
            parts.append(f"{named} up to {' or '.join(dict.fromkeys((texts[0], texts[-1])))}{unit}")
        else:
            parts.append(f"{named} beyond" if parts else f"{named} up to {texts[-1]}{unit}, the largest asked")
    return ", ".join(parts)


def _systems(entries: Sequence[Entry]) -> str:
    names = list(dict.fromkeys(entry.name for entry in entries))
    return f" ({', '.join(names[:_MOST_NAMES])}{' and others' if len(names) > _MOST_NAMES else ''})"


def _label(asked: Sequence[Question], every: Sequence[Question]) -> str:
    """Return the questions of one answer in words: the values that tell them from the others, or all of them one by one."""
    if len(asked) == len(every):
        return ""
    said: list[str] = []
    for place, (path, _) in enumerate(asked[0]):
        values = list(dict.fromkeys(question[place][1] for question in asked))
        if len(values) < len({question[place][1] for question in every}):
            said.append(" or ".join(_value(path, value) for value in values))
    alike = [each for each in every if all(any(one[place] == value for one in asked) for place, value in enumerate(each))]
    if len(alike) > len(asked):
        return " and with ".join(question_text(question) for question in asked)
    return " and ".join(said)


def _value(path: str, value: Value) -> str:
    if path == "placement.window":
        return "dense attention" if value == "dense" else f"a window of {value}"
    return f"{path} {value:,}" if isinstance(value, int | float) else value.upper() if path == "placement.format" else value


def _named(kind: str) -> str:
    return _NAMES.get(kind, f"the {kind}")


def _leader(entry: Entry | None, name: str) -> str:
    return "nothing fits" if entry is None else f"{entry.name} {figure_text(entry.figure(name))}"
