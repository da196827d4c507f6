"""Compiled programs, the compiler's graph and assembly listings as plain values."""

from __future__ import annotations

from typing import Any

from hwsim.arch.program import Program
from lamforge.flow.disasm import Listing
from lamforge.flow.programs import Programs, instruction_counts

__all__ = ["graph_document", "listing_document", "programs_document"]


def programs_document(programs: Programs) -> dict[str, Any]:
    """Return sizes, counts and digests of a compilation."""
    image = programs.image
    return {
        "model": programs.model,
        "engine": programs.engine.name,
        "engine_digest": programs.engine.digest,
        "formats": dict(programs.formats),
        "pattern": programs.pattern,
        "max_position": programs.decode.max_position,
        "decode": _program(programs.decode),
        "prefill": _program(programs.prefill),
        "image": None
        if image is None
        else {
            "ports": int(image.ports.shape[0]),
            "port_bytes": int(image.ports.shape[1]),
            "side_bytes": len(image.side),
            "digest": image.digest,
        },
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


def _program(program: Program) -> dict[str, Any]:
    return {
        "instructions": len(program.words),
        "bytes": program.size_bytes,
        "rows": program.rows,
        "kinds": instruction_counts(program),
        "digest": program.digest,
    }
