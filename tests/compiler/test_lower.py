"""The schedule walks the graph: in its order, each node through the lowering of its operator, or not at all."""

import dataclasses
import runpy
from pathlib import Path
from typing import ClassVar

import pytest

import compiler.lower
from compiler.graph import LAYERS, Graph, Node
from compiler.graph.ops import Form, Linear, Op, Quantize, RmsNorm
from compiler.lower import LOWERINGS, Lowering
from compiler.lower.codes import RmsNormLowering
from compiler.pipeline import Request, quantized_graph
from compiler.schedule.placement import Placement, place_nodes, plan_memory
from compiler.schedule.program import emit_program
from hwsim.arch.config import load_engine
from hwsim.arch.isa import Format
from hwsim.arch.program import Program
from hwsim.errors import GraphError, ScheduleError
from tests.random_model import random_model, tiny_config

ENGINE = load_engine("small")
OUT, FFN_NORM, GATEUP, DOWN = (f"layers.{{}}.{name}" for name in ("o", "ffn_norm", "gateup", "down"))
GRAPH = quantized_graph(
    Request(config=tiny_config(), layers=Format.W4, head=Format.W8, sinks=4, window=12, engine=ENGINE, context=32, prefill_rows=1)
)


def placed(graph: Graph) -> Placement:
    memory = plan_memory(graph, ENGINE, max_position=32, tokens=1)
    return place_nodes(graph, ENGINE, memory, tokens=1)


def program(graph: Graph) -> Program:
    return emit_program(placed(graph), name="decode", head=True, max_position=32, weights="")


def order(graph: Graph) -> list[str]:
    """Return the nodes of a program in the order in which they first have an instruction in the loop or behind it."""
    symbols = program(graph).symbols
    return list(dict.fromkeys(symbols[symbols.index(LAYERS) + 1 :]))


def changed(name: str, op: Op | None = None, inputs: tuple[str, ...] | None = None) -> Graph:
    """Return the graph with another operator or other arguments of a node."""
    return Graph(
        form=GRAPH.form,
        repeats=GRAPH.repeats,
        nodes=[
            dataclasses.replace(node, op=op or node.op, inputs=inputs or node.inputs) if node.name == name else node
            for node in GRAPH.nodes
        ],
    )


