"""Rows of CONTRIBUTING's table that are code: each is written in a copy of the rooms, and every place left out is named."""

import pytest

from tests.contributing.tree import Tree

PATTERNS = "models/attention/__init__.py"
METHODS = "models/compress/methods.py"
FAMILIES = "hwsim/offload/devices/__init__.py"
SYSTEMS = "hwsim/offload/systems/__init__.py"
SETS = "reports/studies/validation/sets.py"
REGISTERS = "hwsim/arch/registers.py"


def unlisted(tree: Tree, test: str, module: str = "tests.test_tables") -> str:
    """Return the first line that an existing test says of what is written but not in its table, or nothing."""
    code = f"from {module} import {test} as check\ntry:\n    check()\nexcept Exception as error:\n    print(str(error) or type(error).__name__)"
    return tree.python(code).partition("\n")[0]


def test_an_attention_pattern(tree: Tree) -> None:
    tree.copy("models/attention/dense.py", "models/attention/echo.py", ("Dense", "Echo"), ('"dense"', '"echo"'))
    assert unlisted(tree, "test_attention_patterns") == f"Echo must be in PATTERNS of {PATTERNS}"
    tree.after(PATTERNS, "from models.attention.dense import Dense", "from models.attention.echo import Echo")
    tree.after(PATTERNS, '"dense": Dense,', '"echo": Echo,')
    assert unlisted(tree, "test_every_family_has_an_example", "tests.models.test_attention") == "AssertionError"
    code = "import lamforge, models.attention as a\nprint(a.parse('echo'), [each.name for each in lamforge.list('patterns').entries])"
    assert tree.python(code) == "echo ['dense', 'echo', 'lambda']"
    recipe = "from models.recipes import recipe\nimport dataclasses, models.attention\n"
    refusal = tree.refusal(f"{recipe}dataclasses.replace(recipe('w4a8kv4'), pattern=models.attention.parse('echo'))")
    assert refusal.endswith("Recipe attention must be dense or lambda, not echo")


def test_a_compression_method(tree: Tree) -> None:
    tree.copy("models/compress/rtn.py", "models/compress/echo.py", ("Rtn", "Echo"))
    assert unlisted(tree, "test_compression_methods") == f"Echo must be in METHODS of {METHODS}"
    tree.after(METHODS, "from models.compress.distill import Distill", "from models.compress.echo import Echo")
    tree.after(METHODS, '"rtn": Rtn,', '"echo": Echo,')
    tree.copy("models/recipes/w4a8kv4.yaml", "models/recipes/mine.yaml", ("method: gptq", "method: echo"))
    code = "import lamforge, models.recipes as r\nprint(r.recipe('mine').steps[2].method, 'echo' in str(lamforge.list('methods')))"
    assert tree.python(code) == "Echo(format=<Format.W4: 0>) True"


PASS = '''"""Pass: nothing."""

import dataclasses
from typing import ClassVar

from compiler.graph import Form, Graph
from compiler.passes.base import Pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Nothing(Pass):
    """Nothing."""

    name: ClassVar[str] = "nothing"
    gives: ClassVar[Form] = Form.FLOAT

    def apply(self, graph: Graph) -> Graph:
        return graph
'''


def test_a_compiler_pass(tree: Tree) -> None:
    tree.write("compiler/passes/nothing.py", PASS)
    assert unlisted(tree, "test_compiler_passes") == "Nothing must be in passes() of compiler/pipeline.py"
    tree.edit("compiler/pipeline.py", "return (FuseProjections(), ", "return (Nothing(), FuseProjections(), ")
    assert "name 'Nothing' is not defined" in unlisted(tree, "test_compiler_passes")
    tree.after("compiler/pipeline.py", "from compiler.passes import FuseProjections, FuseResidual, Pass, QuantizeGraph",
               "from compiler.passes.nothing import Nothing")
    code = "from lamforge.flow.compile import CompileRequest, graph_after as graph\nasked = CompileRequest(workload='smollm2-135m', context=64)\n"
    assert tree.python(f"{code}print(graph(asked, 'nothing').text == graph(asked, 'frontend').text)") == "True"


