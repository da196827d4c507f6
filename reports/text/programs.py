"""Compiled programs as lines."""

from __future__ import annotations

from lamforge.flow.programs import Programs, instruction_counts
from reports.text.figures import plural, size_text
from reports.text.table import fields

__all__ = ["programs_text"]


def programs_text(programs: Programs) -> str:
    """Return the sizes of a compilation."""
    rows = [("model", f"{programs.model} on {programs.engine.name}, attention {programs.pattern}")]
    for name, program in (("decode", programs.decode), ("prefill", programs.prefill)):
        kinds = ", ".join(f"{count} {kind}" for kind, count in list(instruction_counts(program).items())[:4])
        tokens = f"{plural(program.rows, 'token')} a run"
        rows.append((name, f"{program.size_bytes:,} bytes, {len(program.words)} instructions ({kinds}, ...), {tokens}"))
    rows.append(("positions", f"any below {programs.decode.max_position:,}"))
    if programs.image is not None:
        ports, port_bytes = programs.image.ports.shape
        rows.append(("image", f"{ports} ports of {size_text(port_bytes)}, side {size_text(len(programs.image.side))}"))
    return fields(rows)
