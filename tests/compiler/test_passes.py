"""The passes as pairs of texts, the rules of each form, and the round trip of a graph through text."""

import dataclasses

import pytest

from compiler.frontend.llama import llama_graph
from compiler.graph import Form, Graph, Node, check
from compiler.graph.ops import Add, Input, Linear, Op, Output
from compiler.passes import FuseProjections, FuseResidual, QuantizeGraph
from hwsim.arch.isa import Format
from hwsim.errors import GraphError
from models.zoo import shape
from tests.random_model import tiny_config

TINY = tiny_config()


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def test_fuse_projections() -> None:
    before = llama_graph(TINY, sinks=4, window=12)
    after = FuseProjections().apply(before)
    assert "layers.{}.qkv" in names(after)
    assert "layers.{}.gateup" in names(after)
    assert not {"layers.{}.q", "layers.{}.k", "layers.{}.v", "layers.{}.gate", "layers.{}.up"} & set(names(after))
    fused = after.node("layers.{}.qkv").op
    assert isinstance(fused, Linear)
    assert fused.rows == (4 + 2 + 2) * 32
    assert [weight.split(".")[-1] for weight in fused.weights] == ["q_proj", "k_proj", "v_proj"]
    assert after.width("output") == before.width("output")


def test_fuse_residual() -> None:
    after = FuseResidual().apply(llama_graph(TINY, sinks=0, window=16))
    assert not any(isinstance(node.op, Add) for node in after.nodes)
    assert after.node("layers.{}.o").inputs == ("layers.{}.attention", "input")
    assert after.node("layers.{}.down").inputs == ("layers.{}.swiglu", "layers.{}.o")


def test_quantize_needs_fused_projections() -> None:
    graph = QuantizeGraph(layers=Format.W4, head=Format.W8).apply(llama_graph(TINY, sinks=4, window=12))
    with pytest.raises(GraphError, match=r"After quantize, node layers\.\{\}\.attention must obey the quantized rules"):
        check(graph, "quantize")


@pytest.mark.parametrize("name", ["smollm2-135m", "llama-2-7b", "qwen2-0.5b", "qwen3-8b"])
def test_every_form_round_trips_through_text(name: str) -> None:
    graph = llama_graph(shape(name), sinks=4, window=252)
    for step in (FuseProjections(), FuseResidual(), QuantizeGraph(layers=Format.W2S, head=Format.W8)):
        assert Graph.from_text(graph.to_text()) == graph
        graph = step.apply(graph)
        check(graph, step.name)
    assert graph.form is Form.QUANTIZED
    assert Graph.from_text(graph.to_text()) == graph


def test_shape_mistakes_are_named() -> None:
    nodes = [
        Node(name="x", section="final", op=Input(features=8), inputs=()),
        Node(name="y", section="final", op=Linear(weights=("w",), rows=4, inputs=16), inputs=("x",)),
        Node(name="z", section="final", op=Output(), inputs=("y",)),
    ]
    with pytest.raises(GraphError) as refused:
        check(Graph(form=Form.FLOAT, repeats={"final": 1}, nodes=nodes), "test")
    assert str(refused.value) == (
        "After test, node y must obey the float rules: Arguments of Linear must have widths (16,), not (8,)"
    )


@pytest.mark.parametrize(
    "op, arguments, widths",
    [(Output(), (), (0,)), (Output(), (4, 8), (8,)), (Add(), (4,), (4, 4)), (Add(), (4, 8), (8, 8)), (Input(features=8), (8,), ())],
)
def test_an_operator_says_how_many_arguments_it_takes(op: Op, arguments: tuple[int, ...], widths: tuple[int, ...]) -> None:
    with pytest.raises(GraphError) as refused:
        op.width(arguments)
    assert str(refused.value) == f"Arguments of {type(op).__name__} must have widths {widths}, not {arguments}"


def test_a_node_must_come_after_what_it_reads() -> None:
    late = Node(name="y", section="final", op=Output(), inputs=("x",))
    with pytest.raises(GraphError, match="Node y must read nodes before it, not 'x'"):
        Graph(form=Form.FLOAT, repeats={"final": 1}, nodes=[late])
    graph = Graph(form=Form.FLOAT, repeats={"final": 1}, nodes=[])
    with pytest.raises(GraphError, match="Graph must have the node 'x', which another reads"):
        graph.rebuilt(nodes=[dataclasses.replace(late)])
    pair = [dataclasses.replace(late, name=name, inputs=(other,)) for name, other in (("x", "y"), ("y", "x"))]
    with pytest.raises(GraphError, match="Graph must not have a cycle"):
        graph.rebuilt(nodes=pair)


def test_a_graph_is_sorted_no_more_than_its_edges_need() -> None:
    nodes = [
        Node(name=name, section="final", op=Output(), inputs=tuple(inputs))
        for name, inputs in (("a", ""), ("d", "c"), ("b", ""), ("c", "a"))
    ]
    graph = Graph(form=Form.FLOAT, repeats={"final": 1}, nodes=[]).rebuilt(nodes=nodes)
    assert names(graph) == ["a", "b", "c", "d"]
