"""`lamforge rtl`: writes an engine's Verilog, and a kernel package for its board."""

from typing import Annotated

from typer import Option

from hwsim.plain import set_values
from lamforge.cli import options
from lamforge.cli.console import Answer, answer, heard
from lamforge.cli.options import names_of

__all__ = ["rtl"]


def rtl(
    output: options.Folder,
    engine: options.Engine = "small",
    is_linted: Annotated[bool, Option("--lint", help="Also run Verilator's lint with all warnings.")] = False,
    board: Annotated[
        str | None,
        Option(
            metavar="NAME|FILE",
            help="Board of the kernel package.",
            show_default="the one with the engine's memory",
            autocompletion=names_of("boards"),
        ),
    ] = None,
    is_timed: Annotated[
        bool, Option("--timing", help="Tell longest paths and most loaded nets in the package too: minutes of Yosys at first.")
    ] = False,
    settings: options.Settings = None,
) -> Answer:
    """Write the Verilog of an engine: a module for each unit, memories behind one primitive, AXI ports.

    The folder also gets engine.json (parameters, digests) and lint.vlt (lint waivers, each with its reason). An engine
    with a board gets a Vitis kernel package in the folder vitis, with a Makefile and a README that says what the engine
    takes of each SLR (by the quick model of `lamforge synth`), which wires cross between them, and the floorplan as a picture.

    Examples:

        lamforge rtl --engine u280 --lint -o build/verilog

        lamforge rtl --engine small --board u280 -o build/small

        lamforge rtl --engine small --set tile.ports=4 -o build/wider
    """
    from lamforge.flow.rtl import RtlRequest, run
    from reports.documents.circuit import verilog_document
    from reports.text.circuit import verilog_text

    request = RtlRequest(
        engine, output=output, settings=set_values(settings or ()), board=board, is_linted=is_linted, is_timed=is_timed
    )
    return answer(heard(run, request), verilog_text, verilog_document)
