"""Control: loops, registers and scalars, and the words it refuses."""

import pytest

from hwsim.arch.isa import End, Fetch, Function, Loop, Scalar
from hwsim.errors import IsaError, LamforgeError, MachineError, ProgramError
from hwsim.machine.trace import run_control


def words(*program: object) -> list[int]:
    return [item if isinstance(item, int) else item.encode() for item in program]


def test_loops_and_registers() -> None:
    program = words(
        Scalar(function=Function.ADD, target=3, immediate=10),
        Loop(count=3, length=4),
        Loop(count=2, length=2),
        Fetch(offset=5, beats=1, registers=(3, 1, 0)),
        Scalar(function=Function.ADD, target=3, immediate=1, registers=(3, 0, 0)),
        Scalar(function=Function.SUB, target=4, immediate=0, registers=(3, 2, 0)),
        Fetch(offset=0, beats=0, registers=(4, 0, 0)),
        End(),
        0,
    )
    trace = run_control(program, position=7, slot=2)
    assert trace.pc.tolist() == [3] * 6 + [6]
    assert [trace.instruction(i).offset for i in range(7)] == [15, 16, 17, 18, 19, 20, 14]
    assert trace.instruction(0).beats == 8
    assert trace.slot.tolist() == [9, 13, 23, 27, 37, 41, 48]
    assert trace.end_slot == 49
    assert trace.registers[3:5] == (16, 14)


@pytest.mark.parametrize(
    ("function", "a", "b", "value"),
    [
        (Function.ADD, 2**32 - 1, 3, 2),
        (Function.SUB, 2, 3, 2**32 - 1),
        (Function.MIN, 2**32 - 5, 3, 2**32 - 5),
        (Function.MAX, 2**32 - 5, 3, 3),
        (Function.MUL, 2**32 - 5, 2**31 + 7, (2**32 - 5) * (2**31 + 7) % 2**32),
        (Function.SHR, 2**32 - 5, 36, (2**32 - 5) >> 4),
        (Function.WRAP, 12, 77, 77),
        (Function.WRAP, 13, 77, 13),
    ],
)
def test_scalars(function: Function, a: int, b: int, value: int) -> None:
    program = words(Scalar(function=function, target=5, limit=12, registers=(1, 2, 0)), End())
    assert run_control(program, position=a, slot=b).registers[5] == value
    program = words(Scalar(function=function, target=0, limit=12, registers=(1, 2, 0)), End())
    assert run_control(program, position=a, slot=b).registers[0] == 0


def test_a_bad_word_that_is_not_executed_is_no_error() -> None:
    assert len(run_control(words(End(), 12345))) == 0


FETCH = Fetch(offset=0, beats=0)
STRAY = FETCH.encode() ^ (0x11 << 88) ^ (0x11 << 96)


@pytest.mark.parametrize(
    ("program", "error", "text"),
    [
        (
            (FETCH, FETCH.encode() ^ 1 << 30, End()),
            IsaError,
            f"Word at pc 1 must be an instruction: Instruction word must have check byte 0xa5; word"
            f" {FETCH.encode() ^ 1 << 30:#034x} does not",
        ),
        (
            (31 | (31 ^ 0xA5) << 120,),
            IsaError,
            "Word at pc 0 must be an instruction: Opcode must be one of"
            " [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17, 18], not 31",
        ),
        (
            (FETCH, STRAY, End()),
            IsaError,
            f"Word at pc 1 must be an instruction: Unused bits of Fetch must be zero, not {0x11 << 88 | 0x11 << 96:#x}",
        ),
        ((End(), 1 << 128), IsaError, f"Word at pc 1 must have 128 bits, not the value {1 << 128}"),
        (
            (Loop(count=65535, length=3), Loop(count=65535, length=1), FETCH, FETCH, End()),
            ProgramError,
            f"Program must end within {1 << 22} executed instructions, not run on at pc 2",
        ),
        ((FETCH, FETCH), ProgramError, "Program must reach End, not run past its last word 1"),
        ((Loop(count=0, length=1), FETCH, End()), ProgramError, "Loop at pc 0 must have count and length at least 1, not 0 and 1"),
        (
            (Loop(count=1, length=2), Loop(count=1, length=1), FETCH, End()),
            ProgramError,
            "Loop at pc 1 must end before the loop around it ends, not with it or after it",
        ),
        (
            (*(Loop(count=2, length=12 - 2 * depth) for depth in range(5)), *[FETCH] * 10, End()),
            MachineError,
            "Loops must nest at most 4 deep, not 5, at pc 4",
        ),
    ],
)
def test_refusals(program: tuple[object, ...], error: type[LamforgeError], text: str) -> None:
    with pytest.raises(error) as refusal:
        run_control(words(*program))
    assert str(refusal.value) == text
