"""Compiled programs and their simulated runs as lines."""

from lamforge.flow.programs import Programs, instruction_counts
from lamforge.flow.simulate import PromptTiming, Timing
from reports.text.figures import plural, size_text, watts_text
from reports.text.table import table

__all__ = ["programs_text", "prompt_text", "timing_line", "timing_text"]


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
    return table(rows)


def timing_text(timing: Timing) -> str:
    """Return cycles, bytes, token/s, where the matrix unit's cycles went, and energy."""
    formats = ", ".join(f"{name} {format}" for name, format in timing.formats.items())
    where = f"position {timing.position:,}, memory {timing.memory}"
    energy = timing.energy
    sequences = timing.program.sequences
    of = f" of {sequences} sequences" if sequences > 1 else ""
    rates = f"{timing.bytes_per_cycle:.1f} a cycle, {timing.fraction_of_peak:.1%} of peak"
    return table(
        [
            ("run", f"{timing.model} {timing.program.name} on {timing.engine.name}, {formats}, {where}"),
            ("cycles", f"{timing.cycles:,} for {plural(timing.tokens, 'token')}{of}"),
            ("speed", _speed(timing)),
            ("bytes", f"{timing.total_bytes:,} ({rates})"),
            ("matrix unit", _spent(timing)),
            ("busy", ", ".join(f"{name} {share:.0%}" for name, share in timing.busy.items())),
            ("power", f"{energy.card_w:.1f} W of a card ({energy.board}), {energy.token_per_joule:.2f} token/J"),
            ("energy", f"{watts_text(energy.watts)}; {energy.assumed_share:.0%} on assumed numbers"),
            ("simulated", f"in {timing.wall_s:.2f} s, {timing.memory_mb:.0f} MB"),
        ]
    )


def prompt_text(timing: PromptTiming) -> str:
    """Return what a whole prompt costs."""
    return table(
        [
            ("prompt", f"{timing.model} on {timing.engine.name}, memory {timing.memory}"),
            ("cycles", f"{timing.cycles:,} for {timing.tokens} tokens in {timing.runs} runs"),
            ("speed", _speed(timing)),
            ("matrix unit", _spent(timing)),
        ]
    )


def timing_line(timing: Timing) -> str:
    """Return cycles and token/s in one line."""
    return (
        f"{timing.model} {timing.program.name} on {timing.engine.name} at position {timing.position:,}:"
        f" {timing.cycles:,} cycles, {timing.token_per_s:.1f} token/s,"
        f" {timing.fraction_of_peak:.0%} of peak bandwidth"
    )


def _speed(timing: Timing | PromptTiming) -> str:
    return f"{timing.token_per_s:.1f} token/s at {timing.engine.clock_hz / 1e6:g} MHz"


def _spent(timing: Timing | PromptTiming) -> str:
    """Return the shares of the matrix unit's cycles by cause, the largest first."""
    spent = sorted(((count, cause) for cause, count in timing.causes["matrix"].items() if count), reverse=True)
    return ", ".join(f"{cause.replace('_', ' ')} {count / timing.cycles:.1%}" for count, cause in spent)