def test_an_operator(tree: Tree) -> None:
    name = "class Scale(Op):\n    \"\"\"Scale.\"\"\"\n\n    forms: ClassVar[tuple[Form, ...]] = (Form.QUANTIZED,)\n"
    text = (tree.folder / "compiler/graph/ops.py").read_text()
    tree.write("compiler/graph/ops.py", f"{text}\n\n{name}")
    place = "LOWERINGS of compiler/lower/__init__.py"
    assert f"Operator Scale of compiler/graph/ops.py must have a lowering in {place}" in tree.refusal("import compiler.lower")
    edit = ("    Quantize: QuantizeLowering,\n", "    Quantize: QuantizeLowering,\n    Scale: QuantizeLowering,\n")
    tree.edit("compiler/lower/__init__.py", *edit)
    tree.edit("compiler/lower/__init__.py", "RmsNorm, SwiGlu\n", "RmsNorm, Scale, SwiGlu\n")
    assert tree.python("from compiler.lower import LOWERINGS\nprint(len(LOWERINGS))") == "8"


def test_a_family_of_devices(tree: Tree) -> None:
    changes = (("CARDS", "ECHOES"), ("Card", "Echo"), ('"cards"', '"echoes"'))
    tree.copy("hwsim/offload/devices/card.py", "hwsim/offload/devices/echo.py", *changes)
    tree.copy("hwsim/specs/devices/cards/u280.yaml", "hwsim/specs/devices/echoes/mine.yaml", ("name: u280", "name: mine"))
    assert "must be in FAMILIES of hwsim/offload/devices/__init__.py" in unlisted(tree, "test_families_of_devices")
    tree.edit(FAMILIES, "CSDS, CARDS)", "CSDS, CARDS, ECHOES)")
    tree.after(FAMILIES, "from hwsim.offload.devices.drive import DRIVES, Drive", "from hwsim.offload.devices.echo import ECHOES, Echo")
    code = "import lamforge\nprint([each.title for each in lamforge.list('devices').entries if each.name == 'mine'])"
    assert tree.python(code) == "[\"Echo: AMD Alveo U280 with Lamforge's engine\"]"
    page = "from hwsim.offload.devices.reference import render\nprint('## Echo' in render())"
    assert tree.python(page) == "True"


def test_a_composition_of_systems(tree: Tree) -> None:
    tree.copy("hwsim/offload/systems/gpu_only.py", "hwsim/offload/systems/echo.py", ("GpuOnly", "Echo"))
    tree.copy("hwsim/specs/offload/gpu-a100.yaml", "hwsim/specs/offload/mine.yaml", ("name: gpu-a100", "name: mine"), ("method: gpu", "method: echo"))
    assert unlisted(tree, "test_compositions_of_systems") == f"Echo must be in METHODS of {SYSTEMS}"
    code = "import lamforge\nprint([lamforge.offload.run(name, prompt=64, generate=8).token_per_s for name in ('mine', 'gpu-a100')])"
    assert "System mine method must be" in tree.refusal(code)
    tree.after(SYSTEMS, "from hwsim.offload.systems.flexgen import FlexGen", "from hwsim.offload.systems.echo import Echo")
    tree.after(SYSTEMS, '"gpu": GpuOnly,', '"echo": Echo,')
    mine, theirs = tree.python(code).strip("[]").split(", ")
    assert mine == theirs


def test_a_validation_set(tree: Tree) -> None:
    changes = (("PCIE_PACKETS", "MINE"), ('"pcie-packets"', '"mine"'))
    tree.copy("reports/studies/validation/pcie_packets.py", "reports/studies/validation/mine.py", *changes)
    assert unlisted(tree, "test_validation_sets") == f"mine must be in SETS of {SETS}"
    tree.after(SETS, "from reports.studies.validation.gpu_operators import GPU_OPERATORS", "from reports.studies.validation.mine import MINE")
    tree.after(SETS, "PCIE_PACKETS,", "MINE,")
    code = "from reports.studies.validation.sets import SETS\nprint([len(each.rows()) for each in SETS if each.name in ('mine', 'pcie-packets')])"
    mine, theirs = tree.python(code).strip("[]").split(", ")
    assert mine == theirs
    assert unlisted(tree, "test_validation_sets") == ""


