"""How a GPU is measured: what a GPU model needs, and what it must then predict; results that ship are in `results/`.

Measuring needs PyTorch alone: `lamforge gpu measure`, or `python -m lamforge.bare gpu.measure` where nothing else is there.
"""

from importlib import resources

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from reports.studies.gpu_baseline.baseline import Baseline, read_baseline

__all__ = ["RESULTS", "result"]

_FOLDER = resources.files(__name__) / "results"

RESULTS = tuple(sorted(file.name.removesuffix(".json") for file in _FOLDER.iterdir()))
"""Names of the GPUs that were measured."""


def result(name: str) -> Baseline:
    """Return what was measured on a GPU; SpecError where none has the name."""
    if name not in RESULTS:
        raise SpecError(f"Measured GPU must be {nearest(name, RESULTS)}, not {shown(name)}")
    return read_baseline(_FOLDER / f"{name}.json")
