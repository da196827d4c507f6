"""Compiled programs, the compiler's graph, assembly listings and simulated runs as plain values."""

from typing import Any

from hwsim.arch.program import Program
from lamforge.flow.disasm import Listing
from lamforge.flow.programs import Programs, instruction_counts
from lamforge.flow.simulate import PromptTiming, Timing

__all__ = ["graph_document", "listing_document", "programs_document", "prompt_document", "timing_document"]


def programs_document(programs: Programs) -> dict[str, Any]:
    """Return sizes, counts and digests of a compilation."""
    image = None
    if programs.image is not None:
        side, (ports, port_bytes) = programs.image.side, programs.image.ports.shape
        image = {"ports": ports, "port_bytes": port_bytes, "side_bytes": len(side), "digest": programs.image.digest}
    return {
        "model": programs.model,
        "engine": programs.engine.name,
        "engine_digest": programs.engine.digest,
        "formats": dict(programs.formats),
        "pattern": programs.pattern,
        "max_position": programs.decode.max_position,
        "decode": _program(programs.decode),
        "prefill": _program(programs.prefill),
        "image": image,
    }


def graph_document(text: str) -> dict[str, Any]:
    """Return the lines of a graph."""
    return {"graph": text.splitlines()}


def listing_document(listing: Listing) -> dict[str, Any]:
    """Return every word with its instruction and the graph node it came from."""
    lines = zip(listing.words, listing.lines, listing.symbols, strict=True)
    return {
        "instructions": [
            {"index": index, "word": f"{word:032x}", "text": text, "symbol": symbol}
            for index, (word, text, symbol) in enumerate(lines)
        ]
    }


def timing_document(timing: Timing) -> dict[str, Any]:
    """Return cycles, bytes, token/s, what every cycle was spent on, and energy."""
    timeline, energy = timing.timeline, timing.energy
    return {
        "model": timing.model,
        "engine": timing.engine.name,
        "program": timing.program.name,
        "memory": str(timing.memory),
        "position": timing.position,
        "formats": dict(timing.formats),
        "tokens": timing.tokens,
        "sequences": timing.program.sequences,
        "cycles": timing.cycles,
        "clock_hz": timing.engine.clock_hz,
        "token_per_s": timing.token_per_s,
        "bytes": timing.total_bytes,
        "stream_bytes": timeline.stream_bytes,
        "side_read_bytes": timeline.side_read_bytes,
        "side_write_bytes": timeline.side_write_bytes,
        "bytes_per_cycle": timing.bytes_per_cycle,
        "fraction_of_peak": timing.fraction_of_peak,
        "causes": dict(timing.causes["matrix"]),
        "unit_causes": {unit: dict(causes) for unit, causes in timing.causes.items()},
        "units": timing.busy,
        "energy": {
            "board": energy.board,
            "joules": energy.joules,
            "watts": energy.watts,
            "card_j": energy.card_j,
            "card_w": energy.card_w,
            "chip_w": energy.chip_w,
            "token_per_j": energy.token_per_joule,
            "assumed_share": energy.assumed_share,
        },
        "instructions": len(timeline.pc),
        "program_bytes": timing.program.size_bytes,
        "wall_s": timing.wall_s,
        "memory_mb": timing.memory_mb,
    }


def prompt_document(timing: PromptTiming) -> dict[str, Any]:
    """Return cycles, token/s and what the matrix unit's cycles were spent on."""
    return {
        "model": timing.model,
        "engine": timing.engine.name,
        "memory": str(timing.memory),
        "clock_hz": timing.engine.clock_hz,
        "tokens": timing.tokens,
        "runs": timing.runs,
        "cycles": timing.cycles,
        "causes": dict(timing.causes["matrix"]),
        "token_per_s": timing.token_per_s,
    }


def _program(program: Program) -> dict[str, Any]:
    return {
        "instructions": len(program.words),
        "bytes": program.size_bytes,
        "rows": program.rows,
        "kinds": instruction_counts(program),
        "digest": program.digest,
    }
