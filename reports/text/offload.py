"""Estimates and comparisons of offloading as text for the terminal."""

from collections.abc import Callable, Iterable, Mapping

from hwsim.offload.answer import Tier
from hwsim.offload.dependence import Dependence
from hwsim.units import Quantity
from lamforge.flow.offload.compare import Comparison, Line
from lamforge.flow.offload.list import Listing
from lamforge.flow.offload.run import Estimate, largest_first
from lamforge.flow.offload.search import BestPlacement
from reports.text.figures import figure_text, time_text, tokens_text
from reports.text.table import table

__all__ = ["comparison_text", "estimate_text", "listing_text", "placement_text"]

_SHOWN_CONTEXTS = 6
"""Contexts of a comparison that a terminal has columns for."""
_SHOWN_PARTS = 4
_SHOWN_NUMBERS = 6
_LEAST_SHOWN = 0.005
"""Percent of the speed for one percent of a number."""
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_MISFIT = "does not fit"


def estimate_text(found: Estimate) -> str:
    """Return what a system does with a workload."""
    answer, work = found.answer, found.answer.work
    prefill, step = answer.prefill, answer.step
    amount = f"{work.prompt:,.0f} + {work.generated:,.0f} tokens, batch {work.batch:,.0f}"
    whole, between = figure_text(found.token_per_s), figure_text(found.decode_token_per_s)
    price = ""
    if found.price_usd is not None and found.usd_per_million_tokens is not None:
        cost = f"{found.usd_per_million_tokens:,.2f} USD a million tokens over three years"
        price = f", {found.price_usd:,.0f} USD of devices: {cost}"
    misfits = [(_MISFIT, _tiers(tier for tier in answer.tiers if tier.over.value > 0))] if not found.fits else []
    return table(
        [
            ("system", found.contender.title),
            ("work", f"{work.network.name}, {amount}"),
            (
                "devices",
                "; ".join([*(f"{part.count} x {part.device.title}" for part in answer.parts), *filter(None, [answer.way])]),
            ),
            *misfits,
            ("first token", f"{time_text(found.first_token_s)}: {_parts(prefill.charged, time_text)}"),
            ("token", f"{time_text(found.step_s)}: {_parts(step.charged, time_text)}"),
            ("binding", f"{found.binding} in a step, {prefill.binding()} in the prompt"),
            ("speed", f"{whole} token/s in all, {between} between tokens"),
            ("moved", f"{_parts(prefill.moved, _size)} for the prompt; {_parts(step.moved, _size)} a step"),
            ("energy", f"{figure_text(found.joules_per_token)} J a token{price}"),
            ("memory", _tiers(answer.tiers)),
            ("depends on", _dependences(found.depends_on)),
            ("assumed", _assumed(found)),
        ]
    )


def comparison_text(found: Comparison) -> str:
    """Return tokens per second over contexts, what binds, and where systems change places."""
    crossed = [f"{tokens_text(each.context)}: {each.after} overtakes {each.before}" for each in found.crossovers]
    batches = found.batches
    batch = f"batch {batches[0]}" if len(batches) == 1 else f"each in the best batch of {batches[0]} to {batches[-1]}"
    lead = f"{found.network.name}, {found.generated} tokens generated, {batch}"
    if found.at is not None:
        # Everything of one context, the fastest first.
        lead = f"{lead}, after {found.at.contexts[0]:,.0f} tokens of prompt"
        head = ["system", "token/s", "batch", "first token", "token", "J a token", "USD a million", "binding"]
        rows = [_figures(line) for line in found.at.fastest_first]
    else:
        lead, places = f"{lead}; what binds behind each figure", found.spread(_SHOWN_CONTEXTS)
        head = ["token/s", *(tokens_text(found.contexts[place]) for place in places)]
        rows = [[line.contender.name, *(_cell(line, place) for place in places)] for line in found.lines]
    return "\n".join([lead, "", table(rows, head=head), "", *(crossed or ["Nothing changes places."])])


def placement_text(found: BestPlacement) -> str:
    """Return the best placement and what it does."""
    shares = [
        (name, f"{split.gpu:.2f} % GPU, {split.host:.2f} % host, {split.drive:.2f} % drive") for name, split in found.splits.items()
    ]
    attends = "host" if found.system.has_host_attention else "GPU"
    batches = f"{found.system.batches} of {found.batch_size}, {attends} attends"
    return "\n".join([table([*shares, ("batches", batches)]), estimate_text(found.estimate)])


def listing_text(found: Listing) -> str:
    """Return the systems, the formats and the networks there are."""
    bits = [
        (name, f"{each.weight:g} bits a weight, {each.activation:g} a value between operators, {each.cache:g} a cached value")
        for name, each in found.formats.items()
    ]
    together = "Parts of formats go together in this order, as in w2a8kv4; what is not named has 16 bits."
    return "\n\n".join([table(list(found.systems.items())), table(bits), together, f"networks: {', '.join(found.networks)}"])


def _cell(line: Line, place: int) -> str:
    binding = line.binding[place]
    return _MISFIT if binding is None else f"{figure_text(line.token_per_s[place])} {binding}"


def _figures(line: Line) -> list[str]:
    binding, cost = line.binding[0], line.values("usd_per_million_tokens")[0]
    if binding is None:
        return [line.contender.name, _MISFIT]
    return [
        line.contender.name,
        figure_text(line.token_per_s[0]),
        f"{line.batch[0]:.0f}",
        time_text(line.first_token_s[0]),
        time_text(line.step_s[0]),
        figure_text(line.joules_per_token[0]),
        "" if cost is None else figure_text(cost),
        binding,
    ]


def _dependences(found: Mapping[str, Dependence]) -> str:
    """Return the numbers that change the speed most: by how many percent for one percent of the number."""
    most = [(name, each.elasticity) for name, each in found.items() if abs(each.elasticity) >= _LEAST_SHOWN][:_SHOWN_NUMBERS]
    return ", ".join(f"{name} {elasticity:+.2f}" for name, elasticity in most) or "nothing"


def _assumed(found: Estimate) -> str:
    some = sum(each.fact.is_assumed for each in found.depends_on.values())
    return (
        f"{found.assumed_share:.0%} of {found.numbers} numbers of these devices; {some} of {len(found.depends_on)} that change this"
    )


def _parts(values: Mapping[str, Quantity], shown: Callable[[float], str]) -> str:
    listed = [f"{name} {shown(value)}" for name, value in list(largest_first(values).items())[:_SHOWN_PARTS]]
    return ", ".join(listed) or "nothing"


def _tiers(tiers: Iterable[Tier]) -> str:
    return "; ".join(map(_tier, tiers))


def _tier(tier: Tier) -> str:
    used, capacity, over = (_size(float(size.value)) for size in (tier.used, tier.capacity, tier.over))
    return f"{tier.name} {used} of {capacity}" + (f", over by {over}" if tier.over.value > 0 else "")


def _size(count: float) -> str:
    """Return a number of bytes in the decimal unit that reads best, as devices are sold."""
    scale, unit = next((entry for entry in _SIZES if count >= entry[0]), _SIZES[-1])
    return f"{figure_text(count / scale)} {unit}"
