"""What an installation has and lacks, as lines, with what to do at the end."""

from lamforge.flow.doctor import Diagnosis, Finding
from reports.text.table import table

__all__ = ["diagnosis_text"]


def diagnosis_text(found: Diagnosis) -> str:
    """Return a line for each thing that was looked at, and what to do about those that are not as they should be."""
    lines = [table([(_mark(finding), finding.subject, finding.found) for finding in found.findings]), ""]
    lines += [f"{finding.subject}: {finding.advice}" for finding in found.findings if not finding.is_right]
    wrong = sum(finding.is_needed and not finding.is_right for finding in found.findings)
    lines.append(f"Missing or wrong, and needed: {wrong}." if wrong else "Everything that is needed is there.")
    return "\n".join(lines)


def _mark(finding: Finding) -> str:
    return "ok" if finding.is_right else "WRONG" if finding.is_needed else "optional"
