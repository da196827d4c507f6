"""The verdict on a case of the fault campaign: whether the engine ended as it must, reported it, and ran the next program right."""

from collections.abc import Sequence

from hwsim.arch.error_codes import ErrorCode, error_code
from hwsim.arch.timing import EPILOGUE_LATENCY
from testbenches.fault_cases import FaultCase, FaultKind, FaultProgram
from testbenches.faults import FaultOutcome, RunRecord

__all__ = ["judge"]


def judge(outcome: FaultOutcome, programs: Sequence[FaultProgram], *, watchdog_cycles: int) -> tuple[str, ...]:
    """Return what is wrong as sentences, none of a case that went as it must; each names the case that repeats it."""
    case = outcome.case
    found: list[str] = []
    if outcome.has_hung:
        found.append("every run must end, not hang")
    if case.kind is FaultKind.RESET:
        found += _rest("reset", outcome.first, done=0, idle=1)
        found += _equal("reset error register", outcome.first.error, 0)
    else:
        found += _rest("first", outcome.first, done=1, idle=int(case.kind is not FaultKind.DEAD_BUS))
        found += _first(case, outcome.first, programs[case.program], watchdog_cycles)
    found += _rest("next", outcome.next, done=1, idle=1)
    found += _right("next", outcome.next, programs[case.next_program], case.next_stalls, rate=0)
    who = f"Case {case.kind.value} of seed {case.seed}"
    return tuple(f"{who}: {sentence} ({case}; {outcome.first}; {outcome.next})" for sentence in found)


def _equal(what: str, found: int, expected: int) -> list[str]:
    return [] if found == expected else [f"{what} must be {expected}, not {found}"]


def _rest(name: str, run: RunRecord, *, done: int, idle: int) -> list[str]:
    """Judge the control register after a run: done is reported once, and the engine waits for the next start."""
    return [
        *_equal(f"ap_done of the {name} run", run.done, done),
        *_equal(f"ap_done of the {name} run, read again", run.done_again, 0),
        *_equal(f"ap_start after the {name} run", run.start, 0),
        *_equal(f"ap_idle after the {name} run", run.idle, idle),
        *_equal(f"interrupt after the {name} run", run.interrupt, 0),
    ]


def _right(name: str, run: RunRecord, program: FaultProgram, stalls: int | None, *, rate: int) -> list[str]:
    """Judge a run without an effective fault: its bits, and its cycles where the memory's law is known."""
    found = _equal(f"error register of the {name} run", run.error, 0)
    found += _equal(f"wrong bytes of the {name} run", run.wrong_bytes, 0)
    if not rate:
        found += _equal(f"cycles of the {name} run", run.cycles, program.cycles if stalls is None else program.stalled[stalls])
    return found


def _first(case: FaultCase, run: RunRecord, program: FaultProgram, watchdog_cycles: int) -> list[str]:
    code = error_code(run.error)
    if case.error == 0:
        return _right("first", run, program, case.stalls, rate=case.rate)
    found = []
    if case.error is None:
        if code > max(ErrorCode):
            found.append(f"error code of the first run must be 0 to {max(ErrorCode)}, not {code}")
    elif case.error == ErrorCode.WATCHDOG:
        found += _equal("error code of the first run", code, ErrorCode.WATCHDOG)
    else:
        found += _equal("error register of the first run", run.error, case.error)
    # The watchdog sees a word leave the array, the bench sees it written.
    shortest = watchdog_cycles - EPILOGUE_LATENCY
    if code == ErrorCode.WATCHDOG and not shortest <= run.silence <= watchdog_cycles:
        found.append(f"standstill before the watchdog must be {shortest} to {watchdog_cycles} cycles, not {run.silence}")
    elif run.silence > watchdog_cycles:
        found.append(f"a run must stand still for at most {watchdog_cycles} cycles, not {run.silence}")
    return found
