"""Writes a compressed model of a well-known shape with random weights, for what needs weights of a size but not their values.

`python -m lamforge.flow.dummy llama-2-7b -o build/llama` needs as much disk as the model has bytes, and memory for one file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from hwsim.arch.isa import Format
from hwsim.errors import LamforgeError
from lamforge.flow.simulation import SINKS, format_named
from models import compressed
from models.attention import parse
from models.shaped import shaped_model
from models.zoo import shape
from reports.text.tables import size_text

__all__ = ["PATTERN", "main", "write_shaped"]

PATTERN = f"lambda:{SINKS}+2044"
"""Attention pattern of a model when none is named: the published AccLLM point."""


def write_shaped(
    name: str,
    folder: Path,
    *,
    format: Format = Format.W2S,
    head: Format = Format.W4,
    pattern: str = PATTERN,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write a compressed model of a shape; equal arguments give equal weights.

    Raises:
        CheckpointError: no such shape.
        SpecError: the pattern or the folder is wrong.
    """
    made = shaped_model(shape(name), format=format, head=head, pattern=parse(pattern), seed=seed)
    compressed.save(made, folder, progress=progress)


def main(arguments: list[str] | None = None) -> None:
    """Write a model as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m lamforge.flow.dummy", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("shape", help="name of a shape, such as llama-2-7b")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write the model into")
    parser.add_argument("--format", default="w2s", help="weight format of the layers (default: w2s)")
    parser.add_argument("--head", default="w4", help="weight format of the head (default: w4)")
    parser.add_argument("--attention", default=PATTERN, help="attention pattern (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    given = parser.parse_args(arguments)
    try:
        with Progress(console=Console(stderr=True)) as bars:
            task = bars.add_task("weights", total=1.0)
            write_shaped(
                given.shape,
                given.output,
                format=format_named(given.format),
                head=format_named(given.head),
                pattern=given.attention,
                seed=given.seed,
                progress=lambda fraction: bars.update(task, completed=fraction),
            )
    except LamforgeError as error:
        parser.exit(2, f"{error}\n")
    size = sum(path.stat().st_size for path in given.output.iterdir())
    sys.stdout.write(f"{given.shape}: {size_text(size)} in {given.output}\n")


if __name__ == "__main__":
    main()
