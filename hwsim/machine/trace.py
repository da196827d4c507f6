"""What control executes: the words of a program as arrays, and its unit instructions with loops unrolled and registers resolved."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from hwsim.arch.fields import CHECK_VALUE, HEADER, WORD_BITS, Instruction, Unit
from hwsim.arch.isa import INSTRUCTIONS, REGISTER_POSITION, REGISTER_SLOT, REGISTERS, End, Loop, Scalar, decode
from hwsim.arch.timing import REFILL_CYCLES
from hwsim.compiled import compiled, compiled_part
from hwsim.errors import IsaError, MachineError, ProgramError

__all__ = ["KIND_OF_OPCODE", "TOKEN_LIMIT", "DecodedWords", "Trace", "list_naming", "run_control"]

KIND_OF_OPCODE: dict[int, type[Instruction]] = {kind.opcode: kind for kind in INSTRUCTIONS}

TOKEN_LIMIT = 63
"""Tokens a counter of the scoreboard holds."""
_UNITS = len(Unit)
_LOOP_DEPTH = 4
_FIRST_CAPACITY = 1 << 14
_LIMIT = 1 << 22
"""Executed instructions after which a program is refused."""
_HALF = WORD_BITS // 2
_decoded = functools.lru_cache(maxsize=1 << 14)(decode)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodedWords:
    """Fields of all words as int64 arrays [words]; a field of another class than the word's own means nothing there.

    `header` holds the header fields by name, `body` the fields of each class by name; `is_good` is false for a word
    that `hwsim.arch.isa.decode` refuses.
    """

    words: tuple[int, ...]
    header: dict[str, np.ndarray]
    body: dict[type[Instruction], dict[str, np.ndarray]]
    is_good: np.ndarray

    def instruction(self, pc: int) -> Instruction:
        """Return the decoded word at `pc`; raise IsaError naming pc."""
        try:
            return _decoded(self.words[pc])
        except IsaError as error:
            raise IsaError(f"Word at pc {pc} must be an instruction: {error}") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trace:
    """The unit instructions a program executes, in order; arrays [instructions].

    `operand` [instructions, 3] holds the registers of the operand slots. `slot` counts the cycles control needs, when
    nothing holds it, from its first instruction (scalars and loops too) to this one, `end_slot` those to End.
    """

    decoded: DecodedWords
    pc: np.ndarray
    operand: np.ndarray
    slot: np.ndarray
    end_slot: int
    registers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pc)

    @functools.cached_property
    def opcode(self) -> np.ndarray:
        """Opcodes."""
        return self.decoded.header["opcode"][self.pc]

    @functools.cached_property
    def unit(self) -> np.ndarray:
        """Units, as `Unit` values."""
        table = np.full(32, -1, dtype=np.int64)
        for kind in INSTRUCTIONS:
            table[kind.opcode] = -1 if kind.unit is None else int(kind.unit)
        return table[self.opcode]

    @functools.cached_property
    def longest_loop(self) -> tuple[int, int] | None:
        """First instruction of the second iteration of the loop that executes most instructions, and the instructions of one.

        Of loops in loops the outermost counts; None where no loop runs three times.
        """
        best = None
        for begin in np.unique(self.pc[1:][np.diff(self.pc) <= 0]):
            starts = np.flatnonzero(self.pc == begin)
            lengths = np.diff(starts)
            if len(starts) > 2 and (lengths == lengths[0]).all() and (best is None or len(starts) * lengths[0] > best[0]):
                best = len(starts) * int(lengths[0]), int(starts[1]), int(lengths[0])
        return None if best is None else best[1:]

    @functools.cached_property
    def distant_tokens(self) -> np.ndarray:
        """Signals, and for each the wait that must take a token before it, lest more than TOKEN_LIMIT be left, int64 [2, signals].

        In the place of a wait that does not exist stands -1. Signals whose units have not given TOKEN_LIMIT before are left out.
        """
        return _distant_tokens(self.unit, self.header("wait"), self.header("signal"))

    @functools.cached_property
    def same_as(self) -> np.ndarray:
        """For each instruction the first since which its word is executed with the same registers, int64 [instructions]."""
        return _same_as(self.pc, self.operand, len(self.decoded.words))

    def rows_of(self, kind: type[Instruction]) -> np.ndarray:
        """Return the indices of the instructions of class `kind`."""
        return np.flatnonzero(self.opcode == kind.opcode)

    def first_rows_of(self, kind: type[Instruction]) -> np.ndarray:
        """Return those of `rows_of` that are in `first_rows`."""
        return self._first_rows_by_opcode[kind.opcode]

    @functools.cached_property
    def _first_rows_by_opcode(self) -> dict[int, np.ndarray]:
        opcodes = self.opcode[self.first_rows]
        return {kind.opcode: self.first_rows[opcodes == kind.opcode] for kind in INSTRUCTIONS}

    @functools.cached_property
    def first_rows(self) -> np.ndarray:
        """Indices of the instructions that `same_as` names: the others are one of these, executed again."""
        return np.flatnonzero(self.same_as == np.arange(len(self)))

    def values(self, kind: type[Instruction], name: str, rows: np.ndarray) -> np.ndarray:
        """Return a field of the instructions at `rows`, all of class `kind`, registers added modulo 2**32."""
        values = self.decoded.body[kind][name][self.pc[rows]]
        slot = kind.field(name).register
        return values if slot is None else (values + self.operand[rows, slot]) & 0xFFFFFFFF

    def header(self, name: str) -> np.ndarray:
        """Return a header field of every instruction."""
        return self.decoded.header[name][self.pc]

    def instruction(self, index: int) -> Instruction:
        """Return the instruction with registers added to its operand fields."""
        decoded = self.decoded.instruction(int(self.pc[index]))
        added = {
            field.name: (getattr(decoded, field.name) + int(self.operand[index, field.register])) & 0xFFFFFFFF
            for field in decoded.layout
            if field.register is not None and self.operand[index, field.register]
        }
        return dataclasses.replace(decoded, **added) if added else decoded

    def name(self, index: int) -> str:
        """Return how messages call an instruction."""
        kind = KIND_OF_OPCODE[int(self.opcode[index])]
        return f"Instruction {index} ({kind.__name__}, pc {int(self.pc[index])})"


@compiled_part
def list_naming(unit: np.ndarray, mask: np.ndarray, own: int, other: int, found: np.ndarray) -> int:
    """Fill `found` with the instructions of unit `own` whose mask names unit `other`, in order, and return how many there are."""
    count = 0
    for index in range(len(unit)):
        if unit[index] == own and mask[index] >> other & 1:
            found[count] = index
            count += 1
    return count


@compiled
def _distant_tokens(unit: np.ndarray, wait: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return what `Trace.distant_tokens` says."""
    takes, gives = np.empty(len(unit), np.int64), np.empty(len(unit), np.int64)
    found = np.empty((2, (_UNITS - 1) * len(unit)), np.int64)
    end = 0
    for producer in range(_UNITS):
        for consumer in range(_UNITS):
            if consumer == producer:
                continue
            waits = list_naming(unit, wait, consumer, producer, takes)
            for place in range(list_naming(unit, signal, producer, consumer, gives) - TOKEN_LIMIT):
                found[0, end], found[1, end] = gives[place + TOKEN_LIMIT], takes[place] if place < waits else -1
                end += 1
    return found[:, :end].copy()


