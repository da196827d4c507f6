"""The meaning of LOAD, STORE and APPEND."""

import numpy as np

from hwsim.arch.config import EngineConfig
from hwsim.arch.isa import Append, CacheKind, Load, Space, Store
from hwsim.arch.stream_sizes import KEY_HEADER_BLOCKS
from hwsim.machine.meaning.memories import Memories

__all__ = ["append", "load", "store"]


def load(memories: Memories, config: EngineConfig, instruction: Load) -> None:
    """Copy from the side memory to the residual or the parameter memory."""
    target = memories.residual if instruction.space == Space.RESIDUAL else memories.parameter
    data = memories.side[16 * instruction.offset :][: 16 * instruction.beats]
    start = instruction.address * config.vector.lanes
    target[start : start + 4 * instruction.beats] = np.ascontiguousarray(data).view("<i4")


def store(memories: Memories, config: EngineConfig, instruction: Store) -> None:
    """Copy from the result memory to the side memory."""
    start = instruction.address * config.vector.lanes
    data = memories.result[start : start + 4 * instruction.beats].astype("<i4").view(np.uint8)
    memories.side[16 * instruction.offset :][: len(data)] = data


def append(memories: Memories, config: EngineConfig, instruction: Append) -> None:
    """Write a pack buffer entry to its slot of the cache: data words, then the parameter in the header."""
    memories.streams.keep()
    tile, held = config.tile, 1 << instruction.segments
    slices, per_port, slot = tile.slices, tile.slices_per_port, instruction.slot
    block, own = divmod(slot, slices)
    group, place_in_group = divmod(block, KEY_HEADER_BLOCKS)
    header = group * (1 + KEY_HEADER_BLOCKS * held)
    is_key = instruction.kind == CacheKind.KEY

    def write(slice_: int, beat: int, first: int, data: np.ndarray) -> None:
        start = beat * tile.port_bytes + 16 * (slice_ % per_port) + first
        memories.ports[slice_ // per_port, start : start + len(data)] = data

    for place in range(held):
        data = memories.pack[instruction.entry, 16 * place : 16 * place + 16]
        if is_key:
            beat = instruction.offset + header + 1 + place_in_group * held + place
            write(own, beat, 0, data)
        else:
            tokens = slices // held
            write(slot % tokens * held + place, instruction.offset + slot // tokens, 0, data)
    parameter = memories.pack_parameter[instruction.entry : instruction.entry + 1].astype("<u4").view(np.uint8)
    write(own, instruction.keys + header, 8 * place_in_group + (0 if is_key else 4), parameter)
