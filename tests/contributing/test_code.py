"""Rows of CONTRIBUTING's table that are code: each is written in a copy of the rooms, and every place left out is named."""

import pytest

from tests.contributing.tree import Tree

PATTERNS = "models/attention/__init__.py"
METHODS = "models/compress/methods.py"
PASSES = "compiler/passes.py"
LOWERINGS = "compiler/lower/__init__.py"
FAMILIES = "hwsim/offload/devices/__init__.py"
SYSTEMS = "hwsim/offload/systems/__init__.py"
MODELS = "hwsim/memory/models.py"
SETS = "reports/studies/validation/offload.py"
CASES = "testbenches/fault_cases.py"


def unlisted(tree: Tree, test: str, module: str = "tests.test_tables") -> str:
    """Return the first line that an existing test says of what is written but not in its table, or nothing."""
    said = tree.python(f"""
        from {module} import {test} as check
        try:
            check()
        except Exception as error:
            print(str(error) or type(error).__name__)
    """)
    return said.partition("\n")[0]


def test_an_attention_pattern(tree: Tree) -> None:
    tree.copy("models/attention/dense.py", "models/attention/echo.py", ("Dense", "Echo"), ('"dense"', '"echo"'))
    assert unlisted(tree, "test_attention_patterns") == f"Echo must be in PATTERNS of {PATTERNS}"
    tree.after(PATTERNS, "from models.attention.dense import Dense", "from models.attention.echo import Echo")
    tree.edit(PATTERNS, '"dense": Dense,', '"dense": Dense, "echo": Echo,')
    assert unlisted(tree, "test_every_family_has_an_example", "tests.models.test_attention") == "AssertionError"
    found = tree.python("""
        import lamforge, models.attention
        print(models.attention.parse("echo"), [each.name for each in lamforge.list("patterns").entries])
    """)
    assert found == "echo ['dense', 'echo', 'lambda']"
    refusal = tree.refusal("""
        import dataclasses, models.attention, models.recipes
        dataclasses.replace(models.recipes.recipe("w4a8kv4"), pattern=models.attention.parse("echo"))
    """)
    assert refusal.endswith("Recipe attention must be dense or lambda, not echo")


def test_a_compression_method(tree: Tree) -> None:
    tree.copy("models/compress/rtn.py", "models/compress/echo.py", ("Rtn", "Echo"))
    assert unlisted(tree, "test_compression_methods") == f"Echo must be in METHODS of {METHODS}"
    tree.after(METHODS, "from models.compress.distill import Distill", "from models.compress.echo import Echo")
    tree.after(METHODS, '"rtn": Rtn,', '"echo": Echo,')
    options = "models/recipes/options.py"
    refusal = tree.refusal("import models.compress.methods")
    assert f"Method echo must be in METHODS of {METHODS} and in OPTIONS of {options}" in refusal
    tree.after(options, '"rtn": QuantizerOptions,', '"echo": QuantizerOptions,')
    tree.copy("models/recipes/w4a8kv4.yaml", "models/recipes/mine.yaml", ("method: gptq", "method: echo"))
    found = tree.python("""
        import lamforge, models.recipes
        step = models.recipes.recipe("mine").steps[2]
        listed = [each.name for each in lamforge.list("methods").entries]
        print(type(step.method).__name__, step.method.format.name, "echo" in listed)
    """)
    assert found == "Echo W4 True"
    assert unlisted(tree, "test_the_schemas_are_fresh", "tests.reports.studies.test_data_files").endswith("make docs")


PASS = '''

@dataclasses.dataclass(frozen=True, kw_only=True)
class Nothing(Pass):
    """Nothing."""

    name: ClassVar[str] = "nothing"

    def apply(self, graph: Graph) -> Graph:
        return graph
'''


