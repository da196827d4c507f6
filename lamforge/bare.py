"""`python -m lamforge.bare VERB`: verbs for a machine that has PyTorch and NumPy alone, such as a rented GPU.

Arguments are the fields of the verb's request; the result is printed as JSON. `torchrun -m lamforge.bare VERB` shares it among
GPUs. The `lamforge` command has the same verbs where everything is installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import pkgutil
import sys
import time
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwsim.errors import LamforgeError, SpecError, shown
from hwsim.plain import read_json
from lamforge.flow.verb import Listener

__all__ = ["VERBS", "Stamped", "main", "settings_of"]

VERBS = {
    "distill.probe": ("lamforge.flow.distill.probe:ProbeRequest", "reports.documents.plain:plain"),
    "distill.sample": ("lamforge.flow.distill.sample:SampleRequest", "reports.documents.plain:plain"),
    "distill.train": ("lamforge.flow.distill.train:TrainRequest", "reports.documents.plain:lesson_document"),
    "gpu.measure": ("reports.studies.gpu_baseline.measure:MeasureRequest", "reports.documents.plain:plain"),
}
"""By name of the verb: its request, beside which lies `run`, and the document of its result. Each has settings."""
_REFUSED = 2


class Stamped(Listener):
    """Writes every sentence to standard error behind the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, sentence: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self._began:7.1f} s] {sentence}\n")
        sys.stderr.flush()


def settings_of(assignments: Sequence[str], file: Path | None = None) -> dict[str, object]:
    """Return the settings in a JSON file, some changed by texts such as `steps=2000`, whose values are JSON or plain text.

    SpecError when the file cannot be read, or a text assigns nothing.
    """
    settings: dict[str, object] = {}
    if file is not None:
        given = read_json("Settings", file, file.name, SpecError)
        if not isinstance(given, dict):
            raise SpecError(f"Settings {file.name} must be a JSON object of values by name, not {shown(given)}")
        settings |= given
    for text in assignments:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise SpecError(f"Setting must be NAME=VALUE such as steps=2000, not {shown(text)}")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb, print its result, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lamforge.bare", description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    requests = {name: pkgutil.resolve_name(request) for name, (request, _) in VERBS.items()}
    for name, request in requests.items():
        formatter = argparse.RawDescriptionHelpFormatter
        _add_fields(verbs.add_parser(name, description=inspect.getdoc(request), formatter_class=formatter), request)
    given = vars(parser.parse_args(arguments))
    verb = given.pop("verb")
    request = requests[verb]
    try:
        settings = settings_of(given.pop("set"), given.pop("settings"))
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        found = sys.modules[request.__module__].run(request(settings=settings, **values), Stamped())
        document = pkgutil.resolve_name(VERBS[verb][1])(found)
    except LamforgeError as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    if document:
        sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
    return 0


def _add_fields(parser: argparse.ArgumentParser, request: type) -> None:
    """Add an option for every field: its name without `is_`, read as its type says; settings are a file and assignments."""
    types_ = typing.get_type_hints(request)
    for field in dataclasses.fields(request):
        kind, flag = types_[field.name], f"--{field.name.removeprefix('is_').replace('_', '-')}"
        if isinstance(kind, types.UnionType):
            kind = next(each for each in typing.get_args(kind) if each is not type(None))
        if kind is bool:
            parser.add_argument(flag, dest=field.name, action="store_true")
        elif typing.get_origin(kind) is tuple:
            members = typing.get_args(kind)
            parser.add_argument(flag, dest=field.name, nargs=len(members), type=members[0], default=field.default)
        elif typing.get_origin(kind) is Mapping:
            parser.add_argument(flag, dest=field.name, type=Path, metavar="FILE", help="JSON file")
            parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one of them")
        else:
            parser.add_argument(flag, dest=field.name, type=kind, default=field.default)


if __name__ == "__main__":
    sys.exit(main())