def test_a_field_of_an_instruction(tree: Tree) -> None:
    doc = 'offset: int = operand(32, 0, doc="First 16-byte unit of the side memory.")'
    tree.after("hwsim/arch/isa.py", doc, 'tint: int = bits(3, doc="Tint.", default=0)')
    code = "from hwsim.arch.isa import Store, decode\nasked = Store(address=1, beats=2, offset=3, tint=5)\n"
    assert tree.python(f"{code}print(decode(asked.encode()) == asked)") == "True"
    for folder in ("hwsim/machine", "rtl"):
        check = f"from tests.test_tables import test_fields_of_instructions as check\ncheck('{folder}')"
        assert tree.refusal(check).endswith(f"tint must be in what the units of {folder} read of an instruction")
    assert "AssertionError" in tree.refusal("from tests.hwsim.test_reference import *\ntest_the_page_is_up_to_date()")


def test_a_field_of_an_engine(tree: Tree) -> None:
    tree.after("hwsim/arch/config.py", "watchdog_cycles: int", "spare: int = 3")
    refusal = tree.refusal("from tests.reports.pictures.test_engine_diagram import *\ntest_no_field_is_left_out()")
    assert refusal.startswith("AssertionError")
    assert tree.python("from hwsim.arch.config import load_engine\nprint(load_engine('tiny').with_values({'control.spare': 5}).control.spare)") == "5"


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_control_register(tree: Tree, is_writable: bool) -> None:
    line = '_register("engine_digest", 0x5C, 32, False, "First 32 bits of the engine configuration\'s digest."),'
    tree.after(REGISTERS, line, f'_register("mine", 0x64, 32, {is_writable}, "Mine."),')
    place = "the connections of rtl/engine.py" if is_writable else "`values` of rtl/control/axi_lite.py"
    assert unlisted(tree, "test_connections_of_control_registers") == f"mine must be in {place}"
    if is_writable:
        tree.after("rtl/engine.py", "control.slot.eq(registers.slot),", "control.mine.eq(registers.mine),")
    else:
        tree.after("rtl/control/axi_lite.py", '"error": self.error,', '"mine": Const(7, 32),')
    code = (
        "from amaranth.back import rtlil\nfrom hwsim.arch.config import load_engine\nfrom rtl.control.axi_lite import ControlRegisters\n"
        "from rtl.package.kernel import arguments\nengine = load_engine('tiny')\nrtlil.convert(ControlRegisters(engine))\n"
        "print([each.name for each in arguments(engine) if each.offset == 0x64])"
    )
    assert tree.python(code) == "['mine']"


def test_a_file_of_the_kernel_package(tree: Tree) -> None:
    tree.write("rtl/package/templates/notes.md", "Clock: {{ mhz }} MHz\n")
    assert unlisted(tree, "test_templates_of_the_kernel_package") == "notes.md must be in _TEMPLATES of rtl/package/files.py"
    tree.after("rtl/package/files.py", '"README.md": "readme.md",', '"NOTES.md": "notes.md",')
    code = (
        "from hwsim.arch.board import load_board\nfrom hwsim.arch.config import load_engine\nfrom rtl.package.files import package_files\n"
        "from rtl.package.target import Target\nfiles = package_files(load_engine('u280'), Target.of(load_board('u280')), {})\n"
        "print(files['NOTES.md'].strip(), 'NOTES.md' in files['MANIFEST.sha256'])"
    )
    assert tree.python(code) == "Clock: 225 MHz True"


def test_a_memory_model(tree: Tree) -> None:
    models = "hwsim/memory/models.py"
    tree.edit(models, "    HBM2 = 2\n", "    MINE = 3\n    HBM2 = 2\n")
    assert "Memory model must be ideal, stalling" in unlisted(tree, "test_memory_models")
    use = "from hwsim.memory.models import MemoryKind as K, MemoryModel\nfrom hwsim.arch.config import load_engine\n"
    code = f"{use}print(MemoryModel(kind=K.MINE).channels(load_engine('tiny'))[0])"
    assert tree.refusal(code).endswith(f"Memory model mine must have a law in {models}")
    tree.edit(models, "MemoryKind.STALLING, MemoryKind.HBM2)", "MemoryKind.STALLING, MemoryKind.HBM2, MemoryKind.MINE)")
    assert tree.python(code) == "3"
    edit = '    if name == "mine" and not seed:\n        return MemoryModel(kind=MemoryKind.MINE)\n'
    tree.edit(models, '    if name == "ideal" and not seed:\n', f'{edit}    if name == "ideal" and not seed:\n')
    assert unlisted(tree, "test_memory_models") == ""


