"""How a recipe names matrices: `head`, `layers.*`, `layers.0-3.down`, `*.qkv`, several of them with commas."""

import dataclasses
import re
from typing import Any

from hwsim.errors import SpecError, shown
from hwsim.nearest import nearest
from hwsim.reader import spelled
from models.matrices import HEAD, PARTS, layer_part

__all__ = ["LAYERS", "Where"]

_WHICH = r"\*|[0-9]+(?:-[0-9]+)?"
_TEXT = re.compile(
    rf"(?:layers\.(?P<layers>{_WHICH})|\*)\.(?P<part>\*|[a-z]+)|layers\.(?P<alone>{_WHICH})|(?P<head>[a-z]+)|(?P<all>\*)"
)


@dataclasses.dataclass(frozen=True)
class Where:
    """A set of matrices, as a recipe spells it.

    text: one pattern, or several with commas between them. A pattern is `head`, `*` for everything, or
        `layers.<which>.<part>`: which is `*`, a number or a range such as 0-3, part is `*` or one of PARTS and may be
        left out; `*.<part>` stands for `layers.*.<part>`.
    """

    text: str

    def __post_init__(self) -> None:
        for pattern in self._patterns:
            found = _TEXT.fullmatch(pattern)
            if found is None:
                raise SpecError(f"Pattern of matrices must be such as head, layers.0-3.down or *.qkv, not {shown(pattern)}")
            if found["head"] not in (None, HEAD):
                near = nearest(found["head"], (HEAD, "layers.*"))
                raise SpecError(f"Pattern of matrices must be {near}, not {shown(pattern)}")
            if found["part"] not in (None, "*", *PARTS):
                near, part = nearest(found["part"], PARTS), shown(found["part"])
                raise SpecError(f"Part in {shown(pattern)} must be {near}, not {part}")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        """Let files give it as a text."""
        from pydantic_core import core_schema

        def check(text: Any, subject: str) -> "Where":
            if not isinstance(text, str) or not text:
                raise ValueError
            return cls(text)

        return spelled(check, core_schema.str_schema(), "a pattern of matrices such as layers.0-3.down")

    @property
    def _patterns(self) -> list[str]:
        return [pattern.strip() for pattern in self.text.split(",")]

    def names(self, layers: int) -> set[str]:
        """Return the names of the matrices of a model with so many layers.

        SpecError when a pattern fits none.
        """
        found: set[str] = set()
        for pattern in self._patterns:
            fitting = self._fitting(pattern, layers)
            if not fitting:
                raise SpecError(f"Pattern must fit a matrix of the model's {layers} layers, not {shown(pattern)}")
            found |= fitting
        return found

    @staticmethod
    def _fitting(pattern: str, layers: int) -> set[str]:
        match = _TEXT.fullmatch(pattern)
        assert match is not None
        if match["head"]:
            return {HEAD}
        which = match["layers"] or match["alone"] or "*"
        first, last = (0, layers - 1) if which == "*" else (int(which.split("-")[0]), int(which.split("-")[-1]))
        if which != "*" and last >= layers:
            return set()
        parts = PARTS if match["part"] in (None, "*") else (match["part"],)
        found = {layer_part(layer, part) for layer in range(first, last + 1) for part in parts}
        return found | {HEAD} if match["all"] else found


LAYERS = Where("layers.*")
"""Every matrix of every layer."""
