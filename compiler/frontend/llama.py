"""The Llama family as a graph: one layer, repeated, then the head."""

from compiler.graph import FINAL, LAYERS, Form, Graph, Node
from compiler.graph.ops import Add, Attention, Input, Linear, NormedAttention, Op, Output, RmsNorm, SwiGlu
from models.config import ModelConfig

__all__ = ["llama_graph"]


def llama_graph(config: ModelConfig, *, sinks: int, window: int) -> Graph:
    """Return the float graph of a model under sinks + window attention; weights have Hugging Face names, `{}` for the layer."""
    nodes: list[Node] = []

    def add(section: str, name: str, op: Op, *inputs: str) -> str:
        nodes.append(Node(name=name, section=section, op=op, inputs=inputs))
        return name

    def linear(name: str, weight: str, rows: int, inputs: int, source: str, bias: bool = False) -> str:
        op = Linear(weights=(f"model.layers.{{}}.{weight}",), rows=rows, inputs=inputs, bias=bias)
        return add(LAYERS, f"layers.{{}}.{name}", op, source)

    hidden, head_dim = config.hidden, config.head_dim
    query, cached = config.heads * head_dim, config.kv_heads * head_dim
    x = add(LAYERS, "input", Input(features=hidden))
    norm = add(LAYERS, "layers.{}.attention_norm", RmsNorm(weight="model.layers.{}.input_layernorm.weight", features=hidden), x)
    q = linear("q", "self_attn.q_proj", query, hidden, norm, config.qkv_bias)
    k = linear("k", "self_attn.k_proj", cached, hidden, norm, config.qkv_bias)
    v = linear("v", "self_attn.v_proj", cached, hidden, norm, config.qkv_bias)
    kind = NormedAttention if config.has_head_norms else Attention
    attention = add(
        LAYERS,
        "layers.{}.attention",
        kind(heads=config.heads, kv_heads=config.kv_heads, head_dim=head_dim, sinks=sinks, window=window),
        q,
        k,
        v,
    )
    o = linear("o", "self_attn.o_proj", hidden, query, attention)
    middle = add(LAYERS, "layers.{}.attention_residual", Add(), o, x)
    norm = add(
        LAYERS, "layers.{}.ffn_norm", RmsNorm(weight="model.layers.{}.post_attention_layernorm.weight", features=hidden), middle
    )
    gate = linear("gate", "mlp.gate_proj", config.ffn, hidden, norm)
    up = linear("up", "mlp.up_proj", config.ffn, hidden, norm)
    product = add(LAYERS, "layers.{}.swiglu", SwiGlu(features=config.ffn), gate, up)
    down = linear("down", "mlp.down_proj", hidden, config.ffn, product)
    x = add(LAYERS, "layers.{}.ffn_residual", Add(), down, middle)
    norm = add(FINAL, "final_norm", RmsNorm(weight="model.norm.weight", features=hidden), x)
    head = add(FINAL, "head", Linear(weights=("lm_head.weight",), rows=config.vocab, inputs=hidden), norm)
    add(FINAL, "output", Output(), head)
    return Graph(form=Form.FLOAT, repeats={LAYERS: config.layers, FINAL: 1}, nodes=nodes)
