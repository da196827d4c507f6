"""Knows how results read on a terminal: a few aligned lines for each kind of result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "accuracy_line",
    "aligned",
    "board_text",
    "compression_text",
    "export_text",
    "program_text",
    "reply_text",
    "simulation_line",
    "simulation_text",
    "size_text",
    "verdict_text",
    "verilog_text",
    "watts_text",
]

_UNITS = ("bytes", "KiB", "MiB", "GiB")
Document = Mapping[str, Any]


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """Return lines of name and value, the values below each other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def size_text(count: float) -> str:
    """Return a number of bytes in the unit that reads best."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}" if unit == 0 else f"{count:,.1f} {_UNITS[unit]}"


def compression_text(document: Document) -> str:
    """Return what a compression made."""
    recipe, geometry = document["recipe"], document["geometry"]
    shape = f"{document['architecture']}, {geometry['layers']} layers of {geometry['hidden']}"
    formats = ", ".join(f"{count} {name}" for name, count in document["formats"].items())
    return aligned(
        [
            ("model", f"{document['name']} ({shape})"),
            ("recipe", f"{recipe['name']}: {', '.join(dict.fromkeys(step['method'] for step in recipe['steps']))}"),
            ("matrices", formats),
            ("attention", document["attention"]),
            ("cache", document["cache"]),
            ("size", f"{size_text(document['bytes'])} in {document['folder']}"),
            ("fingerprint", document["fingerprint"][:16]),
        ]
    )


def export_text(document: Document) -> str:
    """Return what an export wrote."""
    return aligned(
        [
            ("model", f"{document['model']} ({document['architecture']}, {document['type']})"),
            ("size", f"{size_text(document['bytes'])} in {document['folder']}"),
            ("left out", f"8-bit activations, cache {document['cache']}, attention {document['attention']}"),
        ]
    )


def accuracy_line(document: Document) -> str:
    """Return perplexities in one line."""
    parts = [f"perplexity {document['perplexity']:.2f} in integers with {document['attention']}"]
    if document["float_perplexity"] is not None:
        parts.append(f"{document['float_perplexity']:.2f} float with the same (ratio {document['ratio']:.3f})")
    if document["dense_perplexity"] is not None:
        parts.append(f"{document['dense_perplexity']:.2f} float and dense")
    return f"{', '.join(parts)}; {document['tokens']:,} tokens"


def program_text(document: Document) -> str:
    """Return the sizes of a compilation."""
    rows = [("model", f"{document['model']} on {document['engine']}, attention {document['pattern']}")]
    for name in ("decode", "prefill"):
        program = document[name]
        kinds = ", ".join(f"{count} {kind}" for kind, count in list(program["kinds"].items())[:4])
        tokens = f"{program['rows']} token{'s' if program['rows'] > 1 else ''} a run"
        rows.append((name, f"{program['bytes']:,} bytes, {program['instructions']} instructions ({kinds}, ...), {tokens}"))
    rows.append(("positions", f"any below {document['max_position']:,}"))
    image = document["image"]
    if image is not None:
        rows.append(
            (
                "image",
                f"{image['ports']} ports of {size_text(image['port_bytes'])}, side {size_text(image['side_bytes'])}",
            )
        )
    return aligned(rows)


def simulation_text(document: Document) -> str:
    """Return cycles, bytes, token/s, and where the matrix unit's cycles went."""
    cycles, tokens = document["cycles"], document["tokens"]
    spent = sorted(((count, cause) for cause, count in document["causes"].items() if count), reverse=True)
    rates = f"{document['bytes_per_cycle']:.1f} a cycle, {document['fraction_of_peak']:.1%} of peak"
    formats = ", ".join(f"{name} {format}" for name, format in document["formats"].items())
    where = f"position {document['position']:,}, memory {document['memory']}"
    energy = document["energy"]
    of = f" of {document['sequences']} sequences" if document["sequences"] > 1 else ""
    return aligned(
        [
            ("run", f"{document['model']} {document['program']} on {document['engine']}, {formats}, {where}"),
            ("cycles", f"{cycles:,} for {tokens} token{'s' if tokens > 1 else ''}{of}"),
            ("speed", f"{document['token_per_s']:.1f} token/s at {document['clock_hz'] / 1e6:g} MHz"),
            ("bytes", f"{document['bytes']:,} ({rates})"),
            ("matrix unit", ", ".join(f"{cause.replace('_', ' ')} {count / cycles:.1%}" for count, cause in spent)),
            ("busy", ", ".join(f"{name} {share:.0%}" for name, share in document["units"].items())),
            ("power", f"{energy['card_w']:.1f} W of a card ({energy['board']}), {energy['token_per_j']:.2f} token/J"),
            ("energy", f"{watts_text(energy['watts'])}; {energy['assumed_share']:.0%} on assumed numbers"),
            ("simulated", f"in {document['wall_s']:.2f} s, {document['memory_mb']:.0f} MB"),
        ]
    )


