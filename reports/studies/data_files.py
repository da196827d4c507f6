"""Renders docs/files.md, the tables of what data files may say, and the JSON Schemas of docs/schemas from the declarations.

`python -m reports.studies.data_files FOLDER` writes both into FOLDER.
"""

import enum
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.arch.board import Board
from hwsim.arch.config import EngineConfig
from hwsim.arch.doc_pages import field_docs, table
from hwsim.machine.energy import PublishedSystem
from hwsim.memory.parameters import Hbm2Parameters, MemoryFile
from hwsim.offload.devices import FAMILIES, Device
from hwsim.offload.systems import METHODS
from hwsim.plain import MOST_BYTES, MOST_DEPTH
from hwsim.reader import Field, fields_of, json_schema
from hwsim.sourced import Sourced
from hwsim.units import Quantity
from lamforge.explore.accuracy import Accuracies
from lamforge.explore.study import Study
from models.distill.settings import Settings
from models.recipes.file import RecipeFile, Where

__all__ = ["KINDS", "page", "schemas"]

KINDS: Mapping[str, tuple[str, type]] = {
    "engine": ("Engines: `hwsim/specs/engines`, `--engine FILE`", EngineConfig),
    "board": ("Boards: `hwsim/specs/boards`, `--board FILE`", Board),
    "recipe": ("Compression recipes: `models/recipes`, `--recipe FILE`", RecipeFile),
    "distill": ("Settings of a training, in JSON: `--settings FILE`", Settings),
    "study": ("Studies of designs: `lamforge/explore/studies`, `lamforge explore FILE`", Study),
    "accuracy": ("Measured accuracies: `lamforge/explore/accuracies`, `accuracy: FILE` in a study", Accuracies),
    "memory": ("Memory: `hwsim/specs/memories`", MemoryFile),
    "published": ("Published systems with their power: `hwsim/specs/systems`", PublishedSystem),
} | {family.folder: (f"Devices, {family.subject}: `hwsim/specs/devices/{family.folder}`", family.kind) for family in FAMILIES}
"""Kinds of files by the name of their schema: title, and the class that declares it."""

_SYSTEM = "offload"
_SOURCE = ("kind", "source")


def page() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Data files",
        "Generated from the classes that declare them by `make docs`; edit those, not this page. A file that says something"
        " else is refused in one sentence that names every mistake with its path. The schemas in [schemas](schemas) tell the same"
        " to editors: `# yaml-language-server: $schema=docs/schemas/engine.schema.json` as the first line of a YAML file.",
        "YAML is read as people write it: `3e8`, `300e6` and `1_000_000` are numbers, only `true` and `false` are truths."
        " Refused are tags, anchors on more than a text or a number, names given twice, nesting deeper than"
        f" {MOST_DEPTH} and files of more than {MOST_BYTES >> 20} MiB."
        " A fact is a mapping of `value`, `kind` and `source`; see [devices.md](devices.md) for the kinds.",
    ]
    for name, (title, kind) in KINDS.items():
        parts += [f"## {title}", f"Schema: [{name}.schema.json](schemas/{name}.schema.json).", _table(kind)]
    parts += [
        "## Systems of `lamforge offload`: `hwsim/specs/offload`",
        f"Schema: [{_SYSTEM}.schema.json](schemas/{_SYSTEM}.schema.json). A file has `method`, one of the following, and its"
        " fields; or `extends`, the name of another system, and what differs from that. Files of devices may extend one another"
        " too, and so may a device that is described in a system's file. A path in a file is relative to it.",
    ]
    for method, kind in METHODS.items():
        parts += [f"### `method: {method}`", _table(kind)]
    return "\n\n".join(parts) + "\n"


def schemas() -> dict[str, str]:
    """Return the JSON Schemas, text by name of the file."""
    found = {name: _whole(json_schema(kind)) | {"title": title} for name, (title, kind) in KINDS.items()}
    found |= {name: _extending(found[name]) for name, (_, kind) in KINDS.items() if issubclass(kind, Device)}
    parts: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for method, kind in METHODS.items():
        # Definitions of two methods may have one name.
        schema = json.loads(json.dumps(json_schema(kind)).replace("#/$defs/", f"#/$defs/{method}."))
        shared |= {f"{method}.{name}": entry for name, entry in schema.pop("$defs", {}).items()}
        properties = schema["properties"] | {"method": {"const": method}}
        parts.append(schema | {"properties": properties, "required": [*schema["required"], "method"]})
    parts.append({"type": "object", "properties": {"extends": {"type": "string"}}, "required": ["extends"]})
    found[_SYSTEM] = {"title": "Systems of `lamforge offload`", "anyOf": parts, "$defs": shared}
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {f"{name}.schema.json": json.dumps(dialect | schema, indent=1) + "\n" for name, schema in found.items()}


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a device's own file, in which it cannot be told by its name."""
    choices = schema.pop("anyOf", [{}])
    reference = choices[-1].get("$ref", "").removeprefix("#/$defs/")
    return schema | (schema["$defs"].pop(reference) if reference else choices[-1])


def _extending(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a file that may extend another one, and then say what differs alone."""
    properties = {
        **schema["properties"],
        "extends": {"type": "string", "description": "A file with everything that is not said here."},
    }
    others = {name: value for name, value in schema.items() if name != "required"}
    return others | {"properties": properties, "anyOf": [{"required": schema["required"]}, {"required": ["extends"]}]}


def _table(kind: type) -> str:
    rows = []
    for field in _shown(fields_of(kind)):
        declaring = Hbm2Parameters if field.kind is MemoryFile else field.kind
        docs = {} if declaring is None else field_docs(declaring)
        told = docs.get(field.name, docs.get(field.name.removesuffix("_ns").removesuffix("_tck"), ""))
        default = "required" if field.is_required else _default(field.default)
        rows.append((f"`{field.path}`", field.says, "" if field.kind is None else default, told))
    return table(("field", "value", "default", "meaning"), rows)


def _shown(fields: Sequence[Field]) -> Iterator[Field]:
    """Yield what a table has: facts as one row each, and nothing from inside what is told elsewhere."""
    paths = {field.path: field for field in fields}
    whole = [f"{field.path}." for field in fields if field.is_whole and field.path]
    for field in fields:
        outer, _, name = field.path.rpartition(".")
        is_of_fact = {f"{outer}.{each}" for each in _SOURCE} <= paths.keys() and name in ("value", *_SOURCE)
        if not field.path or is_of_fact or any(field.path.startswith(path) for path in whole):
            continue
        fact = paths.get(f"{field.path}.value")
        if fact is not None:
            field = Field(**vars(field) | {"says": f"a fact: {fact.says}"})
        yield field


def _default(value: object) -> str:
    """Return a default as a file would have it."""
    if value is None:
        return ""
    if isinstance(value, Sourced):
        inner = value.value
        return f"{inner.value:g} {inner.unit}, assumed" if isinstance(inner, Quantity) else f"{inner}, {value.kind}"
    if isinstance(value, enum.Enum):
        return f"`{value.name.lower()}`"
    if isinstance(value, Where):
        return f"`{value.text}`"
    return f"`{json.dumps(value)}`" if isinstance(value, bool | int | float | str) else "that of its fields"


def main(arguments: Sequence[str]) -> None:
    """Write the page and the schemas into a folder."""
    folder = Path(arguments[0])
    (folder / "files.md").write_text(page())
    (folder / "schemas").mkdir(exist_ok=True)
    for name, text in schemas().items():
        (folder / "schemas" / name).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