def refusal(graph: Graph) -> str:
    with pytest.raises(ScheduleError) as refused:
        placed(graph)
    return str(refused.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanNorm(RmsNorm):
    """An operator that a test adds."""

    forms: ClassVar[tuple[Form, ...]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lonely(Op):
    """An operator that the table does not know."""

    forms: ClassVar[tuple[Form, ...]] = ()


NEW = MeanNorm(weight="w", features=64, quantized=True)
MISSING = (
    "Operator {} of compiler/graph/ops.py must have a lowering in LOWERINGS of compiler/lower/__init__.py,"
    " which has Attention, Input, Linear, NormedAttention, Output, Quantize, RmsNorm, SwiGlu"
)


def test_an_operator_without_a_lowering_is_refused() -> None:
    with pytest.raises(GraphError) as refused:
        placed(changed(FFN_NORM, NEW))
    assert str(refused.value) == MISSING.format("MeanNorm")


def test_the_import_finds_an_operator_without_a_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(Path(compiler.lower.__file__))
    assert runpy.run_path(path)["LOWERINGS"].keys() == LOWERINGS.keys()
    monkeypatch.setattr(Lonely, "forms", (Form.QUANTIZED,))
    with pytest.raises(GraphError) as refused:
        runpy.run_path(path)
    assert str(refused.value) == MISSING.format("Lonely")


class MeanNormLowering(RmsNormLowering):
    """A lowering that a test adds: one more word of constants."""

    def parameter_words(self) -> int:
        return super().parameter_words() + 1


def test_an_operator_is_added_by_its_lowering_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOWERINGS, MeanNorm, MeanNormLowering)
    graph = changed(FFN_NORM, NEW)
    before, after = placed(GRAPH), placed(graph)
    assert order(graph) == order(GRAPH)
    assert after.run.memory.parameters.words == before.run.memory.parameters.words + 1
    starts = [{node.name: node.parameter_start for node in made.nodes} for made in (before, after)]
    assert starts[1]["layers.{}.attention_norm"] == starts[0]["layers.{}.attention_norm"] + 1
    # Codes of another operator have a place of their own.
    assert len({node.place.start for node in after.nodes if isinstance(node.op, RmsNorm)}) == 2


def with_branch(*, first: str) -> Graph:
    """Return the graph with a normalization and a product beside the feed-forward layer, the normalization `first` in its text."""
    lines = GRAPH.to_text().splitlines()
    at = next(index for index, line in enumerate(lines) if f"| {FFN_NORM} =" in line)
    norm = lines[at].replace(FFN_NORM, "layers.{}.branch_norm")
    product = next(line for line in lines if f"| {GATEUP} =" in line)
    product = product.replace(GATEUP, "layers.{}.branch").replace(FFN_NORM, "layers.{}.branch_norm")
    pair = [norm, lines[at]] if first == "branch" else [lines[at], norm]
    return Graph.from_text("\n".join([*lines[:at], *pair, product, *lines[at + 1 :]]))


def test_independent_nodes_run_in_the_order_of_the_text() -> None:
    names = ["layers.{}.branch_norm", FFN_NORM]
    rest = ["layers.{}.branch", GATEUP]
    found = {first: order(with_branch(first=first)) for first in ("branch", "ffn")}
    assert [name for name in found["branch"] if name in (*names, *rest)] == [*names, *rest]
    assert [name for name in found["ffn"] if name in (*names, *rest)] == [*names[::-1], *rest]
    # Their codes are needed at the same time, so that they have two places.
    assert len({node.place.start for node in placed(with_branch(first="ffn")).nodes if node.name in names}) == 2


def test_what_the_engine_cannot_do_with_a_node_is_refused() -> None:
    linear = GRAPH.node(OUT).op
    assert isinstance(linear, Linear)
    both = refusal(changed(OUT, dataclasses.replace(linear, bias=True)))
    assert both == "Node layers.{}.o must add a bias or a residual, not both at once"
    bare = refusal(changed(OUT, dataclasses.replace(linear, format=Format.W4, residual=False), GRAPH.node(OUT).inputs[:1]))
    assert bare == "Node layers.{}.down must read residual memory, not layers.{}.o in result memory"
    late = refusal(changed(DOWN, inputs=("layers.{}.swiglu", "input")))
    assert late == "Node layers.{}.o must be the last reader of input, which it adds to, not layers.{}.down"
    spy = Node(name="layers.{}.spy", section=LAYERS, op=Quantize(), inputs=("layers.{}.qkv",))
    spied = refusal(GRAPH.rebuilt(nodes=[*GRAPH.nodes, spy]))
    assert spied == "Node layers.{}.qkv must have layers.{}.attention as its only reader, not 2 readers"
    unquantized = refusal(changed(GATEUP, dataclasses.replace(GRAPH.node(GATEUP).op, format=None)))
    assert unquantized == "Node layers.{}.gateup must have a weight format, not none"


def test_a_layer_keeps_keys_and_values_in_one_node() -> None:
    names = [node.name for node in GRAPH.nodes]
    at = names.index("layers.{}.attention")
    none = Graph(form=GRAPH.form, repeats=GRAPH.repeats, nodes=GRAPH.nodes[:at])
    assert refusal(none) == "A layer must have one node that keeps keys and values, not 0"
    twice = [*GRAPH.nodes, dataclasses.replace(GRAPH.nodes[at], name="layers.{}.again")]
    assert refusal(GRAPH.rebuilt(nodes=twice)) == "A layer must have one node that keeps keys and values, not 2"
    second = dataclasses.replace(GRAPH.node("input"), name="second")
    found = refusal(GRAPH.rebuilt(nodes=[*GRAPH.nodes, second]))
    assert found == "Node second must be the only one with a buffer 'input' in the side memory"


class Unfinished(Lowering):
    """A lowering that says too little."""


def test_a_lowering_that_says_too_little_is_named() -> None:
    node = Unfinished(GRAPH.node("input"), (), ENGINE)
    with pytest.raises(ScheduleError, match=r"^Node input must have a lowering that says what its parameters are$"):
        node.parameters(random_model(0), 0)