def test_a_compiler_pass(tree: Tree) -> None:
    tree.write(PASSES, (tree.folder / PASSES).read_text() + PASS)
    assert unlisted(tree, "test_compiler_passes") == f"Nothing must be in passes() of {PASSES}"
    tree.edit(PASSES, "return (FuseProjections(), ", "return (Nothing(), FuseProjections(), ")
    found = tree.python("""
        from lamforge.flow.compile import CompileRequest, graph_after
        asked = CompileRequest(workload="smollm2-135m", context=64)
        print(graph_after(asked, "nothing") == graph_after(asked, "frontend"))
    """)
    assert found == "True"


OPERATOR = '''

@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale(Op):
    """A product with a number."""

    forms: ClassVar[tuple[Form, ...]] = (Form.QUANTIZED,)
'''


def test_an_operator(tree: Tree) -> None:
    tree.write("compiler/graph/ops.py", (tree.folder / "compiler/graph/ops.py").read_text() + OPERATOR)
    refusal = tree.refusal("import compiler.lower")
    assert f"Operator Scale of compiler/graph/ops.py must have a lowering in LOWERINGS of {LOWERINGS}" in refusal
    tree.after(LOWERINGS, "Quantize: QuantizeLowering,", "Scale: QuantizeLowering,")
    tree.edit(LOWERINGS, "RmsNorm, SwiGlu\n", "RmsNorm, Scale, SwiGlu\n")
    assert tree.python("from compiler.lower import LOWERINGS; print(len(LOWERINGS))") == "9"


def test_a_family_of_devices(tree: Tree) -> None:
    changes = (("CARDS", "ECHOES"), ("Card", "Echo"), ('"cards"', '"echoes"'))
    tree.copy("hwsim/offload/devices/card.py", "hwsim/offload/devices/echo.py", *changes)
    tree.copy("hwsim/specs/devices/cards/u280.yaml", "hwsim/specs/devices/echoes/mine.yaml", ("name: u280", "name: mine"))
    assert unlisted(tree, "test_families_of_devices").endswith(f"must be in FAMILIES of {FAMILIES}")
    tree.edit(FAMILIES, "CSDS, CARDS)", "CSDS, CARDS, ECHOES)")
    tree.after(FAMILIES, "from hwsim.offload.devices.device import Device, Family", "from hwsim.offload.devices.echo import ECHOES")
    found = tree.python("""
        import lamforge
        from hwsim.offload.devices.reference import render
        titles = {each.name: each.title for each in lamforge.list("devices").entries}
        print(titles["mine"].partition(":")[0], "## Echo" in render())
    """)
    assert found == "Echo True"
    assert unlisted(tree, "test_the_schemas_are_fresh", "tests.reports.studies.test_data_files").endswith("make docs")


def test_a_composition_of_systems(tree: Tree) -> None:
    tree.copy("hwsim/offload/systems/gpu_only.py", "hwsim/offload/systems/echo.py", ("GpuOnly", "Echo"))
    changes = (("name: gpu-a100", "name: mine"), ("method: gpu", "method: echo"))
    tree.copy("hwsim/specs/offload/gpu-a100.yaml", "hwsim/specs/offload/mine.yaml", *changes)
    assert unlisted(tree, "test_compositions_of_systems") == f"Echo must be in METHODS of {SYSTEMS}"
    assert "System mine method must be" in tree.refusal("import lamforge; lamforge.offload.run('mine')")
    tree.after(SYSTEMS, "from hwsim.offload.systems.flexgen import FlexGen", "from hwsim.offload.systems.echo import Echo")
    tree.after(SYSTEMS, '"gpu": GpuOnly,', '"echo": Echo,')
    found = tree.python("""
        import lamforge
        mine, theirs = (lamforge.offload.run(name, prompt=64, generate=8).token_per_s for name in ("mine", "gpu-a100"))
        print(mine == theirs)
    """)
    assert found == "True"


def test_a_validation_set(tree: Tree) -> None:
    changes = (("PCIE_PACKETS", "MINE"), ('"pcie-packets"', '"mine"'))
    tree.copy("reports/studies/validation/pcie.py", "reports/studies/validation/mine.py", *changes)
    assert unlisted(tree, "test_validation_sets") == f"mine must be in SETS of {SETS}"
    before = "from reports.studies.validation.fpga import FPGA_DECODE"
    tree.after(SETS, before, "from reports.studies.validation.mine import MINE")
    tree.after(SETS, "PCIE_PACKETS,", "MINE,")
    found = tree.python("""
        from reports.studies.validation.offload import SETS
        sets = {each.name: each for each in SETS}
        print(len(sets["mine"].rows) == len(sets["pcie-packets"].rows))
    """)
    assert found == "True"


