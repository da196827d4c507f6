"""The parts of summary.json, the file that the demo leaves, as a page shows them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from hwsim.errors import SpecError, shown

__all__ = ["Summary", "load_summary", "refusal"]

Part = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What a folder of results holds: the parts of `demo_document` by their names, None or empty where it does not hold them.

    What is inside a part is checked where it is shown: templates are strict.
    """

    provenance: Part
    steps: Sequence[Part] = ()
    checkpoint: Part | None = None
    model: Part | None = None
    accuracy: Part | None = None
    program: Part | None = None
    generation: Part | None = None
    simulation: Mapping[str, Part] = dataclasses.field(default_factory=dict)
    verilog: Mapping[str, Part] = dataclasses.field(default_factory=dict)
    cosim: Part | None = None
    second: Part | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        named = self.program["model"] if self.program else None
        return str(named or (self.model["name"] if self.model else "no model"))

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return str(self.program["engine"]) if self.program else "no engine yet"

    @property
    def decode(self) -> Part | None:
        """The decode step."""
        return self.simulation.get("decode")

    @property
    def recipes(self) -> list[Part]:
        """Model, accuracy, generation and decode step by both recipes; empty unless there are two."""
        first = {"model": self.model, "accuracy": self.accuracy, "generation": self.generation, "decode": self.decode}
        return [first, self.second] if self.second and all(first.values()) else []

    @property
    def perplexities(self) -> dict[str, float]:
        """Perplexities that there are, by the name of the model and its attention."""
        found = self.accuracy or {}
        named = {
            f"integers, {found['attention']}": found["perplexity"],
            f"float, {found['attention']}": found["float_perplexity"],
            "float, dense": found["dense_perplexity"],
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def cases(self) -> list[tuple[Part, Part]]:
        """Every co-simulated decode step under one memory model, with the text that it is the last step of."""
        cosim = self.cosim or {}
        texts = {text["position"]: text for text in cosim["texts"]}
        return [(case, texts[case["position"]]) for case in cosim["cases"]]


def load_summary(path: Path) -> Summary:
    """Return the summary in a file; raise SpecError for one that cannot be read or has something else in place of a part."""
    try:
        return pydantic.TypeAdapter(Summary).validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise SpecError(f"Summary must be a file that can be read, not {shown(str(path))} ({error.strerror})") from None
    except pydantic.ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        raise refusal(path, f"{'.'.join(map(str, mistake['loc'])) or 'the whole'}: {mistake['msg']}") from None


def refusal(path: Path, mistake: str) -> SpecError:
    """Return what is raised for a summary that is damaged or that another version wrote."""
    return SpecError(f"Summary must be as this version's demo writes it, not what is in {shown(str(path))} ({mistake})")
