"""Subcommands that have subcommands: each help teaches, and an option that a verb does not use is refused."""

import pytest
import typer
from typer.testing import CliRunner

from lamforge.cli.offload import app as offload
from lamforge.cli.report import app as report
from lamforge.cli.validate import app as validate

VERBS = [
    (group, command.name or command.callback.__name__)
    for group in (offload, report, validate)
    for command in group.registered_commands
]


@pytest.mark.parametrize(("group", "verb"), VERBS, ids=[f"{group.info.name}-{verb}" for group, verb in VERBS])
def test_help_teaches(group: typer.Typer, verb: str) -> None:
    result = CliRunner().invoke(group, [verb, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output
    assert f"lamforge {group.info.name} {verb}" in result.output


@pytest.mark.parametrize(("group", "verb"), VERBS, ids=[f"{group.info.name}-{verb}" for group, verb in VERBS])
def test_an_option_of_no_verb_is_refused(group: typer.Typer, verb: str) -> None:
    assert CliRunner().invoke(group, [verb, "--speed", "9"]).exit_code == 2
