"""The block diagram of an engine, drawn from its configuration: ports, tiles, memories with their sizes, units and buses."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwsim.arch import timing
from hwsim.arch.config import LANES_PER_SLICE, SLICE_BITS, EngineConfig, load_engine
from hwsim.arch.fields import WORD_BITS
from reports.pictures.svg import drawing, path, rectangle, text
from reports.text.figures import plural

__all__ = ["engine_diagram"]

_WIDTH, _HEIGHT = 1300, 800
_LINE, _WIRE_GAP = 17, 26
_SEGMENT = 64
_FIXED_BITS = 32
# Colours of their own, on white: a file that stands alone has no page around it.
_STYLE = """<style>
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f; }
.name { font-size: 14px; font-weight: 600; } .note { font-size: 11px; fill: #57606a; }
.page { fill: #ffffff; } .frame { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5; }
.outside { fill: #ffffff; stroke: #57606a; stroke-dasharray: 5 3; } .group { fill: none; stroke: #8c959f; stroke-dasharray: 3 3; }
.unit { fill: #ddf4ff; stroke: #0969da; } .memory { fill: #fff8c5; stroke: #9a6700; } .queue { fill: #eaeef2; stroke: #57606a; }
.data { fill: none; stroke: #0969da; stroke-width: 2; } .tip { fill: #0969da; }
.order { fill: none; stroke: #6e7781; stroke-width: 1.5; } .order-tip { fill: #6e7781; }
</style>"""


def engine_diagram(engine: EngineConfig) -> str:
    """Return the block diagram of an engine as an SVG document that needs nothing else."""
    parts = [_STYLE, rectangle(0, 0, _WIDTH, _HEIGHT, "page"), *_surroundings(engine), *_control(engine), *_units(engine)]
    parts += [*_memories(engine), *_wires(engine)]
    picture = drawing(_WIDTH, _HEIGHT, f"Block diagram of the engine {engine.name}", parts)
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _box(x: float, y: float, width: float, height: float, kind: str, name: str, lines: Sequence[str] = ()) -> Iterator[str]:
    """Draw a box with its name in bold and lines of text below it, all centred."""
    yield rectangle(x, y, width, height, kind, radius=6)
    yield text(x + width / 2, y + 20, name, "name", anchor="middle")
    for number, content in enumerate(lines, start=1):
        yield text(x + width / 2, y + 20 + number * _LINE, content, anchor="middle")


def _arrow(points: Sequence[tuple[float, float]], kind: str = "data", *, is_double: bool = False) -> Iterator[str]:
    """Draw a line through points with a tip at its end, or at both; the segments are horizontal or vertical."""
    tip = "tip" if kind == "data" else f"{kind}-tip"
    yield path(points, kind)
    ends = [(points[-2], points[-1])] + ([(points[1], points[0])] if is_double else [])
    for (from_x, from_y), (x, y) in ends:
        back_x, back_y = (8 if from_x > x else -8 if from_x < x else 0), (8 if from_y > y else -8 if from_y < y else 0)
        side_x, side_y = (0, 4) if back_x else (4, 0)
        corners = [(x, y), (x + back_x + side_x, y + back_y + side_y), (x + back_x - side_x, y + back_y - side_y)]
        yield path(corners, tip, is_closed=True)


def _surroundings(engine: EngineConfig) -> Iterator[str]:
    """Draw the frame of the engine, and what lies outside it: the host and the memories."""
    tile = engine.tile
    yield rectangle(255, 50, 1025, 735, "frame", radius=10)
    slices = f"{plural(tile.slices, 'slice')} of {LANES_PER_SLICE} lanes"
    yield text(270, 36, f"Engine {engine.name}, {engine.clock_hz / 1e6:g} MHz, {slices}", "name")
    yield from _box(15, 85, 140, 70, "outside", "Host", ["starts, waits, reads"])
    ports = [f"{tile.ports} x {_size(engine.channel_bytes)}", "", "weights, and cached", "keys and values"]
    yield from _box(15, 285, 140, 130, "outside", "Port memories", ports)
    yield from _box(15, 680, 140, 90, "outside", "Side memory", ["program, inputs,", "norm gains, logits"])


def _control(engine: EngineConfig) -> Iterator[str]:
    """Draw control and the queues of the four units."""
    control = engine.control
    lines = [
        f"program memory of {control.program_words:,} x {WORD_BITS} bit; registers and loops; token counters between units",
        f"AXI4-Lite registers; error register; watchdog after {control.watchdog_cycles:,} cycles without progress",
    ]
    yield from _box(290, 75, 970, 72, "unit", "CONTROL", lines)
    for x in (370, 665, 1117, 1222):
        yield rectangle(x - 38, 168, 76, 24, "queue", radius=4)
        yield text(x, 184, f"queue of {control.queue_depth}", anchor="middle")
        yield from _arrow([(x, 147), (x, 168)], "order")


def _units(engine: EngineConfig) -> Iterator[str]:
    """Draw FETCH, MATRIX, VECTOR and MOVER."""
    tile, fetch, lanes = engine.tile, engine.fetch, engine.vector.lanes
    readers = [plural(tile.ports, "port reader"), f"bursts of {fetch.burst_beats} beats"]
    yield from _box(290, 225, 160, 245, "unit", "FETCH", readers)
    fifos = [f"{fetch.fifo_beats:,} beats each,", f"{_size(tile.beat_bytes * fetch.fifo_beats)} in all"]
    yield from _box(305, 320, 130, 80, "memory", plural(tile.ports, "FIFO"), fifos)
    yield from _box(540, 225, 250, 245, "unit", "MATRIX")
    behind = min(tile.ports - 1, 2)
    for offset in range(behind * 5, -1, -5):
        yield rectangle(555 + offset, 257 + offset, 210, 110, "queue", radius=6)
    rows = plural(tile.tokens, "token row")
    two_kinds = [f"{rows} with 2-bit codes", f"{tile.nibble_rows} with 4-bit codes"]
    row_lines = [f"{rows} with every format"] if tile.nibble_rows == tile.tokens else two_kinds
    slice_lines = [f"a slice: {SLICE_BITS} bit a beat,", f"{LANES_PER_SLICE} lanes for each row", *row_lines]
    tiles = f"{plural(tile.ports, 'tile')} of {plural(tile.slices_per_port, 'slice')}"
    yield from _box(555, 257, 210, 110, "queue", tiles, slice_lines)
    drained = [f"{lanes} values a cycle: scale,", "residual, bias, saturation"]
    yield from _box(555, 395, 220, 62, "queue", "drain and epilogue", drained)
    passes = ["", f"{lanes} lanes", "", "first pass:", "norm, gate,", "rotation, softmax", "", "temporary memory"]
    passes += ["Z between them:", f"{engine.temporary_words:,} words", ""]
    passes += ["second pass:", "8-bit codes, or", "codes of the cache", ""]
    yield from _box(1050, 225, 135, 345, "unit", "VECTOR", [*passes, f"{timing.VECTOR_ROWS} rows in flight"])
    moves = [
        "LOAD: side memory to X or P; STORE: Y to side memory; APPEND: pack buffer to port memories",
        f"reads in bursts of {timing.SIDE_BURST_BEATS} beats, writes in single beats; {timing.MOVER_WRITES} instructions in flight",
    ]
    yield from _box(290, 690, 895, 75, "unit", "MOVER", moves)


def _memories(engine: EngineConfig) -> Iterator[str]:
    """Draw the memories between the units."""
    buffer, tile, lanes = engine.buffer, engine.tile, engine.vector.lanes
    yield rectangle(855, 225, 160, 345, "group", radius=8)
    fixed = [("Y result", buffer.result_words), ("H value params", buffer.side_words)]
    fixed += [("X residual", buffer.residual_words), ("P parameters", buffer.parameter_words)]
    for (name, words), y in zip(fixed, (235, 319, 403, 487), strict=True):
        lines = [f"{words:,} x {lanes} x {_FIXED_BITS} bit", _size(words * lanes * _FIXED_BITS // 8)]
        yield from _box(865, y, 140, 72, "memory", name, lines)
    segments = f"{buffer.activation_segments:,} x {tile.tokens} x {_SEGMENT} x 8 bit"
    activations = [segments, _size(buffer.activation_segments * tile.tokens * _SEGMENT)]
    yield from _box(540, 505, 150, 72, "memory", "A activations", activations)
    yield from _box(702, 505, 88, 72, "memory", "Scale file", [plural(buffer.scales, "scale")])
    yield from _box(1050, 605, 135, 55, "memory", "Pack buffer", ["cache codes"])


def _wires(engine: EngineConfig) -> Iterator[str]:
    """Draw the buses and the ways of data between units and memories."""
    tile = engine.tile
    yield from _arrow([(155, 120), (290, 120)], is_double=True)
    yield from _label(205, 108, ["AXI4-Lite", "32 bit"])
    yield from _arrow([(155, 350), (290, 350)])
    rate = f"{engine.peak_bytes_per_s / 1e9:,.1f} GB/s"
    yield from _label(205, 338, ["AXI4 read", f"{tile.ports} x {tile.port_bits} bit", rate])
    yield from _arrow([(155, 725), (290, 725)], is_double=True)
    yield from _label(215, 713, ["AXI4", f"{SLICE_BITS} bit"])
    yield from _arrow([(180, 725), (180, 620), (85, 620), (85, 415)])
    yield text(95, 520, "appends", "note")
    yield from _arrow([(290, 750), (275, 750), (275, 133), (290, 133)], "order")
    yield text(269, 560, "program", "note", anchor="middle", turn=-90)
    for x in (370, 665, 1117):
        yield from _arrow([(x, 192), (x, 225)], "order")
    yield from _arrow([(1222, 192), (1222, 728), (1185, 728)], "order")
    yield from _arrow([(450, 350), (540, 350)])
    yield from _label(495, 338, ["streams", f"{tile.ports * tile.port_bits:,} bit", "a cycle"])
    for y, is_double in ((271, False), (355, False), (439, True)):
        yield from _arrow([(790, y), (865, y)], is_double=is_double)
    yield from _label(822, 259, ["results"])
    yield from _label(822, 343, ["from keys"])
    yield from _label(822, 427, ["residual"])
    yield from _arrow([(865, 540), (830, 540), (830, 460), (790, 460)])
    yield from _label(829, 556, ["bias"])
    for y in (271, 355, 439, 523):
        yield from _arrow([(1005, y), (1050, y)])
    yield from _arrow([(1080, 570), (1080, 592), (615, 592), (615, 577)])
    yield from _arrow([(746, 592), (746, 577)])
    yield from _label(680, 608, ["codes and scales"])
    for x in (615, 746):
        yield from _arrow([(x, 505), (x, 470)])
    yield from _arrow([(1135, 570), (1135, 605)])
    yield from _arrow([(1117, 660), (1117, 690)])
    yield from _arrow([(905, 690), (905, 570)])
    yield from _arrow([(965, 570), (965, 690)])
    yield text(898, 650, "loads to X, P", "note", anchor="end")
    yield text(972, 650, "stores of Y", "note")


def _label(x: float, y: float, lines: Sequence[str]) -> Iterator[str]:
    """Write small lines about a point: the first at it, the second so far below that a wire fits between."""
    for number, content in enumerate(lines):
        yield text(x, y + (_WIRE_GAP + (number - 1) * 14 if number else 0), content, "note", anchor="middle")


def _size(count: int) -> str:
    """Return a number of bytes as people say it; memories are whole or half kibibytes."""
    value, unit = (count / 1024, "KiB") if count < 1 << 20 else (count / (1 << 20), "MiB")
    return f"{value:,.1f}".removesuffix(".0") + f" {unit}"


def main(arguments: Sequence[str]) -> None:
    """Write the diagram of the engine named first to the file named second."""
    Path(arguments[1]).write_text(engine_diagram(load_engine(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
