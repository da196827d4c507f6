"""`lamforge rtl`: writes an engine's Verilog, and a kernel package for its board."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, emit, status
from lamforge.cli.options import EngineOption, FolderOption, SettingsOption

__all__ = ["rtl"]


def rtl(
    output: FolderOption,
    engine: EngineOption = "small",
    is_linted: Annotated[bool, typer.Option("--lint", help="Also run Verilator's lint with all warnings.")] = False,
    board: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Board of the kernel package.", show_default="the one with the engine's memory"),
    ] = None,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the Verilog of an engine: a module for each unit, memories behind one primitive, AXI ports.

    The folder also gets engine.json (parameters, digests) and lint.vlt (lint waivers, each with its reason). An engine
    with a board gets a Vitis kernel package in the folder vitis, with a Makefile and a README.

    Examples:

        lamforge rtl --engine u280 --lint -o build/verilog

        lamforge rtl --engine small --board u280 -o build/small

        lamforge rtl --engine small --set tile.ports=4 -o build/wider
    """
    from lamforge.flow.engines import chosen_engine
    from lamforge.flow.rtl import write_verilog
    from reports.text.tables import verilog_text

    chosen = chosen_engine(engine, settings or ())
    document = write_verilog(chosen, output, board=board, is_linted=is_linted, progress=status)
    emit(verilog_text(document), document, as_json=as_json)
