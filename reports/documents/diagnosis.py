"""What an installation has and lacks, as plain values."""

import dataclasses
from typing import Any

from lamforge.flow.doctor import Diagnosis

__all__ = ["diagnosis_document"]


def diagnosis_document(found: Diagnosis) -> dict[str, Any]:
    """Return what `lamforge doctor --json` prints."""
    return {"is_ready": found.is_ready, "findings": [dataclasses.asdict(finding) for finding in found.findings]}
