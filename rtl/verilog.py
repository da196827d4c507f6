"""The Verilog files of an engine and their contents."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import jinja2
from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Fragment

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import Identity
from hwsim.whole_files import write_text
from rtl.engine import Engine, trace_ports
from rtl.kept import kept
from rtl.ram import VerilogPlatform

__all__ = [
    "CELLS",
    "HAND_WRITTEN",
    "LINT_WAIVERS",
    "PRIMITIVES",
    "TEMPLATES",
    "TOP",
    "convert",
    "files_of",
    "generate",
    "make",
    "write",
]

TOP = "engine"
"""Name of the top module."""

CELLS = ("carry8.v", "dsp48e2.v", "lut6_2.v")
"""Files with models of the vendor's cells that the circuit instantiates, for simulation alone: synthesis knows the cells."""

HAND_WRITTEN = ("ram.v", "sum3.v", "times3.v")
"""Files with modules written by hand: the memory of every `Ram`, and adders."""

PRIMITIVES = {name: (resources.files("rtl") / "primitives" / name).read_text() for name in (*HAND_WRITTEN, *CELLS)}
"""The texts of HAND_WRITTEN and CELLS, by file."""

TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
"""Renders the files of kernel packages and benches."""

_GENERATED_WAIVERS = {
    "DECLFILENAME": "engine.v holds the modules of every unit",
    "UNUSEDSIGNAL": "Amaranth declares whole structures and the clock of every module, used or not",
    "WIDTHEXPAND": "Amaranth leaves extension to Verilog's rules, which are its own",
    "WIDTHTRUNC": "Amaranth leaves truncation to Verilog's rules, which are its own",
    "CASEINCOMPLETE": "Amaranth gives the default before a case statement",
    "PROCASSINIT": "Amaranth gives registers their reset value as initial value too",
    "SYMRSVDWORD": "interrupt is the name that Vitis kernels give this port",
}
_RAM_WAIVERS = {"UNUSEDPARAM": "STYLE goes into an attribute, which only synthesis reads"}

_CELL_WAIVERS = {
    "DECLFILENAME": "files have small names",
    "UNUSEDSIGNAL": "models have ports of the cells that an attribute or a mode leaves unused",
}
_PIN_WAIVERS = {"PINMISSING": "these outputs of a cell go to the cell above it, where there is one"}
_CASCADES = ("ACOUT", "BCOUT")

LINT_WAIVERS = _GENERATED_WAIVERS | _RAM_WAIVERS | _CELL_WAIVERS | _PIN_WAIVERS
"""Lint rules that the Verilog cannot meet, each with the reason."""


def generate(config: EngineConfig) -> dict[str, str]:
    """Return the files of an engine, text by name; equal configurations give equal text.

    `engine.v` has the top, with its parts where they are small, else these have files of their own, named by their path; so
    have each shared module, what is written by hand, and each of CELLS.
    `lint.vlt` holds the lint waivers, `engine.json` the parameters, the digests and the layout of the trace outputs.
    They are kept between processes.
    """
    return kept(config, make)


def make(config: EngineConfig) -> dict[str, str]:
    """Return what `generate` does, made of the circuit as it is in this process."""
    engine = Engine(config)
    generated = {f"{kind.module}.v": convert(kind(config), kind.module) for kind in engine.shared_modules}
    generated |= files_of(convert(engine, TOP))
    described = {"lint.vlt": _waivers(sorted(generated)), "engine.json": _description(config)}
    return dict(sorted((generated | PRIMITIVES | described).items()))