BACKEND = '''"""A backend that does what the simulator does."""

from testbenches.simulated import Simulated


class Echo:
    """The simulator."""

    name = "echo"

    def __init__(self, engine):
        self._simulated = Simulated(engine)

    def run(self, program, image, inputs, memory):
        return self._simulated.run(program, image, inputs, memory)
'''
USE = """
from compiler.model import compile_model
from hwsim.arch.config import load_engine
from hwsim.host.inputs import Inputs
from hwsim.memory.models import IDEAL
from testbenches.compare import compare_logs
from testbenches.echo import Echo
from testbenches.simulated import Simulated
from tests.random_model import random_model

engine, model = load_engine("tiny"), random_model(7)
compiled = compile_model(model, engine, context=32)
inputs = Inputs(position=0, rows=model.embedding.rows([5]))
logs = [kind(engine).run(compiled.decode, compiled.image, inputs, IDEAL)[1] for kind in (Simulated, Echo)]
print(compare_logs(compiled.decode, engine, *logs, ("simulator", "echo")).is_equal)
"""


def test_a_backend(tree: Tree) -> None:
    tree.write("testbenches/echo.py", BACKEND)
    assert tree.python(USE) == "True"


def test_a_kind_of_fault(tree: Tree) -> None:
    cases = "testbenches/fault_cases.py"
    tree.edit(cases, '    SLOW_HOST = "slow_host"\n', '    SLOW_HOST = "slow_host"\n    MINE = "mine"\n')
    assert unlisted(tree, "test_kinds_of_faults") == f"mine must be in the methods of _Drawn in {cases}"
    tree.edit(cases, "    def _reset(self)", "    def _mine(self) -> dict[str, Any]:\n        return {}\n\n    def _reset(self)")
    assert unlisted(tree, "test_kinds_of_faults") == "mine must be in the table of docs/verification.md"


VERB = '''"""Answers with what it is given."""

import dataclasses

from lamforge.flow.listener import SILENT, Listener
from lamforge.flow.verb import verb


@dataclasses.dataclass(frozen=True, kw_only=True)
class EchoRequest:
    """What to say.

    Attributes:
        count: number to say.
    """

    count: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Echo:
    """What was said."""

    count: int


def run(request: EchoRequest, listener: Listener = SILENT) -> Echo:
    """Say it."""
    return Echo(count=request.count)


echo = verb("echo", EchoRequest, run)
'''
COMMAND = '''"""`lamforge echo`: says what it is given."""

from typing import Annotated

import typer

from lamforge.cli.console import JsonOption, OutputOption, show

__all__ = ["echo"]


def echo(
    count: Annotated[int, typer.Option(help="Number to say.")] = 1, as_json: JsonOption = False, output: OutputOption = None
) -> None:
    """Say it.

    Examples:

        lamforge echo --count 3
    """
    from lamforge.flow.echo import EchoRequest, run

    text, document = (lambda found: f"{found.count}\\n"), (lambda found: {"count": found.count})
    show(run(EchoRequest(REQUEST)), text, document, as_json=as_json, output=output)
'''


def test_a_verb(tree: Tree) -> None:
    tree.write("lamforge/flow/echo.py", VERB)
    assert unlisted(tree, "test_verbs_of_the_library") == "echo must be in __all__ and _PLACES of lamforge/__init__.py"
    tree.after("lamforge/__init__.py", '"disasm",', '"echo",')
    assert unlisted(tree, "test_verbs_of_the_library") == "echo must be in _PLACES of lamforge/__init__.py"
    tree.after("lamforge/__init__.py", '"disasm": "lamforge.flow.disasm",', '"echo": "lamforge.flow.echo",')
    assert tree.python("import lamforge\nprint(lamforge.echo(count=3).count)") == "3"
    assert unlisted(tree, "test_verbs_of_the_command") == "echo must be in the subcommands of lamforge/cli/main.py"
    tree.write("lamforge/cli/echo.py", COMMAND.replace("REQUEST", ""))
    assert unlisted(tree, "test_options_of_the_command").endswith("count must be in the options of lamforge/cli for EchoRequest")
    tree.write("lamforge/cli/echo.py", COMMAND.replace("REQUEST", "count=count"))
    main = "lamforge/cli/main.py"
    tree.after(main, "from lamforge.cli.disasm import disasm", "from lamforge.cli.echo import echo")
    tree.after(main, "disasm,", "echo,")
    assert unlisted(tree, "test_verbs_of_the_command") == ""
    assert tree.lamforge("echo", "--count", "3", "--json").split() == ["{", '"count":', "3", "}"]
