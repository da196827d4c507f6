"""Design-space exploration: axes, closed forms, exact points, search, the store of results, and who computes them.

The package is the verb too: `lamforge.explore("u280", output="build/u280")` is `exploration.explore`, whose description is there.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamforge.explore.exploration import Exploration


class _Verb(types.ModuleType):
    """A package that is called as the verb of its name, which is loaded when it is first used."""

    def __call__(self, *fields: Any, **named: Any) -> Exploration:
        from lamforge.explore.exploration import explore

        return explore(*fields, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        from lamforge.explore.exploration import explore

        return inspect.signature(explore)


sys.modules[__name__].__class__ = _Verb