def write(config: EngineConfig, folder: Path) -> tuple[Path, ...]:
    """Write the files of an engine into a folder, each whole or not at all; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(write_text(folder / name, text) for name, text in generate(config).items())


def convert(component, name: str, *, is_plain: bool = False) -> str:
    """Return a component as Verilog module `name`, each module behind a comment that names the class it is made by.

    is_plain: memories and multipliers in plain form, for tools of other families than the boards'.
    """
    platform = None if is_plain else VerilogPlatform()
    fragment = Fragment.get(component, platform)
    made_by = dict(_classes(fragment, name))
    text = verilog.convert(_Elaborated(component, fragment), name=name, emit_src=False, strip_internal_attrs=True)

    def commented(match: re.Match[str]) -> str:
        # Amaranth numbers names that occur twice.
        path = re.sub(r"\$\d+", "", match["name"].strip("\\ "))
        return f"// Made by {made_by[path]}\n{match.group()}" if path in made_by else match.group()

    return MODULE_START.sub(commented, text)


class _Elaborated(Elaboratable):
    """A component that was elaborated, as what Amaranth converts."""

    def __init__(self, component, fragment: Fragment):
        self._component, self._fragment = component, fragment
        self.signature = component.signature

    def __getattr__(self, name: str):
        return getattr(self._component, name)

    def elaborate(self, platform):
        return self._fragment


def _classes(fragment: Fragment, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each module, and the class whose component it is, by its full name."""
    component = next((each for each in fragment.origins or () if type(each).__module__.startswith("rtl.")), None)
    if component is not None:
        yield path, f"{type(component).__module__}.{type(component).__name__}"
    for inner, name, _ in fragment.subfragments:
        if name is not None:
            yield from _classes(inner, f"{path}.{name}")


MODULE_START = re.compile(r"^(?:\(\*[^\n]*\*\)\n)?module (?P<name>\\\S+|\w+)", re.M)
"""The first lines of a module, its attributes included."""
_LARGEST_FILE = 1_000_000
"""Bytes of a file that editors open and readers find their way in."""
_SMALLEST_FILE = 20_000
"""Bytes of a part below which it stands in the file of what it is a part of."""


def files_of(text: str) -> dict[str, str]:
    """Return the modules of Verilog text in files, text by name: a file for the top, and one for each of its parts.

    A part whose modules are too many for one file has one for each of its own parts, and so on.
    """
    starts = [match.start() for match in re.finditer(rf"^(?://[^\n]*\n)?{MODULE_START.pattern}", text, re.M)]
    modules = [text[start:end] for start, end in itertools.pairwise([*starts, len(text)])]
    return _filed(modules, 1)


def _filed(modules: Sequence[str], depth: int) -> dict[str, str]:
    """Return files of modules whose paths are equal in so many parts less one."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for module in modules:
        found = MODULE_START.search(module)
        assert found is not None
        groups.setdefault(tuple(found["name"].strip("\\").split(".")[:depth]), []).append(module)
    files: dict[str, str] = {}
    for path, some in groups.items():
        whole = "\n".join(module.rstrip("\n") + "\n" for module in some)
        if len(whole) > _LARGEST_FILE and len(some) > 1 and len(path) == depth:
            files |= _filed(some, depth + 1)
            continue
        own = path[:-1] if len(whole) < _SMALLEST_FILE and len(path) == depth > 1 else path
        name = re.sub(r"\W", "_", "_".join(own)) + ".v"
        files[name] = f"{files[name]}\n{whole}" if name in files else whole
    return files


def _waivers(names: list[str]) -> str:
    lines = ["`verilator_config"]
    for waivers, covered in ((_GENERATED_WAIVERS, names), (_RAM_WAIVERS, ("ram.v",)), (_CELL_WAIVERS, CELLS)):
        for rule, reason in waivers.items():
            lines.append(f"// {reason}.")
            lines += [f'lint_off -rule {rule} -file "*{name}"' for name in covered]
    for rule, reason in _PIN_WAIVERS.items():
        lines.append(f"// {reason}.")
        lines += [f'lint_off -rule {rule} -file "*" -match "*\'{pin}\'*"' for pin in _CASCADES]
    return "\n".join(lines) + "\n"


def _description(config: EngineConfig) -> str:
    identity = Identity.of(config)
    description = {
        "top": TOP,
        "parameters": config.to_dict(),
        "digests": {"instruction_set": identity.isa, "engine": identity.engine},
        "trace": [{"name": port.name, "width": port.width, "doc": port.doc} for port in trace_ports(config)],
    }
    return json.dumps(description, indent=2, sort_keys=True) + "\n"
