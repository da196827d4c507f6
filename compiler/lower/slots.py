"""Scalar steps that derive cache slots, counts of valid tokens and the extent of the ring from the position."""

from __future__ import annotations

from compiler.graph.ops import Attention
from compiler.target.registers import BLOCKS, KEY_BEATS, SCORE_WORDS, SCRATCH, VALUE_BEATS, add, scalar, token_registers
from compiler.target.run import Run
from compiler.target.step import Step
from hwsim.arch.isa import REGISTER_POSITION, REGISTER_SLOT, Function

__all__ = ["ring_extent", "token_values"]


def token_values(run: Run, attention: Attention, token: int) -> list[Step]:
    """Return the steps that set the registers of a position of the run, from the first and, for later ones, the slot before."""
    start = run.memory.cache.ring_start
    slot, sinks, ring = token_registers(token)
    steps = [add(sinks, REGISTER_POSITION, token + 1)]
    if token == 0:
        steps.append(add(slot, REGISTER_SLOT, 0))
    else:
        steps.append(add(slot, token_registers(token - 1)[0], 1))
        if attention.sinks:
            steps.append(scalar(Function.WRAP, slot, slot, start, limit=attention.sinks))
        steps.append(scalar(Function.WRAP, slot, slot, start, limit=start + attention.window))
    steps.append(scalar(Function.SUB, ring, sinks, attention.sinks))
    steps.append(scalar(Function.MAX, ring, ring, 0))
    steps.append(scalar(Function.MIN, ring, ring, attention.window))
    steps.append(scalar(Function.MIN, sinks, sinks, attention.sinks))
    return steps


def ring_extent(run: Run, attention: Attention) -> list[Step]:
    """Return the steps that set the extent of the ring for the run's last position."""
    words, slices = run.memory.cache.words, run.slices
    align = max(slices, run.lanes)
    return [
        add(BLOCKS, REGISTER_POSITION, run.positions - attention.sinks),
        scalar(Function.MAX, BLOCKS, BLOCKS, 0),
        scalar(Function.MIN, BLOCKS, BLOCKS, attention.window),
        add(BLOCKS, BLOCKS, align - 1),
        scalar(Function.SHR, BLOCKS, BLOCKS, align.bit_length() - 1),
        scalar(Function.MUL, SCORE_WORDS, BLOCKS, align // run.lanes),
        scalar(Function.MUL, VALUE_BEATS, BLOCKS, align * words // slices),
        scalar(Function.MUL, BLOCKS, BLOCKS, align // slices),
        scalar(Function.MUL, KEY_BEATS, BLOCKS, words),
        add(SCRATCH, BLOCKS, 1),
        scalar(Function.SHR, SCRATCH, SCRATCH, 1),
        scalar(Function.ADD, KEY_BEATS, KEY_BEATS, 0, b=SCRATCH),
    ]
