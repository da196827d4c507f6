"""The folder that a compilation leaves: two programs, the memory image, the engine, and what they were made from."""

from __future__ import annotations

import collections
import dataclasses
import json
from pathlib import Path

import yaml

from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.arch.isa import CacheFormat, Format, decode
from hwsim.arch.program import MemoryImage, Program
from hwsim.errors import ProgramError, shown
from hwsim.plain import Refused, from_json, read_text
from hwsim.whole_files import whole_folder
from models.recipes.file import CACHES
from models.recipes.options import FORMATS

__all__ = ["IMAGE", "Programs", "instruction_counts", "is_program_folder"]

DECODE, PREFILL, IMAGE, ENGINE, ORIGIN = ("decode.program", "prefill.program", "image.safetensors", "engine.yaml", "origin.json")
_KINDS = {"decode": DECODE, "prefill": PREFILL}
_SHARED = ("buffers", "caches", "input_row_bytes", "sinks", "window", "ring_start", "max_position", "weights")
"""Fields that both programs of a folder have alike: they run on one memory."""


def is_program_folder(path: Path) -> bool:
    """Return whether a compilation was saved at `path`."""
    return (path / DECODE).is_file()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Programs:
    """What one compilation made.

    Attributes:
        model: what reports call the model.
        layers, head: weight formats.
        cache: format of keys and values.
        engine: what the programs were made for.
        decode, prefill: the programs.
        image: weights and tables as they lie in memory; None when there were only shapes.
    """

    model: str
    layers: Format
    head: Format
    cache: CacheFormat
    engine: EngineConfig = dataclasses.field(repr=False)
    decode: Program = dataclasses.field(repr=False)
    prefill: Program = dataclasses.field(repr=False)
    image: MemoryImage | None = dataclasses.field(repr=False)

    @classmethod
    def of(cls, compiled: Compiled, model: str) -> Programs:
        """Return what the compiler returned for the model called `model`."""
        request = compiled.request
        return cls(
            model=model,
            layers=request.layers,
            head=request.head,
            cache=request.cache,
            engine=request.engine,
            decode=compiled.decode,
            prefill=compiled.prefill,
            image=compiled.image,
        )

    @property
    def formats(self) -> dict[str, str]:
        """Names of the formats by what they are for."""
        return {name: getattr(self, name).name.lower() for name in ("layers", "head", "cache")}

    @property
    def pattern(self) -> str:
        """Tokens kept for good and recent tokens: `4+252`."""
        return f"{self.decode.sinks}+{self.decode.window}"

    def program(self, name: str) -> Program:
        """Return `decode` or `prefill`; raise ProgramError for another name."""
        if name not in _KINDS:
            raise ProgramError(f"Program must be one of {', '.join(_KINDS)}, not {shown(name)}")
        return self.decode if name == "decode" else self.prefill

    def save(self, folder: Path) -> None:
        """Write everything into a folder, all or nothing."""
        with whole_folder(folder, keeps_others=True) as part:
            if self.image is not None:
                self.image.save(part / IMAGE)
            self.write(part)

    def write(self, folder: Path) -> None:
        """Write everything but the image, which may have been written there as it was made."""
        self.decode.save(folder / DECODE)
        self.prefill.save(folder / PREFILL)
        (folder / ENGINE).write_text(yaml.safe_dump(self.engine.to_dict(), sort_keys=False))
        origin = {"model": self.model, **self.formats}
        (folder / ORIGIN).write_text(json.dumps(origin, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, *, has_image: bool = False) -> Programs:
        """Return what was saved in a folder after checking every digest; the image, mapped, only when asked for.

        Raises:
            ProgramError: a file is missing or not what it should be, or the programs are not for the engine, the memory or the
                other program beside them.
            ConfigError: the engine's file is wrong.
        """
        engine = load_engine(str(folder / ENGINE))
        try:
            origin = from_json(read_text("Program folder", folder / ORIGIN, ORIGIN, ProgramError))
            if not isinstance(origin, dict) or not isinstance(origin["model"], str):
                raise ValueError("fields")
            layers, head = (FORMATS[origin[key]] for key in ("layers", "head"))
            cache = CACHES[origin.get("cache", "kv4")]
        except (ProgramError, Refused, ValueError, KeyError, TypeError):
            path = str(folder / ORIGIN)
            raise ProgramError(f"Program folder must hold {ORIGIN} as compile writes it, not what is in {shown(path)}") from None
        decode_program, prefill = (Program.load(folder / name) for name in (DECODE, PREFILL))
        for kind, program in (("decode", decode_program), ("prefill", prefill)):
            program.check(engine)
            if program.name != kind:
                raise ProgramError(f"Program in {_KINDS[kind]} must be called {kind}, not {shown(program.name)}")
        apart = [name for name in _SHARED if getattr(decode_program, name) != getattr(prefill, name)]
        if apart:
            raise ProgramError(f"Programs of a folder must be for one memory, not differ in {', '.join(apart)}")
        image = MemoryImage.load(folder / IMAGE) if has_image else None
        if image is not None:
            decode_program.check(engine, image.digest)
            if decode_program.side_bytes > len(image.side):
                raise ProgramError(
                    f"Programs must have buffers within the {len(image.side)} bytes of side memory of {IMAGE},"
                    f" not up to byte {decode_program.side_bytes}"
                )
        return cls(
            model=origin["model"],
            layers=layers,
            head=head,
            cache=cache,
            engine=engine,
            decode=decode_program,
            prefill=prefill,
            image=image,
        )


def instruction_counts(program: Program) -> dict[str, int]:
    """Return how many instructions of each class a program has, the most frequent first, then by name."""
    kinds = collections.Counter(type(decode(word)).__name__ for word in program.words)
    return dict(sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0])))
