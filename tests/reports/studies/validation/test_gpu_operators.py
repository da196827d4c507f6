"""Products on an A100: most of the measured ones are predicted, from constants of three of them."""

import statistics

from reports.studies.validation.gpu import GPU_OPERATORS


def test_rows() -> None:
    found = GPU_OPERATORS.rows
    assert len(found) == 20
    assert sum(row.fitted for row in found) == 3
    predicted = [abs(row.error) for row in found if not row.fitted]
    assert statistics.median(predicted) < 0.05
    assert max(predicted) < 0.15
