"""`lamforge rtl`: writes an engine's Verilog."""

from typing import Annotated

import typer

from lamforge.console import JsonOption, emit, status
from lamforge.options import EngineOption, FolderOption, SettingsOption

__all__ = ["rtl"]


def rtl(
    output: FolderOption,
    engine: EngineOption = "small",
    is_linted: Annotated[bool, typer.Option("--lint", help="Also run Verilator's lint with all warnings.")] = False,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the Verilog of an engine: a module for each unit, memories behind one primitive, AXI ports.

    The folder also gets engine.json (parameters, digests) and lint.vlt (lint waivers, each with its reason).

    Examples:

        lamforge rtl --engine u280 --lint -o build/verilog

        lamforge rtl --engine small --set tile.ports=4 -o build/wider
    """
    from reports.circuit import write_verilog
    from reports.engines import chosen_engine
    from reports.tables import verilog_text

    chosen = chosen_engine(engine, settings or ())
    status(f"Writing the Verilog of {chosen.name}")
    document = write_verilog(chosen, output, is_linted=is_linted)
    emit(verilog_text(document), document, as_json=as_json)
