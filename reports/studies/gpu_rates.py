"""Knows the rates of a GPU from its measurements: what `hwsim/specs/devices/gpus` has of a GPU that reports.studies.gpu_baseline ran on.

`python -m reports.studies.gpu_rates FILE [--gpu NAME]` fits the rates to the operators of a result file and prints them as fields of a
GPU's file, with the error of every step of a network, none of which is used.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.errors import LamforgeError, SpecError
from hwsim.offload.decoder import GpuDecoder
from hwsim.offload.devices import GPUS, Gpu
from hwsim.offload.operators import GpuRates, Shape
from hwsim.offload.span import repeated, serial
from hwsim.units import Seconds
from models.zoo import network

__all__ = ["FEW_ROWS", "MANY_ROWS", "PREFILL_FITTED", "WAY", "Step", "fitted", "steps"]

WAY = "cudnn"
"""Kernels of attention: those of the measured steps."""
FEW_ROWS, MANY_ROWS = (1, 64), (16384,)
"""Rows of products that rates come from: few read weights, many compute."""
PREFILL_FITTED = 32768
"""Tokens of the prompts that the rate of their attention comes from."""
_SMALL_COLUMNS = 4096
"""Of the rows that the launch comes from."""

_REFUSED = 2
Measured = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A step, or a prompt, of a network: measured and as the model has it."""

    case: str
    measured: Seconds
    ours: Seconds

    @property
    def error(self) -> float:
        """How far ours is above the measured time, as a fraction of it."""
        return float(self.ours / self.measured) - 1


def fitted(gpu: Gpu, found: Measured) -> GpuRates:
    """Return what a GPU reaches, from the operators of its result file.

    Raises:
        SpecError: a kind of rows is missing.
    """
    try:
        few, many = ([row for row in found["product"] if row["rows"] in rows] for rows in (FEW_ROWS, MANY_ROWS))
        single = [row for row in found["decode_attention"] if row["way"] == WAY and row["batch"] == 1]
        long = [row for row in found["prefill_attention"] if row["way"] == WAY and row["tokens"] == PREFILL_FITTED]
        small = [row["seconds"] for row in found["pointwise"] if row["rows"] == 1 and row["columns"] == _SMALL_COLUMNS]
        dim = found["settings"]["head_dim"]
        computing = float(np.median([2.0 * row["rows"] * row["columns"] * row["inner"] / row["seconds"] for row in many]))
        attending = float(np.median([2.0 * row["heads"] * dim * row["tokens"] ** 2 / row["seconds"] for row in long]))
        weights, product_launch = _line([_product_bytes(row) for row in few], [row["seconds"] for row in few])
        sizes = [4.0 * row["keys"] * row["kv_heads"] * dim for row in single]
        cached, attention_launch = _line(sizes, [row["seconds"] for row in single])
        launch = float(np.mean(small))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SpecError(f"Measurements must be what reports.studies.gpu_baseline writes, but lack {error}") from None
    peak, memory = float(gpu.fp16_rate.value.value), float(gpu.memory_rate.value.value)
    return dataclasses.replace(
        gpu.rates(),
        product_share=computing / peak,
        memory_share=weights / memory,
        attention_share=cached / memory,
        prompt_attention_share=attending / peak,
        launch=Seconds(launch),
        product_launch=Seconds(product_launch),
        attention_launch=Seconds(attention_launch),
    )


def steps(rates: GpuRates, found: Measured) -> Iterator[Step]:
    """Yield every step and prompt that was measured, beside ours."""
    for row in found["network"]:
        if row["seconds"] is None:
            continue
        sizes = network(row["network"])
        work = Workload(network=sizes, prompt=row["tokens"], generated=1, batch=row["batch"])
        decoder = GpuDecoder(gpu=rates, work=work)
        layer = decoder.layer(1, row["tokens"]) if row["phase"] == "decode" else decoder.prompt()
        yield Step(
            case=f"{sizes.name}, {row['phase']}, batch {row['batch']}, {row['tokens']} tokens",
            measured=Seconds(row["seconds"]),
            ours=serial(repeated(layer, sizes.layers), decoder.head()).time,
        )


def _product_bytes(row: Measured) -> float:
    return float(Shape(rows=row["rows"], columns=row["columns"], inner=row["inner"]).bytes.value)


def _line(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return (bytes per second, seconds beside them) of the line with the least relative errors."""
    times = np.array(seconds)
    table = np.stack([np.array(sizes), np.ones(len(times))], axis=1) / times[:, None]
    slope, beside = np.linalg.lstsq(table, np.ones(len(times)), rcond=None)[0]
    return 1 / float(slope), max(0.0, float(beside))


def _text(rates: GpuRates) -> str:
    shares = ("product_share", "memory_share", "attention_share", "prompt_attention_share")
    lines = [f"{name}: {getattr(rates, name):.3f}" for name in shares]
    times = ("launch", "product_launch", "attention_launch")
    return "\n".join([*lines, *(f"{name}: {float(getattr(rates, name).to('us')):.2f} us" for name in times)])


def _line_of(step: Step) -> str:
    return f"{step.case:<55}{step.measured.to('ms'):>11.3f} ms{step.ours.to('ms'):>11.3f} ms{step.error:>+8.1%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rates and the errors, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reports.studies.gpu_rates", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--gpu", default="h200", help="GPU's file, for its datasheet (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        found = json.loads(given.file.read_text(encoding="utf-8"))
        rates = fitted(GPUS.load(given.gpu), found)
        compared = list(steps(rates, found))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Measurements must be a readable JSON file, but: {error}\n")
        return _REFUSED
    except LamforgeError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    sys.stdout.write("\n".join([_text(rates), "", *map(_line_of, compared), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
