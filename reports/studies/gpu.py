"""`lamforge.gpu`: a GPU is measured, and rates are fitted to what was measured."""

from reports.studies.gpu_baseline.measure import measure
from reports.studies.gpu_rates import fit

__all__ = ["fit", "measure"]
