"""The check of a table that has a row for every member of a set declared elsewhere, when the table is imported."""

import enum
from collections.abc import Collection, Iterable

from hwsim.errors import IsaError

__all__ = ["require_rows"]


def require_rows(rows: Collection[object], members: Iterable[enum.Enum | type], *, what: str, module: str) -> None:
    """Raise IsaError for the first format or instruction without a row.

    what: the entries of the table, such as `sizes`; module: `__name__` of the file that holds it.
    """
    for member in members:
        if member not in rows:
            kind, name = ("Instruction", member.__name__) if isinstance(member, type) else (type(member).__name__, member.name)
            raise IsaError(f"{kind} {name} must have {what}: add a row in {module.replace('.', '/')}.py")
