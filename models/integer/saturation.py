"""Which share of the residual stream saturates while a model is run, by the half of a layer after which it does."""

import collections
import threading
from collections.abc import Mapping

import numpy as np

from hwsim.arch.numerics import FIXED_LIMIT

__all__ = ["FIXED_END", "Saturation"]

FIXED_END = f"{FIXED_LIMIT:,}, the end of the engine's fixed point"
"""How users are told where values saturate."""

_TOP = (1 << 31) - 1


class Saturation:
    """Counts of residual values; threads may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: collections.Counter[str] = collections.Counter()
        self._saturated: collections.Counter[str] = collections.Counter()

    def note(self, name: str, values: np.ndarray) -> None:
        """Count the residual values after a half of a layer, int64 fixed ones."""
        saturated = int(np.count_nonzero(values >= _TOP)) + int(np.count_nonzero(values <= -_TOP))
        with self._lock:
            self._values[name] += values.size
            self._saturated[name] += saturated

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of the values that saturated after each half that has such, in the order in which they were met."""
        with self._lock:
            return {name: count / self._values[name] for name, count in self._saturated.items() if count}

    @property
    def sentence(self) -> str | None:
        """Where the residual stream saturates first and by how much; None where it does nowhere."""
        shares = self.shares
        if not shares:
            return None
        (first, share), *others = shares.items()
        more = f" and later halves ({len(others)})" if others else ""
        where = f"after {first}{more}, at {FIXED_END}"
        return f"{share:.2%} of the residual stream saturates {where}: results there are not the float model's"