def test_a_weight_format_in_models(tree: Tree) -> None:
    """The other rooms' places are in tests/hwsim/test_complete.py."""
    sizes = "hwsim/arch/stream_sizes.py"
    tree.after(sizes, "KV8 = 5", "W3 = 6")
    row = "    Format.W3: StreamSizes(code_bits=3, group=32, group_words=1, run_groups=8),\n"
    tree.edit(sizes, "    Format.KV4: StreamSizes(", f"{row}    Format.KV4: StreamSizes(")
    tree.edit("hwsim/arch/formats/weights.py", "Format.W8: W8()", "Format.W8: W8(), Format.W3: W8()")
    refusal = "hwsim.errors.IsaError: Format W3 must have {}: add a row in {}"
    assert tree.refusal("import models.shaped") == refusal.format("a grid for weights", "models/compress/grid.py")
    tree.edit("models/compress/grid.py", "require_rows((", "require_rows((Format.W3, ")
    assert tree.refusal("import models.shaped") == refusal.format("codes of random weights", "models/shaped.py")


INSTRUCTION = '''class Twirl(Instruction, opcode=20, unit=Unit.MOVER):
    """Twirl."""


class Scalar('''


def test_an_instruction_that_nothing_runs(tree: Tree) -> None:
    """The rows of tables are in tests/hwsim/test_complete.py."""
    tree.edit("hwsim/arch/isa.py", "class Scalar(", INSTRUCTION)
    check = "from tests.test_tables import test_instructions as check; check('{}')"
    assert tree.refusal(check.format("rtl")).endswith("Twirl must be in INSTRUCTIONS of hwsim/arch/isa.py")
    tree.edit("hwsim/arch/isa.py", "    Store,\n    Scalar,\n", "    Store,\n    Twirl,\n    Scalar,\n")
    for folder in ("rtl", "testbenches"):
        assert tree.refusal(check.format(folder)).endswith(f"Twirl must be in what {folder} does with instructions")


def test_a_field_of_an_instruction(tree: Tree) -> None:
    doc = 'offset: int = operand(32, 0, doc="First 16-byte unit of the side memory.")'
    tree.after("hwsim/arch/isa.py", doc, 'tint: int = bits(3, doc="Tint.", default=0)')
    found = tree.python("""
        from hwsim.arch.isa import Store, decode
        asked = Store(address=1, beats=2, offset=3, tint=5)
        print(decode(asked.encode()) == asked)
    """)
    assert found == "True"
    for folder in ("hwsim/machine", "rtl"):
        check = f"from tests.test_tables import test_fields_of_instructions as check; check('{folder}')"
        assert tree.refusal(check).endswith(f"tint must be in what the units of {folder} read of an instruction")
    assert unlisted(tree, "test_the_page_is_up_to_date", "tests.hwsim.test_reference").endswith("make docs")


def test_a_field_of_an_engine(tree: Tree) -> None:
    tree.after("hwsim/arch/config.py", "watchdog_cycles: Annotated[int, Limits(256, 1 << 24)]", "spare: int = 3")
    picture = "tests.reports.pictures.test_engine_diagram"
    assert unlisted(tree, "test_no_field_is_left_out", picture) == "AssertionError"
    found = tree.python("""
        from hwsim.arch.config import load_engine
        print(load_engine("tiny").with_values({"control.spare": 5}).control.spare)
    """)
    assert found == "5"


