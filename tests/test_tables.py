"""Every table of the rooms lists everything of its kind: what is written and forgotten in its table fails here, by name."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hwsim.arch.fields import Instruction
from hwsim.arch.isa import INSTRUCTIONS

ROOT = Path(__file__).parents[1]


def modules(package: str) -> Iterator[ModuleType]:
    """Import the modules that lie in a package."""
    found = importlib.import_module(package)
    return (importlib.import_module(f"{package}.{each.name}") for each in pkgutil.iter_modules(found.__path__))


def classes(package: str, base: type) -> set[type]:
    """Return the classes of a package under a base that have all its methods; what stands beside the base is a base too."""
    return {
        found
        for module in modules(package)
        for found in vars(module).values()
        if inspect.isclass(found)
        and issubclass(found, base)
        and not inspect.isabstract(found)
        and found.__module__.startswith(package)
        and found.__module__ != base.__module__
    }


def values(package: str, kind: type) -> set[object]:
    """Return the values of a kind that modules of a package define."""
    return {found for module in modules(package) for found in vars(module).values() if isinstance(found, kind)}


def check(found: Collection[object], table: Collection[object], place: str) -> None:
    """Fail unless everything that was found is in a table, which stands at a place."""
    missing = sorted(getattr(each, "__name__", str(each)) for each in found if each not in table)
    assert found and not missing, f"{', '.join(missing)} must be in {place}"


def test_attention_patterns() -> None:
    from models.attention import PATTERNS, Pattern

    check(classes("models.attention", Pattern), PATTERNS.values(), "PATTERNS of models/attention/__init__.py")


def test_compression_methods() -> None:
    from models.compress.method import Method
    from models.compress.methods import METHODS

    check(classes("models.compress", Method), METHODS.values(), "METHODS of models/compress/methods.py")


def test_compiler_passes() -> None:
    from compiler.passes import Pass, passes
    from hwsim.arch.isa import Format

    run = [type(each) for each in passes(layers=Format.W4, head=Format.W8)]
    check(Pass.__subclasses__(), run, "passes() of compiler/passes.py")


def test_families_of_devices() -> None:
    from hwsim.offload.devices import FAMILIES, Device, Family

    place = "FAMILIES of hwsim/offload/devices/__init__.py"
    check(values("hwsim.offload.devices", Family), FAMILIES, place)
    check(classes("hwsim.offload.devices", Device), [family.kind for family in FAMILIES], place)


def test_compositions_of_systems() -> None:
    from hwsim.offload.systems import METHODS, System

    check(classes("hwsim.offload.systems", System), METHODS.values(), "METHODS of hwsim/offload/systems/__init__.py")


def test_validation_sets() -> None:
    from reports.studies.validation.offload import SETS
    from reports.studies.validation.row import ValidationSet

    found = {each.name: each for each in values("reports.studies.validation", ValidationSet) if isinstance(each, ValidationSet)}
    check(found, [each.name for each in SETS], "SETS of reports/studies/validation/offload.py")


def test_templates_of_the_kernel_package() -> None:
    listed = (ROOT / "rtl/package/files.py").read_text()
    found = [file.name for file in (ROOT / "rtl/package/templates").iterdir()]
    check(found, [name for name in found if f'"{name}"' in listed], "_TEMPLATES of rtl/package/files.py")


def test_connections_of_control_registers() -> None:
    from amaranth.hdl import Fragment

    from hwsim.arch.config import load_engine
    from hwsim.arch.registers import CONTROL_REGISTERS
    from rtl.control.axi_lite import ControlRegisters

    registers = ControlRegisters(load_engine("tiny"))
    arguments = list(registers.arguments)
    engine = (ROOT / "rtl/engine.py").read_text()
    check(arguments, re.findall(r"\bregisters\.(\w+)", engine), "the connections of rtl/engine.py")
    reported = [register.name for register in CONTROL_REGISTERS if not register.writable]
    circuit = (ROOT / "rtl/control/axi_lite.py").read_text()
    check(reported, re.findall(r'^ +"(\w+)": ', circuit, re.M), "`values` of rtl/control/axi_lite.py")
    # Elaborated: a circuit that is made and not used warns when it goes, whichever test is running then.
    Fragment.get(registers, platform=None)


def test_kinds_of_faults() -> None:
    from testbenches.fault_cases import CASE_KINDS

    drawn = re.findall(r"def _(\w+)\(self\)", (ROOT / "testbenches/fault_cases.py").read_text())
    check(CASE_KINDS, drawn, "the methods of _Drawn in testbenches/fault_cases.py")
    check(CASE_KINDS, re.findall(r"`(\w+)`", (ROOT / "docs/verification.md").read_text()), "the table of docs/verification.md")


def test_memory_models() -> None:
    from hwsim.memory.models import MemoryKind, memory_model

    for kind in MemoryKind:
        assert memory_model(kind.name.lower()).kind is kind, f"{kind.name} must be in memory_model of hwsim/memory/models.py"


@pytest.mark.parametrize("folder", ["rtl", "testbenches"])
def test_instructions(folder: str) -> None:
    """An instruction that no circuit decodes or no random program has is named nowhere in the folder."""
    import hwsim.arch.isa

    declared = [kind for kind in vars(hwsim.arch.isa).values() if inspect.isclass(kind) and issubclass(kind, Instruction)]
    check([kind for kind in declared if kind is not Instruction], INSTRUCTIONS, "INSTRUCTIONS of hwsim/arch/isa.py")
    texts = [path.read_text() for path in (ROOT / folder).rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"\w+", text)}
    check([kind.__name__ for kind in INSTRUCTIONS], named, f"what {folder} does with instructions")


@pytest.mark.parametrize("folder", ["hwsim/machine", "rtl"])
def test_fields_of_instructions(folder: str) -> None:
    """A field that no unit reads does nothing; that it is read by its name is all that can be seen here."""
    texts = [path.read_text() for path in (ROOT / folder).rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"\w+", text)}
    found = [field.name for kind in INSTRUCTIONS for field in dataclasses.fields(kind)]
    check(found, named, f"what the units of {folder} read of an instruction")


def test_kinds_of_things_to_list() -> None:
    from lamforge.flow.list import KINDS

    shown = (ROOT / "lamforge/cli/list.py").read_text()
    check(KINDS, re.findall(r'"(\w+)"', shown), "_KINDS of lamforge/cli/list.py")


def test_options_of_the_command() -> None:
    """Every field of a request that the command makes is given by it, except where a result is kept."""
    declared: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    for path in [*(ROOT / "lamforge/flow").rglob("*.py"), *(ROOT / "lamforge/explore").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Request"):
                fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
                is_first = [isinstance(each.value, ast.Call) and "kw_only=False" in ast.unparse(each.value) for each in fields]
                declared[node.name] = {ast.unparse(each.target) for each, first in zip(fields, is_first, strict=True) if not first}
    for path in (ROOT / "lamforge/cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Request"):
                given.setdefault(ast.unparse(node.func), set()).update(each.arg for each in node.keywords if each.arg)
    for name in sorted(declared.keys() & given.keys()):
        check(["cache", *declared[name]], ["cache", *given[name]], f"the options of lamforge/cli for {name}")


def verbs() -> dict[str, Path]:
    """Return the verbs by name, dotted in a group, with their files."""
    found: dict[str, Path] = {}
    for path in sorted(path for room in ("lamforge/flow", "lamforge/explore", "reports") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "verb" and isinstance(node.args[0], ast.Constant):
                found[str(node.args[0].value)] = path
    return found


def test_verbs_of_the_library() -> None:
    import lamforge

    check({name.partition(".")[0] for name in verbs()}, lamforge.__all__, "__all__ of lamforge/__init__.py")
    for name in lamforge.__all__:
        assert hasattr(lamforge, name), f"{name} must be in lamforge/flow or in _PLACES of lamforge/__init__.py"
    for name, path in verbs().items():
        group, dot, member = name.partition(".")
        assert not dot or hasattr(getattr(lamforge, group), member), f"{name}, of {path}, must be in __all__ of its group"


def test_verbs_of_the_command() -> None:
    from lamforge.cli.commands import COMMANDS, GROUPS

    commands = {*COMMANDS}
    for group in GROUPS:
        app = importlib.import_module(f"lamforge.cli.{group}").app
        inner = [each.name or each.callback.__name__ for each in app.registered_commands if each.callback is not None]
        commands |= {f"{group}.{name}" for name in inner}
    check(verbs(), commands, "the subcommands of lamforge/cli: COMMANDS or GROUPS of commands.py, or the file of its group")


PARTS_OF_DOCUMENTS = {
    *("chrome_trace.trace_document", "comparison.comparison_document", "evaluation.accuracy_document"),
    *("plain.report_document", "programs.graph_document"),
}
"""Functions of reports/documents that make no document of a verb's result, but of a part of one, of a text or of a path."""


