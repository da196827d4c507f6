"""The order of a program: prologue, one layer as the body of a hardware loop, and the head."""

from __future__ import annotations

import dataclasses

from compiler.frontend.llama import LAYERS
from compiler.graph.ops import RmsNorm
from compiler.schedule.attention import append_steps, attention_steps
from compiler.schedule.memory_map import norm_words
from compiler.schedule.plan import HEADS, Plan
from compiler.schedule.projection import Piece
from compiler.schedule.registers import CACHE, PARAMETERS, SCRATCH, WEIGHTS, add, first_cache, ring_extent, scalar, token_values
from compiler.schedule.step import Step
from hwsim.arch.formats import WEIGHT_FORMATS
from hwsim.arch.isa import REGISTER_POSITION, Destination, Dot, Fetch, Function, Load, Norm, Quant, Space, Store, SwiGlu
from hwsim.arch.numerics import NORM_SHIFT

__all__ = ["epilogue", "layer_body", "layers", "prologue"]


_LOAD_LIMIT = 63 * 64


def _loads(space: Space, address: int, lanes: int, beats: int, offset: int, register: int, node: str, writes: str) -> list[Step]:
    """Return loads of `beats` side beats, split where the instruction's field ends."""
    steps: list[Step] = []
    for first in range(0, beats, _LOAD_LIMIT):
        load = Load(
            space=space,
            address=address + first * 4 // lanes,
            beats=min(_LOAD_LIMIT, beats - first),
            offset=offset + first,
            registers=(register, 0, 0),
        )
        steps.append(Step(instruction=load, node=node, writes=(writes,)))
    return steps


