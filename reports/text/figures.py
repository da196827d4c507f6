"""Numbers as people read them: sizes, counts of tokens, times, and figures with as many digits as a reader takes in."""

from collections.abc import Mapping

__all__ = ["figure_text", "plural", "size_text", "time_text", "tokens_text", "watts_text"]

_BINARY = ("bytes", "KiB", "MiB", "GiB")
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def size_text(count: float) -> str:
    """Return a number of bytes in the binary unit that reads best: `28.5 MiB`."""
    unit = 0
    while count >= 1024 and unit < len(_BINARY) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:,.0f} {_BINARY[unit]}" if unit == 0 else f"{count:,.1f} {_BINARY[unit]}"


def figure_text(value: float) -> str:
    """Return a number with as many digits as a reader takes in."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def time_text(seconds: float) -> str:
    """Return a time in seconds, milliseconds or microseconds."""
    scale, unit = next((entry for entry in _SECONDS if seconds >= entry[0]), _SECONDS[-1])
    return f"{figure_text(seconds / scale)} {unit}"


def tokens_text(tokens: float) -> str:
    """Return a number of tokens as people say it: 4K, 128K, 1M."""
    thousands = tokens / 1024
    if thousands < 1:
        return f"{tokens:.0f}"
    return f"{thousands:.3g}K" if thousands < 1000 else f"{thousands / 1024:.3g}M"


def watts_text(watts: Mapping[str, float]) -> str:
    """Return power in watts by part, the largest first."""
    spent = sorted(((value, name) for name, value in watts.items() if value), reverse=True)
    return ", ".join(f"{name.replace('_', ' ')} {value:.1f} W" for value, name in spent)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: `1 token`, `4 tokens`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
