"""Circuits of many engines, several at a time; each is kept when it is there, so that a run that was stopped goes on."""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hwsim.arch.config import EngineConfig
from hwsim.whole_files import write_text
from lamforge.flow.verb import Listener
from rtl.synthesis.circuit import Circuit, CircuitPart, Wanted
from rtl.synthesis.estimate import engine_key

__all__ = ["Make", "circuits"]

Make = Callable[[EngineConfig, Wanted, Path], Circuit]
"""Makes the circuit of an engine; what it keeps lies in the folder."""
_SAID_EVERY_S = 600


def circuits(
    engines: Sequence[EngineConfig], wanted: Wanted, *, folder: Path, workers: int, listener: Listener, make: Make
) -> list[Circuit]:
    """Return the circuits of engines, in their order; those that lie in `folder` are not made again.

    Raises:
        MachineError: Yosys is missing or refuses.
    """
    paths = [folder / f"circuit-{engine_key(engine)}-{wanted.value}.json" for engine in engines]
    missing = {path: engine for path, engine in zip(paths, engines, strict=True) if not path.exists()}
    total, began = len(set(paths)), time.perf_counter()
    title, told = f"{wanted.value} of {total} engines", began
    if missing:
        listener.say(f"{title}, {total - len(missing)} of which are kept")
    for number, (path, found) in enumerate(_made(missing, wanted, folder, workers, make), 1):
        write_text(path, json.dumps({part: dataclasses.asdict(each) for part, each in found.items()}))
        done, now = total - len(missing) + number, time.perf_counter()
        note = _pace(number, len(missing), now - began)
        if now - told > _SAID_EVERY_S:
            # Bars are not seen where standard error is a file, as it is over a night.
            listener.say(f"{title}: {done} done, {note}")
            told = now
        listener.progress(title, done / total, note)
    return [_read(path) for path in paths]


def _pace(done: int, total: int, seconds: float) -> str:
    """Return a rate and the time that is left."""
    rate = done * 3600 / max(seconds, 1e-9)
    minutes = (total - done) / rate * 60
    return f"{rate:,.0f} an hour, {f'{minutes / 60:,.1f} h' if minutes >= 60 else f'{minutes:,.0f} min'} left"


def _made(
    missing: dict[Path, EngineConfig], wanted: Wanted, folder: Path, workers: int, make: Make
) -> Iterator[tuple[Path, Circuit]]:
    """Yield circuits as they are done."""
    if workers == 1:
        for path, engine in missing.items():
            yield path, make(engine, wanted, folder)
        return
    # Processes that begin anew: a copy of this one would have its locks and no threads.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    try:
        futures = {pool.submit(make, engine, wanted, folder): path for path, engine in missing.items()}
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Have this process end when the one that began it is killed; it would wait for work for ever."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _read(path: Path) -> Circuit:
    parts = json.loads(path.read_text())
    return {
        part: CircuitPart(
            form=each["form"], copies=each["copies"], resources=None if each["resources"] is None else tuple(each["resources"])
        )
        for part, each in parts.items()
    }