def prologue(plan: Plan) -> list[Step]:
    """Return the steps before the layers: registers, the input rows, the rotations, the first layer's parameters."""
    memory, attention, lanes = plan.memory, plan.attention, plan.lanes
    width = plan.linear("layers.{}.qkv").inputs
    steps: list[Step] = []
    for token in range(plan.tokens):
        offset = memory.units("input") + token * memory.input_row
        steps += _loads(Space.RESIDUAL, token * plan.strides["input"], lanes, width // 4, offset, 0, "input", "residual")
    words = attention.head_dim // lanes
    for position in range(plan.positions):
        for kind in range(2 if attention.sinks else 1):
            steps.append(add(SCRATCH, REGISTER_POSITION, position))
            if kind:
                steps.append(scalar(Function.MIN, SCRATCH, SCRATCH, attention.sinks + attention.window - 1))
            steps.append(scalar(Function.MUL, SCRATCH, SCRATCH, memory.rotation_row))
            address = plan.rotation + (2 * position + kind) * words
            steps += _loads(
                Space.PARAMETER, address, lanes, attention.head_dim // 4, memory.units("rotation"), SCRATCH, HEADS, "rotation"
            )
    first = norm_words(width, lanes) + _bias_words(plan)
    parameters = memory.units("parameters")
    norm = "layers.{}.attention_norm"
    steps += _loads(Space.PARAMETER, plan.attention_norm, lanes, first * lanes // 4, parameters, 0, norm, "attention_gains")
    steps += [add(WEIGHTS, 0, 0), *first_cache(plan), add(PARAMETERS, 0, parameters + memory.parameter_block)]
    steps += ring_extent(plan)
    if plan.positions == 1:
        steps += token_values(plan, 0)
    return steps


def _bias_words(plan: Plan) -> int:
    return plan.strides["layers.{}.qkv"] if plan.linear("layers.{}.qkv").bias else 0


def _norm(plan: Plan, name: str, parameter: int, gains: str, *, row: int = 0, rows: int) -> Step:
    op = plan.op(name)
    assert isinstance(op, RmsNorm)
    word = Norm(
        rows=rows,
        source=row * plan.strides["input"],
        stride=plan.strides["input"],
        length=op.features // plan.lanes,
        destination=plan.activations[name],
        scale=plan.scales[name],
        parameter=parameter,
        shift=NORM_SHIFT,
    )
    return Step(instruction=word, node=name, reads=("residual", gains), writes=("hidden_codes",))


def _matrix(
    plan: Plan,
    name: str,
    codes: str,
    reads: str,
    writes: str,
    *,
    destination: Destination = Destination.RESULT,
    address: int,
    stride: int,
    side: int = 0,
    first: int = 0,
    blocks: int | None = None,
) -> list[Step]:
    """Return the fetch and the product of one of the layer's matrices, or of `blocks` of its row blocks from `first` on.

    A part starts with a header of the stream; `address` and `side` are those of the part.
    """
    op = plan.linear(name)
    assert op.format is not None
    packer = WEIGHT_FORMATS[op.format]
    if blocks is None:
        blocks = -(-op.rows // plan.engine.tile.slices)
    start = packer.stream_words(first, op.inputs)
    beats = packer.stream_words(first + blocks, op.inputs) - start
    fetch = Fetch(offset=plan.memory.streams[name] + start, beats=beats, registers=(WEIGHTS, 0, 0))
    dot = Dot(
        format=op.format,
        rows=plan.tokens,
        source=plan.activations[codes],
        inner=op.inputs // 32,
        blocks=blocks,
        scale=plan.scales[codes],
        destination=destination,
        address=address,
        stride=stride,
        side=side,
    )
    bias = ("bias",) if op.bias else ()
    return [
        Step(instruction=fetch, node=name),
        Step(instruction=dot, node=name, reads=(reads, *bias), writes=(writes,), consumes=1),
    ]


def _into_residual(plan: Plan, name: str, codes: str, reads: str) -> list[Step]:
    """Return the fetch and the product of a matrix whose results are added to the residual rows."""
    stride = plan.strides["input"]
    return _matrix(plan, name, codes, reads, "residual", destination=Destination.RESIDUAL, address=0, stride=stride)


def _projection(plan: Plan) -> list[Step]:
    """Return the steps of queries, keys and values; a head of a first token is appended as soon as it is there."""
    qkv, attention, lanes = "layers.{}.qkv", plan.attention, plan.lanes
    biased = plan.linear(qkv).bias
    size, done = attention.head_dim, 0
    steps: list[Step] = []
    appends: list[Step] = []
    computed: list[Piece] = []
    for piece in plan.pieces:
        word = piece.first * plan.engine.tile.slices // lanes
        steps += _matrix(
            plan,
            qkv,
            "layers.{}.attention_norm",
            "hidden_codes",
            piece.region,
            destination=Destination.BIASED if biased else Destination.RESULT,
            address=plan.results[qkv] + word,
            stride=plan.strides[qkv],
            side=plan.bias + word if biased else 0,
            first=piece.first,
            blocks=piece.blocks,
        )
        # Behind the product after the one that completed them, so that a full queue of theirs holds no product up.
        steps += appends
        appends = []
        computed.append(piece)
        missing = [other for other in plan.pieces if other not in computed]
        while done < attention.kv_heads:
            rows = [(attention.heads + first + done) * size for first in (0, attention.kv_heads)]
            if any(other.holds(row, size) for other in missing for row in rows):
                break
            for row in plan.first_rows:
                appends += append_steps(plan, row, done)
            done += 1
    return steps + appends


def layer_body(plan: Plan) -> list[Step]:
    """Return the steps of one layer."""
    memory, lanes = plan.memory, plan.lanes
    qkv, gateup, codes, swiglu = "layers.{}.qkv", "layers.{}.gateup", "layers.{}.attention_codes", "layers.{}.swiglu"
    biased = plan.linear(qkv).bias
    steps = [_norm(plan, "layers.{}.attention_norm", plan.attention_norm, "attention_gains", rows=plan.tokens)]
    if plan.positions > 1:
        steps += token_values(plan, 0)
    steps += _projection(plan)
    words = 2 * norm_words(plan.linear(qkv).inputs, lanes) + _bias_words(plan)
    for load in _loads(Space.PARAMETER, plan.ffn_norm, lanes, words * lanes // 4, 0, PARAMETERS, "layers.{}.ffn_norm", "ffn_gains"):
        also = ("attention_gains", "bias") if biased else ("attention_gains",)
        steps.append(dataclasses.replace(load, writes=(*load.writes, *also)))
    steps += attention_steps(plan)
    quant = Quant(
        rows=plan.tokens,
        source=plan.results[HEADS],
        stride=plan.strides[HEADS],
        length=plan.attention.heads * plan.attention.head_dim // lanes,
        destination=plan.activations[codes],
        scale=plan.scales[codes],
    )
    steps.append(Step(instruction=quant, node=codes, reads=("attention",), writes=("attention_codes",)))
    steps += _into_residual(plan, "layers.{}.o", codes, "attention_codes")
    steps.append(_norm(plan, "layers.{}.ffn_norm", plan.ffn_norm, "ffn_gains", rows=plan.tokens))
    steps += _matrix(
        plan,
        gateup,
        "layers.{}.ffn_norm",
        "hidden_codes",
        "gateup",
        address=plan.results[gateup],
        stride=plan.strides[gateup],
    )
    features = plan.graph.width(swiglu)
    product = SwiGlu(
        rows=plan.tokens,
        source=plan.results[gateup],
        up=plan.results[gateup] + features // lanes,
        stride=plan.strides[gateup],
        length=features // lanes,
        destination=plan.activations[swiglu],
        scale=plan.scales[swiglu],
    )
    steps.append(Step(instruction=product, node=swiglu, reads=("gateup",), writes=("swiglu_codes",)))
    steps += _into_residual(plan, "layers.{}.down", swiglu, "swiglu_codes")
    advance = [
        add(WEIGHTS, WEIGHTS, memory.layer_beats),
        add(CACHE, CACHE, memory.cache_layer_beats),
        add(PARAMETERS, PARAMETERS, memory.parameter_block),
    ]
    return advance_before_last(steps, advance)


def advance_before_last(steps: list[Step], advance: list[Step]) -> list[Step]:
    """Return the steps with the scalar steps before the last one, which reads none of their registers."""
    return [*steps[:-1], *advance, steps[-1]]


def epilogue(plan: Plan) -> list[Step]:
    """Return the steps after the layers: the head for each sequence's last token, in passes of the rows it can take."""
    steps: list[Step] = []
    for first in range(0, plan.sequences, plan.head_rows):
        steps += _head(plan, first, min(plan.head_rows, plan.sequences - first))
    return steps


def _head(plan: Plan, first_row: int, rows: int) -> list[Step]:
    """Return the steps of the head for some of the sequences, in chunks stored while the next is computed."""
    head = plan.linear("head")
    assert head.format is not None
    slices, packer = plan.engine.tile.slices, WEIGHT_FORMATS[head.format]
    last = plan.tokens - plan.sequences
    steps = [_norm(plan, "final_norm", plan.attention_norm, "attention_gains", row=last + first_row, rows=rows)]
    blocks = -(-head.rows // slices)
    chunk, stride = plan.logit_rows // slices, plan.logit_rows // plan.lanes
    for index, first in enumerate(range(0, blocks, chunk)):
        count, side = min(chunk, blocks - first), index % len(plan.logits)
        start = packer.stream_words(first, head.inputs)
        beats = packer.stream_words(first + count, head.inputs) - start
        fetch = Fetch(offset=plan.memory.streams["head"] + start, beats=beats)
        dot = Dot(
            format=head.format,
            rows=rows,
            source=plan.activations["final_norm"],
            inner=head.inputs // 32,
            blocks=count,
            scale=plan.scales["final_norm"],
            address=plan.logits[side],
            stride=stride,
        )
        region = f"logits.{side}"
        steps.append(Step(instruction=fetch, node="head"))
        steps.append(Step(instruction=dot, node="head", reads=("hidden_codes",), writes=(region,), consumes=1))
        for row in range(rows):
            store = Store(
                address=plan.logits[side] + row * stride,
                beats=-(-count * slices // 4),
                offset=plan.memory.units("output") + (first_row + row) * plan.memory.output_row + first * slices // 4,
            )
            steps.append(Step(instruction=store, node="output", reads=(region,), writes=("output",)))
    return steps


def layers(plan: Plan) -> int:
    """Return how often the layer runs."""
    return plan.graph.repeats[LAYERS]