def watts_text(watts: Mapping[str, float]) -> str:
    """Return power by part, the largest first."""
    spent = sorted(((value, name) for name, value in watts.items() if value), reverse=True)
    return ", ".join(f"{name.replace('_', ' ')} {value:.1f} W" for value, name in spent)


def prompt_text(document: Document) -> str:
    """Return what a whole prompt costs."""
    cycles = document["cycles"]
    spent = sorted(((count, cause) for cause, count in document["causes"].items() if count), reverse=True)
    return aligned(
        [
            ("prompt", f"{document['model']} on {document['engine']}, memory {document['memory']}"),
            ("cycles", f"{cycles:,} for {document['tokens']} tokens in {document['runs']} runs"),
            ("speed", f"{document['token_per_s']:.1f} token/s at {document['clock_hz'] / 1e6:g} MHz"),
            ("matrix unit", ", ".join(f"{cause.replace('_', ' ')} {count / cycles:.1%}" for count, cause in spent)),
        ]
    )


def simulation_line(document: Document) -> str:
    """Return cycles and token/s in one line."""
    return (
        f"{document['model']} {document['program']} on {document['engine']} at position {document['position']:,}:"
        f" {document['cycles']:,} cycles, {document['token_per_s']:.1f} token/s,"
        f" {document['fraction_of_peak']:.0%} of peak bandwidth"
    )


def reply_text(document: Document) -> str:
    """Return how fast an answer came."""
    return (
        f"{document['prompt_tokens']} prompt tokens in {document['prefill_s']:.1f} s,"
        f" then {document['token_per_s']:.1f} token/s in the engine's integers"
    )


def verilog_text(document: Document) -> str:
    """Return what Verilog was written."""
    lint = "" if document["lint"] is None else f", lint {document['lint']}"
    size = f"{document['lines']:,} lines in {len(document['files'])} files"
    package = "" if document["board"] is None else f", kernel package for {document['board']}"
    return f"{document['engine']}: {size}{lint}{package} ({document['folder']})"


def verdict_text(document: Document) -> str:
    """Return what a co-simulation found, a line for each case."""
    wraps = {text["position"]: text["ring_wraps"] for text in document["texts"]}
    rows = []
    for case in document["cases"]:
        times = wraps.get(case["position"], 0)
        ring = f", ring wrapped {times} time{'s' if times > 1 else ''}" if times else ""
        bits = f"{case['mismatches']:,} of {case['compared']:,} values differ"
        count = f"{case['instructions_compared']:,} instructions in {case['cycles']:,} cycles"
        cycles = f"{case['cycle_difference']:,} cycles difference over {count}"
        rows.append((f"position {case['position']}, {case['memory']}{ring}", f"{bits}; {cycles}"))
    built = f"built in {document['build_s']:.0f} s" if document["build_s"] else "built before"
    verilator = f"Verilator {document['verilator_cycles_per_s']:,.0f} cycles/s ({built})"
    simulator = f"simulator {document['cycles'] / document['simulator_s']:,.0f} cycles/s"
    rows.append(("speed", f"{verilator}, {simulator}"))
    sentence = "equal in every bit and every cycle" if document["is_equal"] else document["first"] or "not equal"
    return f"{document['model']} on {document['engine']}: {sentence}\n{aligned(rows)}"


def board_text(document: Document) -> str:
    """Return the verdict on a board."""
    verdict = "equal in every bit" if document["is_equal"] else document["first"]
    cycles, clock_hz = document["cycles"], document["clock_hz"]
    return aligned(
        [
            ("board", f"{document['model']} on {document['engine']}, device {document['board']}: {verdict}"),
            ("position", f"{document['position']}, {document['mismatches']:,} of {document['compared']:,} values differ"),
            ("cycles", f"{cycles:,} ({clock_hz / cycles:,.1f} token/s at {clock_hz / 1e6:g} MHz)"),
            ("simulated", f"{document['simulated_cycles']:,} cycles with ideal memory"),
            ("host", f"{document['run_s']:.2f} s for the image, the run and the memory back"),
        ]
    )
