"""`lamforge doctor`: says what this installation has and lacks."""

from lamforge.cli.console import Answer, answer, heard

__all__ = ["doctor"]


def doctor() -> Answer:
    """Say what is installed and in which version, what is missing or wrong for the whole path, and how to get it.

    It looks at Python, packages, tools, paths, caches, disk and memory, from the current folder. The exit code is 1 where
    something is missing that is needed.

    Examples:

        lamforge doctor

        lamforge doctor --json
    """
    from lamforge.flow.doctor import DoctorRequest, run
    from reports.documents.diagnosis import diagnosis_document
    from reports.text.diagnosis import diagnosis_text

    found = heard(run, DoctorRequest())
    return answer(found, diagnosis_text, diagnosis_document, is_right=found.is_ready)
