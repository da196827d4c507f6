"""The shipped study of engines for a U280 as the page and the table that are kept in docs/studies.

`python -m reports.studies.u280 FOLDER` explores it again and writes both into FOLDER.
"""

import dataclasses
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from hwsim.arch.board import RESOURCES, Board, load_board
from hwsim.arch.config import load_engine
from hwsim.arch.doc_pages import table
from hwsim.plain import csv_text
from hwsim.whole_files import write_text
from lamforge.explore.axes import Value
from lamforge.explore.exploration import Design, Exploration, ExploreRequest, run
from lamforge.explore.footprint import Footprint, footprint_of, fullness
from lamforge.explore.store import CLOSED, Store
from lamforge.flow.simulate import SimulateRequest, Timing
from lamforge.flow.simulate import run as simulated
from reports.text.figures import figure_text
from reports.text.findings import listed

__all__ = ["NAME", "U280Study", "kept_page", "kept_table", "main", "study"]

NAME = "u280"
"""Name of the study, and of the engine and the board that it is about."""
_NETWORK, _CLOCK, _ROWS = "network", "engine.clock_hz", "engine.tile.tokens"
_SHOWN = (_ROWS, "engine.tile.ports", "engine.tile.port_bits", "engine.vector.lanes", "engine.fetch.fifo_beats")
_TITLES = ("token rows", "ports", "bits", "lanes", "FIFO beats")
_FORMATS = ("layers.format", "head.format", "cache.format")
_MOST_SHOWN = 12
_BOUND = "excess.board"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Better:
    """A design that would be better than the best that fits: its values, and by what share it is over each bound of the board."""

    values: Mapping[str, Value]
    over: Mapping[str, float]
    fullest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """Where the shipped engine stands: token/s by network, and how full the fullest SLR would be of each resource."""

    token_per_s: Mapping[str, float]
    full: Mapping[str, float]
    fullest: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class U280Study:
    """What the study found at the clock of the shipped engine.

    Attributes:
        found: the whole study.
        clock_hz: that clock.
        fronts: designs by network, the fastest first.
        better: what stops a better design than the first, by network; None where the study has none.
        preset: where the shipped engine stands.
    """

    found: Exploration
    clock_hz: float
    fronts: Mapping[str, tuple[Design, ...]]
    better: Mapping[str, Better | None]
    preset: Preset


def study(folder: Path) -> U280Study:
    """Explore the study in a folder, and look at it at the clock of the shipped engine."""
    found = run(ExploreRequest(NAME, output=folder))
    clock = load_engine(NAME).clock_hz
    networks = [str(each) for each in found.study.axes[_NETWORK]]
    fronts = {
        name: tuple(each for each in found.front if each.values[_NETWORK] == name and each.values[_CLOCK] == clock)
        for name in networks
    }
    rows = pa.concat_tables(list(Store(folder=folder, code="").parts(CLOSED)))
    rows = rows.filter(pc.equal(rows[_CLOCK], clock))
    better = {name: _better(rows.filter(pc.equal(rows[_NETWORK], name)), front[0]) for name, front in fronts.items()}
    return U280Study(found=found, clock_hz=clock, fronts=fronts, better=better, preset=_preset(found, networks))


def _better(rows: pa.Table, best: Design) -> Better | None:
    """Return of the designs with more token rows that are as fast, and that the board alone rejects, the one nearest to it."""
    bounds = [name for name in rows.column_names if name.startswith(_BOUND)]
    others = [name for name in rows.column_names if name.startswith("excess.") and name not in bounds]
    fits = [pc.less_equal(rows[name], 0) for name in others]
    wanted = [
        pc.greater(rows[_ROWS], best.values[_ROWS]),
        pc.greater_equal(rows["token_per_s"], 0.99 * best.metrics["token_per_s"]),
    ]
    mask = wanted[0]
    for each in (wanted[1], *fits):
        mask = pc.and_(mask, each)
    some = rows.filter(mask).sort_by("rejected_excess").to_pylist()
    if not some:
        return None
    over = {name.removeprefix(f"{_BOUND} "): some[0][name] for name in bounds if some[0][name] > 0}
    return Better(values={path: some[0][path] for path in (*_SHOWN, *_FORMATS)}, over=over, fullest=some[0]["fullest"])


def _preset(found: Exploration, networks: Sequence[str]) -> Preset:
    base, engine, board = found.study.base, load_engine(NAME), load_board(NAME)
    rates = {}
    for network in networks:
        timing = simulated(
            SimulateRequest(workload=network, engine=engine, context=int(base["context"]), memory=str(base["memory"]))
        )
        assert isinstance(timing, Timing)
        rates[network] = timing.token_per_s
    circuit: Footprint = footprint_of(engine)
    shares, fullest = fullness(circuit, board)
    name, slr = (int(each) for each in fullest[:, 0])
    return Preset(
        token_per_s=rates,
        full={resource: float(shares[resource][0]) for resource in RESOURCES},
        fullest=f"{RESOURCES[name]} in {board.slrs.value[slr].name}",
    )