def test_a_field_of_a_data_file(tree: Tree) -> None:
    board = "hwsim/arch/board.py"
    tree.copy("hwsim/specs/boards/u280.yaml", "hwsim/specs/boards/mine.yaml", ("name: u280", "name: mine\nslots: 2"))
    assert "slots" in tree.refusal("from hwsim.arch.board import load_board; load_board('mine')")
    doc = '"""What the energy estimate of an engine on the board takes."""'
    tree.after(board, doc, 'slots: Annotated[int, Limits(1, 4)] = 1\n    """Slots of the host that a card takes."""')
    assert tree.python("from hwsim.arch.board import load_board; print(load_board('mine').slots)") == "2"
    for test in ("test_the_page_is_fresh", "test_the_schemas_are_fresh"):
        assert unlisted(tree, test, "tests.reports.studies.test_data_files").endswith("make docs")


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_control_register(tree: Tree, is_writable: bool) -> None:
    line = '_register("engine_digest", 0x5C, 32, False, "First 32 bits of the engine configuration\'s digest."),'
    tree.after("hwsim/arch/registers.py", line, f'_register("mine", 0x64, 32, {is_writable}, "Mine."),')
    place = "the connections of rtl/engine.py" if is_writable else "`values` of rtl/control/axi_lite.py"
    assert unlisted(tree, "test_connections_of_control_registers") == f"mine must be in {place}"
    if is_writable:
        tree.after("rtl/engine.py", "control.slot.eq(registers.slot),", "control.mine.eq(registers.mine),")
    else:
        tree.after("rtl/control/axi_lite.py", '"error": self.error,', '"mine": Const(7, 32),')
    found = tree.python("""
        from amaranth.back import rtlil
        from hwsim.arch.config import load_engine
        from rtl.control.axi_lite import ControlRegisters
        from rtl.package.kernel import arguments
        engine = load_engine("tiny")
        rtlil.convert(ControlRegisters(engine))
        print([each.name for each in arguments(engine) if each.offset == 0x64])
    """)
    assert found == "['mine']"


def test_a_file_of_the_kernel_package(tree: Tree) -> None:
    tree.write("rtl/package/templates/notes.md", "Clock: {{ mhz }} MHz\n")
    assert unlisted(tree, "test_templates_of_the_kernel_package") == "notes.md must be in _TEMPLATES of rtl/package/files.py"
    tree.after("rtl/package/files.py", '"README.md": "readme.md",', '"NOTES.md": "notes.md",')
    found = tree.python("""
        from hwsim.arch.board import load_board
        from hwsim.arch.config import load_engine
        from rtl.package.files import package_files
        from rtl.package.files import Target
        files = package_files(load_engine("u280"), Target.of(load_board("u280")), {})
        print(files["NOTES.md"].strip(), "NOTES.md" in files["MANIFEST.sha256"])
    """)
    assert found == "Clock: 225 MHz True"


def test_a_memory_model(tree: Tree) -> None:
    tree.after(MODELS, "HBM2 = 2", "MINE = 3")
    assert unlisted(tree, "test_memory_models").startswith("Memory model must be ideal, stalling")
    use = """
        from hwsim.arch.config import load_engine
        from hwsim.memory.models import MemoryKind, MemoryModel
        print(MemoryModel(kind=MemoryKind.MINE).channels(load_engine("tiny"))[0])
    """
    assert tree.refusal(use).endswith(f"Memory model mine must have a law in {MODELS}")
    tree.edit(MODELS, "MemoryKind.STALLING, MemoryKind.HBM2)", "MemoryKind.STALLING, MemoryKind.HBM2, MemoryKind.MINE)")
    assert tree.python(use) == "3"
    named = '    if name == "mine":\n        return MemoryModel(kind=MemoryKind.MINE)\n'
    tree.edit(MODELS, '    if name == "ideal" and not seed:\n', f'{named}    if name == "ideal" and not seed:\n')
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


def test_a_backend(tree: Tree) -> None:
    tree.write("testbenches/echo.py", BACKEND)
    found = tree.python("""
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
    """)
    assert found == "True"


def test_a_kind_of_fault(tree: Tree) -> None:
    tree.after(CASES, 'SLOW_HOST = "slow_host"', 'MINE = "mine"')
    assert unlisted(tree, "test_kinds_of_faults") == f"mine must be in the methods of _Drawn in {CASES}"
    tree.edit(CASES, "    def _reset(self)", "    def _mine(self) -> dict[str, Any]:\n        return {}\n\n    def _reset(self)")
    assert unlisted(tree, "test_kinds_of_faults") == "mine must be in the table of docs/verification.md"