def test_documents_of_results() -> None:
    """Every function that makes a document of a result stands in the table, beside the type that it takes."""
    from reports.documents.of_result import VERBS

    place = "VERBS of reports/documents/of_result.py"
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}": each
        for module in modules("reports.documents")
        for name, each in inspect.getmembers(module, inspect.isfunction)
        if each.__module__ == module.__name__ and name.endswith("_document")
    }
    functions = {name: each for name, each in found.items() if name not in PARTS_OF_DOCUMENTS}
    assert {*found} >= PARTS_OF_DOCUMENTS
    check(functions, [function for _, function in VERBS.values()], place)
    for result, (_, function) in VERBS.items():
        (parameter,) = inspect.signature(functions[function]).parameters.values()
        module, _, name = result.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        assert parameter.annotation in (kind, name), f"{function} must take {result}, as {place} says"


def test_parts_of_an_evaluation() -> None:
    """What an evaluation may leave out is shown by every renderer where it is there."""
    from lamforge.flow.evaluate import Evaluation

    parts = [field.name for field in dataclasses.fields(Evaluation) if "None" in str(field.type)]
    for kind in ("documents", "text", "pages"):
        place = f"reports/{kind}/evaluation.py"
        check(parts, re.findall(r"\bfound\.(\w+)", (ROOT / place).read_text()), f"what {place} shows of an evaluation")
