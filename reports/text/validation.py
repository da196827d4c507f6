"""Estimates beside published figures, and rates that fit a GPU beside its measured steps, as tables for the terminal."""

from reports.studies.gpu_baseline.baseline import Baseline
from reports.studies.gpu_rates import Fit
from reports.studies.validation.energy import EnergyValidation
from reports.studies.validation.offload import OffloadValidation
from reports.studies.validation.row import Row, ValidationSet
from reports.text.figures import watts_text
from reports.text.table import table

__all__ = ["baseline_text", "energy_validation_text", "fit_text", "offload_validation_text"]

_ENERGY_HEAD = ("system", "of the", "token/s", "ours W", "theirs W", "error", "ours token/J", "theirs token/J")
_OFFLOAD_HEAD = ("case", "ours", "theirs", "unit", "left out", "error", "fitted")
_SETS_HEAD = ("set", "rows", "left out, median", "worst", "with all, median", "worst", "")
_TUNED_HEAD = ("constant", "range over its value", "rows", "error", "20 % off", "")


def energy_validation_text(found: EnergyValidation) -> str:
    """Return a table of published systems, the parts of each estimate, and the assumed numbers."""
    cells, details = [], []
    for row in found.rows:
        system, energy = row.system, row.energy
        watts = (f"{row.ours_w:.1f}", f"{row.theirs_w:.1f}", f"{row.error:+.0%}")
        tokens = (f"{row.ours_token_per_joule:.2f}", f"{row.theirs_token_per_joule:.2f}")
        cells.append((system.name, system.scope, f"{system.token_per_s.value:.0f}", *watts, *tokens))
        power = f"chip {energy.chip_w:.1f} W, card {energy.card_w:.1f} W ({watts_text(energy.watts)})"
        shares = f"{energy.assumed_share:.0%} on assumed numbers; assumed of the system: {', '.join(system.assumed)}"
        details.append((system.name, f"{power}; {shares}"))
    assumed = ", ".join(f"{name} {value:g}" for name, value in found.assumed.items())
    details.append(("assumed", f"{assumed}; of {len(found.constants)} constants, none of them fitted"))
    return f"{table(cells, head=_ENERGY_HEAD, right=range(2, len(_ENERGY_HEAD)))}\n\n{table(details)}"


def offload_validation_text(found: OffloadValidation) -> str:
    """Return how far off rows are that are left out of the choice of constants, the constants, and a table for each set."""
    parts = [*_left_out(found), *(_set(found, each) for each in found.sets)]
    if found.constants:
        named = [f"{constant.name} = {constant.value}: {constant.source}" for constant in found.constants]
        parts.append("\n".join(["constants that are derived, the calibrated ones with the rows they come from:", *named]))
    return "\n\n".join(parts)


def baseline_text(found: Baseline) -> str:
    """Return what was measured, and how long that took."""
    return f"measured in {found.seconds} s on {found.gpu.name}, PyTorch {found.host.torch}"


def fit_text(found: Fit) -> str:
    """Return the rates as fields of a GPU's file, and the error of every step."""
    rates = [(f"{name}:", f"{share:.3f}") for name, share in found.shares.items()]
    rates += [(f"{name}:", f"{value:.2f} us") for name, value in found.times_us.items()]
    rows = [
        (step.case, f"{step.measured.to('ms'):.3f} ms", f"{step.ours.to('ms'):.3f} ms", f"{step.error:+.1%}")
        for step in found.steps
    ]
    return f"{table(rates)}\n\n{table(rows, head=('step', 'measured', 'ours', 'error'), right=range(1, 4))}"


def _case(row: Row) -> str:
    return f"{row.case} (no room in {', '.join(row.misfits)})" if row.misfits else row.case


def _left_out(found: OffloadValidation) -> list[str]:
    summary = found.tuning.summary
    if summary is None:
        return []
    lead = (
        f"{summary.rows} published rows, each left out of the choice of {len(found.tuning.constants)} constants:"
        f" {summary.median:.1%} off in the median, 95 % of them within {summary.most:.1%}, the worst {summary.worst:.1%}"
    )
    sets = []
    for each in found.sets:
        alone = found.left_out_summary(each)
        without = (f"{alone.median:.1%}", f"{alone.worst:.1%}") if alone else ("", "")
        sets.append(
            (each.name, f"{len(each.rows)}", *without, f"{each.median_error:.1%}", f"{abs(each.largest_error):.1%}", each.title)
        )
    constants = [
        (
            each.tuned.name.replace(" ", ", "),
            f"{each.tuned.least:g} to {each.tuned.most:g}",
            f"{len(each.rows)}",
            f"{each.error:.1%}",
            f"{each.error_off:.1%}",
            each.tuned.why,
        )
        for each in found.tuning.constants
    ]
    told = "Constants: what each can be over what it is, and the root mean square of its rows' errors, now and with it 20 % off."
    return [
        lead,
        table(sets, head=_SETS_HEAD, right=range(1, 6)),
        f"{told}\n{table(constants, head=_TUNED_HEAD, right=range(1, 5))}",
    ]


def _set(found: OffloadValidation, each: ValidationSet) -> str:
    summary = (
        f"{each.name}: {each.title}; {len(each.rows)} rows, {found.fitted(each)} of them fitted;"
        f" error at most {abs(each.largest_error):.1%}, {each.median_error:.1%} in the median"
    )
    assumed = [f"assumed: {', '.join(each.assumed)}"] if each.assumed else []
    rows = [
        (
            _case(row),
            f"{row.ours:.4g}",
            f"{row.published:.4g}",
            row.unit,
            "" if (error := found.tuning.left_out.get((each.name, row.case))) is None else f"{error:+.1%}",
            f"{row.error:+.1%}",
            "yes" if found.is_fitted(each, row) else "",
        )
        for row in each.rows
    ]
    return "\n".join([summary, *assumed, table(rows, head=_OFFLOAD_HEAD, right=(1, 2, 4, 5))])