def test_a_retrieval_test(tree: Tree) -> None:
    tree.copy("models/evaluation/needles.py", "models/evaluation/mine.py", ("needle_tasks", "mine_tasks"))
    flow = "lamforge/flow/evaluate.py"
    tree.after(flow, "needles: Sequence[int] = ()", "mine: Sequence[int] = ()")
    assert unlisted(tree, "test_options_of_the_command") == "mine must be in the options of lamforge/cli for EvaluateRequest"
    tree.after(flow, "needles: Retrieval | None", "mine: Retrieval | None")
    for kind in ("documents", "text", "pages"):
        place = f"reports/{kind}/evaluation.py"
        assert unlisted(tree, "test_parts_of_an_evaluation") == f"mine must be in what {place} shows of an evaluation"
        head, found, rest = (tree.folder / place).read_text().partition("found.needles)")
        tree.write(place, f'{head}{found}, ("mine", "Mine", found.mine){rest}')
    assert unlisted(tree, "test_parts_of_an_evaluation") == ""


def test_a_kind_of_thing_to_list(tree: Tree) -> None:
    tree.after("lamforge/flow/list.py", '"boards": _boards,', '"cards": _boards,')
    assert unlisted(tree, "test_kinds_of_things_to_list") == "cards must be in _KINDS of lamforge/cli/list.py"
    assert tree.lamforge("list", "cards") == tree.lamforge("list", "boards")


VERB = '''"""Answers with what it is given."""

import dataclasses

from lamforge.flow.verb import SILENT, Listener
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

from lamforge.cli.console import Answer, answer


def echo(count: int = 1) -> Answer:
    """Say it."""
    from lamforge.flow.echo import EchoRequest, run

    return answer(run(EchoRequest(GIVEN)), str, lambda found: {"count": found.count})
'''


DOCUMENT = '''"""What was said, as plain values."""

from lamforge.flow.echo import Echo


def echo_document(found: Echo) -> object:
    """Return what was said."""
    return {"count": found.count}
'''


def test_a_verb(tree: Tree) -> None:
    tree.write("lamforge/flow/echo.py", VERB)
    assert unlisted(tree, "test_verbs_of_the_library") == "echo must be in __all__ of lamforge/__init__.py"
    tree.after("lamforge/__init__.py", '"disasm",', '"echo",')
    assert tree.python("import lamforge; print(lamforge.echo(count=3))") == "Echo(count=3)"
    assert unlisted(tree, "test_verbs_of_the_command").startswith("echo must be in the subcommands of lamforge/cli")
    tree.write("lamforge/cli/echo.py", COMMAND.replace("GIVEN", ""))
    assert unlisted(tree, "test_options_of_the_command") == "count must be in the options of lamforge/cli for EchoRequest"
    tree.write("lamforge/cli/echo.py", COMMAND.replace("GIVEN", "count=count"))
    tree.edit("lamforge/cli/main.py", '"disasm")', '"disasm", "echo")')
    assert unlisted(tree, "test_verbs_of_the_command") == ""
    tree.write("reports/documents/echo.py", DOCUMENT)
    assert unlisted(tree, "test_documents_of_results") == "echo.echo_document must be in VERBS of reports/documents/of_result.py"
    line = '"lamforge.flow.echo.Echo": ("echo", "echo.echo_document"),'
    tree.after("reports/documents/of_result.py", '"lamforge.flow.synth.Synthesis": ("synth", "circuit.synthesis_document"),', line)
    assert unlisted(tree, "test_documents_of_results") == ""
    assert tree.python("import lamforge; print(lamforge.compare(lamforge.echo(), lamforge.echo(count=2)).headline.path)") == "count"
    assert tree.lamforge("echo", "--count", "3", "--json").split() == ["{", '"verb":', '"echo",', '"count":', "3", "}"]
