"""`lamforge rtl`: writes an engine's Verilog, and a kernel package for its board."""

from typing import Annotated

import typer

from lamforge.cli.completion import names_of
from lamforge.cli.console import JsonOption, show
from lamforge.cli.options import EngineOption, FolderOption, SettingsOption, settings_of
from lamforge.cli.terminal import Terminal

__all__ = ["rtl"]


def rtl(
    output: FolderOption,
    engine: EngineOption = "small",
    is_linted: Annotated[bool, typer.Option("--lint", help="Also run Verilator's lint with all warnings.")] = False,
    board: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Board of the kernel package.",
            show_default="the one with the engine's memory",
            autocompletion=names_of("boards"),
        ),
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
    from lamforge.flow.rtl import RtlRequest, run
    from reports.documents.circuit import verilog_document
    from reports.text.circuit import verilog_text

    request = RtlRequest(engine, output=output, settings=settings_of(settings), board=board, is_linted=is_linted)
    with Terminal() as listener:
        written = run(request, listener)
    show(written, verilog_text, verilog_document, as_json=as_json)