@compiled
def _same_as(pc: np.ndarray, operand: np.ndarray, words: int) -> np.ndarray:
    """Return what `Trace.same_as` says."""
    found, last = np.empty(len(pc), np.int64), np.full(words, -1, np.int64)
    for index in range(len(pc)):
        before = last[pc[index]]
        is_same = before >= 0
        for place in range(operand.shape[1]):
            is_same = is_same and operand[index, place] == operand[before, place]
        last[pc[index]] = found[index] = before if is_same else index
    return found


_FIELDS = [(kind, field) for kind in INSTRUCTIONS for field in kind.layout]
"""The fields of all classes, one class after the other."""
_HEADER_PLACES = np.array([(offset, width, False) for offset, width in HEADER.values()])
_PLACES = np.array([(field.offset, field.width, field.signed) for _, field in _FIELDS])
"""Offset and width in bits, and whether negative numbers are meant, of the fields of the header and of `_FIELDS`."""


def _unused(kind: type[Instruction]) -> np.ndarray:
    """Return the bits that a word of a class leaves zero, uint64 [2], the low half first."""
    places = [*HEADER.values(), *((field.offset, field.width) for field in kind.layout)]
    used = sum(((1 << width) - 1) << offset for offset, width in places)
    return np.frombuffer((used ^ ((1 << WORD_BITS) - 1)).to_bytes(WORD_BITS // 8, "little"), dtype="<u8")


_UNUSED = {kind: _unused(kind) for kind in INSTRUCTIONS}


@functools.lru_cache(maxsize=8)
def _decode_words(words: tuple[int, ...]) -> DecodedWords:
    for pc, word in enumerate(words):
        if not 0 <= word < 1 << WORD_BITS:
            raise IsaError(f"Word at pc {pc} must have {WORD_BITS} bits, not the value {word}")
    raw = np.frombuffer(b"".join(word.to_bytes(16, "little") for word in words), dtype=np.uint8).reshape(-1, 16)
    halves = raw.view("<u8").reshape(-1, 2)
    header = dict(zip(HEADER, _extracted(halves, _HEADER_PLACES), strict=True))
    body: dict[type[Instruction], dict[str, np.ndarray]] = {kind: {} for kind in INSTRUCTIONS}
    for (kind, field), values in zip(_FIELDS, _extracted(halves, _PLACES), strict=True):
        body[kind][field.name] = values
    is_checked = np.bitwise_xor.reduce(raw, axis=1) == CHECK_VALUE
    is_good = np.zeros(len(words), dtype=bool)
    for kind in INSTRUCTIONS:
        mine = np.flatnonzero(header["opcode"] == kind.opcode)
        is_good[mine] = is_checked[mine] & ((halves[mine] & _UNUSED[kind]) == 0).all(axis=1)
        for field in kind.layout:
            if field.kind is not None:
                is_good[mine] &= np.isin(body[kind][field.name][mine], [int(member) for member in field.kind])
    return DecodedWords(words=words, header=header, body=body, is_good=is_good)


@compiled
def _extracted(halves: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the values of fields in words given as [words, 2] halves, int64 [fields, words]."""
    found = np.empty((len(places), len(halves)), np.int64)
    for field in range(len(places)):
        offset, width, is_signed = places[field]
        for word in range(len(halves)):
            if offset >= _HALF:
                value = halves[word, 1] >> np.uint64(offset - _HALF)
            else:
                value = halves[word, 0] >> np.uint64(offset)
                if offset + width > _HALF:
                    value |= halves[word, 1] << np.uint64(_HALF - offset)
            number = np.int64(value & np.uint64((1 << width) - 1))
            found[field, word] = number - ((number >> (width - 1)) << width) if is_signed else number
    return found


def run_control(words: Sequence[int], *, position: int = 0, slot: int = 0) -> Trace:
    """Execute loops and scalars and return the unit instructions up to End.

    Raises:
        IsaError: a word that is executed is malformed.
        MachineError: loops nest deeper than four.
        ProgramError: a loop is empty or crosses another's end, or the program runs past its last word.
    """
    decoded = _decode_words(tuple(words))
    registers = np.zeros(REGISTERS, dtype=np.int64)
    registers[REGISTER_POSITION], registers[REGISTER_SLOT] = position & 0xFFFFFFFF, slot & 0xFFFFFFFF
    scalar, loop, header = decoded.body[Scalar], decoded.body[Loop], decoded.header
    action = np.full(len(decoded.words), 0, dtype=np.int64)
    for opcode, code in ((Scalar.opcode, 1), (Loop.opcode, 2), (End.opcode, 3)):
        action[header["opcode"] == opcode] = code
    action[~decoded.is_good] = 4
    sources = np.stack([header["register0"], header["register1"], header["register2"]], axis=1)
    setting = np.stack([scalar["function"], scalar["target"], scalar["immediate"], scalar["limit"]], axis=1)
    looping = np.stack([loop["count"], loop["length"]], axis=1)
    capacity = _FIRST_CAPACITY
    while True:
        pcs, operands, slots = (np.empty(capacity, np.int64), np.empty((capacity, 3), np.int64), np.empty(capacity, np.int64))
        final = registers.copy()
        status, count, elapsed, pc = _execute(action, sources, setting, looping, final, pcs, operands, slots)
        if status != _FULL:
            break
        capacity *= 4
    if status != _ENDED:
        _refuse(decoded, int(status), int(pc))
    return Trace(
        decoded=decoded,
        pc=pcs[:count].copy(),
        operand=operands[:count].copy(),
        slot=slots[:count].copy(),
        end_slot=int(elapsed),
        registers=tuple(int(value) for value in final),
    )


_ENDED, _FULL, _BAD_WORD, _PAST_END, _TOO_DEEP, _EMPTY_LOOP, _CROSSING, _TOO_LONG = range(8)


def _refuse(decoded: DecodedWords, status: int, pc: int) -> None:
    if status == _BAD_WORD:
        decoded.instruction(pc)
    if status == _TOO_DEEP:
        raise MachineError(f"Loops must nest at most {_LOOP_DEPTH} deep, not {_LOOP_DEPTH + 1}, at pc {pc}")
    if status == _EMPTY_LOOP:
        count, length = (int(decoded.body[Loop][name][pc]) for name in ("count", "length"))
        raise ProgramError(f"Loop at pc {pc} must have count and length at least 1, not {count} and {length}")
    if status == _CROSSING:
        raise ProgramError(f"Loop at pc {pc} must end before the loop around it ends, not with it or after it")
    if status == _TOO_LONG:
        raise ProgramError(f"Program must end within {_LIMIT} executed instructions, not run on at pc {pc}")
    raise ProgramError(f"Program must reach End, not run past its last word {len(decoded.words) - 1}")


@compiled
def _execute(
    action: np.ndarray,
    sources: np.ndarray,
    setting: np.ndarray,
    looping: np.ndarray,
    registers: np.ndarray,
    pcs: np.ndarray,
    operands: np.ndarray,
    slots: np.ndarray,
) -> tuple[int, int, int, int]:
    """Fill pcs, operands, slots; return (status, unit instructions, cycles to End, pc)."""
    word = 0xFFFFFFFF
    starts, ends, counts = np.empty(4, np.int64), np.empty(4, np.int64), np.empty(4, np.int64)
    depth, pc, count, executed, elapsed = 0, 0, 0, 0, 0
    while True:
        if pc >= len(action):
            return 3, count, elapsed, pc
        kind = action[pc]
        at = pc
        pc += 1
        if kind == 0:
            if count == len(pcs):
                return 1, count, elapsed, at
            pcs[count], slots[count] = at, elapsed
            for j in range(3):
                operands[count, j] = registers[sources[at, j]]
            count += 1
        elif kind == 1:
            function, target = setting[at, 0], setting[at, 1]
            a = registers[sources[at, 0]]
            b = (registers[sources[at, 1]] + setting[at, 2]) & word
            signed_a, signed_b = a - ((a >> 31) << 32), b - ((b >> 31) << 32)
            if function == 0:
                value = a + b
            elif function == 1:
                value = a - b
            elif function == 2:
                value = a if signed_a < signed_b else b
            elif function == 3:
                value = a if signed_a > signed_b else b
            elif function == 4:
                value = a * b
            elif function == 5:
                value = a >> (b & 31)
            else:
                value = b if a == setting[at, 3] else a
            if target:
                registers[target] = value & word
        elif kind == 2:
            if depth == 4:
                return 4, count, elapsed, at
            if looping[at, 0] == 0 or looping[at, 1] == 0:
                return 5, count, elapsed, at
            end = at + looping[at, 1]
            if depth and end >= ends[depth - 1]:
                return 6, count, elapsed, at
            starts[depth], ends[depth], counts[depth] = pc, end, looping[at, 0]
            depth += 1
        elif kind == 3:
            return 0, count, elapsed, at
        else:
            return 2, count, elapsed, at
        ends_body = depth > 0 and at == ends[depth - 1] and kind != 2
        elapsed += REFILL_CYCLES if kind != 0 or ends_body else 1
        executed += 1
        if executed > _LIMIT:
            return 7, count, elapsed, at
        if ends_body:
            counts[depth - 1] -= 1
            if counts[depth - 1]:
                pc = starts[depth - 1]
            else:
                depth -= 1