def kept_page(kept: U280Study) -> str:
    """Return the study as Markdown, the answer in its first paragraph."""
    board, found = load_board(NAME), kept.found
    error = found.closed_form_error
    assert error is not None
    rejected = listed([f"{each.points:,} are rejected by `{each.constraint}`" for each in found.rejected])
    parts = [
        f"# Study {NAME}",
        *(_answer(name, front[0], kept, board) for name, front in kept.fronts.items()),
        _preset_text(kept.preset),
    ]
    study_file = f"../../lamforge/explore/studies/{NAME}.yaml"
    parts.append(
        f"Made by `make docs` from [the study]({study_file}): {found.points:,} engines, of which {rejected}; {found.exact_points:,}"
        f" were simulated to the cycle, from which the closed form is {error.median:.1%} off in the median and {error.worst:.1%} at"
        f" worst. `lamforge explore {NAME} -o OUT` makes it again and `lamforge report OUT` draws it; [{NAME}.csv]({NAME}.csv) has"
        " the fronts. Resources are those of [a model fitted to runs of Yosys](../synthesis.md). Clocks are taken as given: nothing"
        " here says that one is met. What formats cost in accuracy is not looked at."
    )
    for name, front in kept.fronts.items():
        rows = [
            [
                *(f"{each.values[path]:,}" for path in _SHOWN),
                _formats(each.values),
                figure_text(each.metrics["token_per_s"]),
                *_taken(each, board),
            ]
            for each in front[:_MOST_SHOWN]
        ]
        titles = [*_TITLES, "formats", "token/s", *(resource.upper() for resource in RESOURCES)]
        parts.append(f"## {name} at {kept.clock_hz / 1e6:g} MHz, the fastest {len(rows)} of {len(front)} on the front")
        parts.append(table(titles, rows))
    return "\n\n".join(parts) + "\n"


def _answer(network: str, best: Design, kept: U280Study, board: Board) -> str:
    values = ", ".join(f"{title} {best.values[path]:,}" for title, path in zip(_TITLES, _SHOWN, strict=True))
    share = listed([f"{best.metrics[name] / board.device.value.count(name):.0%} of the {name.upper()}" for name in RESOURCES])
    text = (
        f"The fastest engine for {network} at {kept.clock_hz / 1e6:g} MHz that fits every SLR of the board decodes"
        f" **{figure_text(best.metrics['token_per_s'])} token/s** ({values}; {_formats(best.values)}) with {share}."
    )
    better = kept.better[network]
    if better is None:
        return f"{text} No engine of the study with more token rows is as fast."
    over = listed(
        [f"{share:.0%} too much {name.upper()}" for name, share in sorted(better.over.items(), key=lambda each: -each[1])]
    )
    rows = f"Of those as fast with more token rows, the nearest to fit, with {better.values[_ROWS]},"
    return f"{text} {rows} has {over} ({better.fullest})."


def _preset_text(preset: Preset) -> str:
    rates = listed([f"{figure_text(rate)} token/s of {network}" for network, rate in preset.token_per_s.items()])
    over = {name: share - 1 for name, share in preset.full.items() if share > 1}
    if not over:
        return f"The shipped preset `{NAME}` decodes {rates} and fits every SLR; the fullest is {preset.fullest}."
    misses = listed([f"{share:.0%} too much {name.upper()}" for name, share in sorted(over.items(), key=lambda each: -each[1])])
    return f"The shipped preset `{NAME}` decodes {rates} and fits not every SLR: it has {misses} in the fullest ({preset.fullest})."


def _formats(values: Mapping[str, Value]) -> str:
    return " ".join(str(values[path]) for path in _FORMATS)


def _taken(design: Design, board: Board) -> list[str]:
    return [f"{design.metrics[name] / board.device.value.count(name):.0%}" for name in RESOURCES]


def kept_table(kept: U280Study) -> str:
    """Return the fronts at the shipped engine's clock as CSV."""
    metrics = ("token_per_s", "cycles", "token_per_joule", "power_w", *RESOURCES)
    paths = [path for path in kept.found.study.axes if path != _CLOCK]
    designs = (each for front in kept.fronts.values() for each in front)
    rows = ([*(each.values[path] for path in paths), *(f"{each.metrics[name]:.6g}" for name in metrics)] for each in designs)
    return csv_text([[*paths, *metrics], *rows])


def main(arguments: Sequence[str]) -> None:
    """Write the page and the table into a folder."""
    folder = Path(arguments[0])
    with tempfile.TemporaryDirectory() as place:
        kept = study(Path(place) / "out")
    write_text(folder / f"{NAME}.md", kept_page(kept))
    write_text(folder / f"{NAME}.csv", kept_table(kept))


if __name__ == "__main__":
    main(sys.argv[1:])
