"""The Verilog files of an engine and their contents."""

import json
from importlib import resources
from pathlib import Path

import jinja2
from amaranth.back import verilog

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import Identity
from hwsim.whole_files import write_text
from rtl.engine import Engine, trace_ports
from rtl.kept import kept
from rtl.ram import VerilogPlatform

__all__ = ["CELLS", "LINT_WAIVERS", "PRIMITIVES", "TEMPLATES", "TOP", "convert", "generate", "make", "write"]

TOP = "engine"
"""Name of the top module."""

CELLS = ("carry8.v", "dsp48e2.v", "lut6_2.v")
"""Files with models of the vendor's cells that the circuit instantiates, for simulation alone: synthesis knows the cells."""

PRIMITIVES = {name: (resources.files("rtl") / "primitives" / name).read_text() for name in ("ram.v", *CELLS)}
"""Modules written by hand, text by file: the memory of every `Ram`, and the models of CELLS."""

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

    `engine.v` has the top and the units, a file of its own each shared module, the memory and each of CELLS;
    `lint.vlt` holds the lint waivers, `engine.json` the parameters, the digests and the layout of the trace outputs.
    They are kept between processes.
    """
    return kept(config, make)


def make(config: EngineConfig) -> dict[str, str]:
    """Return what `generate` does, made of the circuit as it is in this process."""
    engine = Engine(config)
    generated = {f"{kind.module}.v": convert(kind(config), kind.module) for kind in engine.shared_modules}
    generated["engine.v"] = convert(engine, TOP)
    described = {"lint.vlt": _waivers(sorted(generated)), "engine.json": _description(config)}
    return dict(sorted((generated | PRIMITIVES | described).items()))


def write(config: EngineConfig, folder: Path) -> tuple[Path, ...]:
    """Write the files of an engine into a folder, each whole or not at all; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(write_text(folder / name, text) for name, text in generate(config).items())


def convert(component, name: str, *, is_plain: bool = False) -> str:
    """Return a component as Verilog module `name`, without traces of the Python sources.

    is_plain: memories and multipliers in plain form, for tools of other families than the boards'.
    """
    platform = None if is_plain else VerilogPlatform()
    return verilog.convert(component, name=name, platform=platform, emit_src=False, strip_internal_attrs=True)


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
