"""Who computes exact points: this process, several on this machine, or a Dask cluster; the points are the same."""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import dataclasses
import gc
import importlib.util
import logging
import math
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from hwsim.errors import LamforgeError, MachineError, SpecError, shown
from lamforge.explore.exact import ExactPoint, exact
from lamforge.explore.space import Space
from lamforge.explore.store import code_digest
from lamforge.explore.study import Study

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Outcome", "Workers", "workers"]

_MOST_POINTS = 128
_CHUNK_S = 0.25
"""Seconds that a worker computes before it hands over what it has, about."""
_MOST_BREAKS = 5
_CONNECT_S = 10
_LOOK_S = 2
"""Seconds after which a scheduler is asked for its workers again."""
_SPACES: dict[str, Space] = {}
"""The last space that this process was asked for, by its digest."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a point: its exact figures, or the sentence with which it was refused; and the seconds that it took."""

    point: int
    found: ExactPoint | str
    spent_s: float


def computed(study: Study, digest: str, points: Sequence[int]) -> list[Outcome]:
    """Return the outcomes of points of a study; raise SpecError where the files that it names are not those of the digest."""
    if digest not in _SPACES:
        _SPACES.clear()
        made = Space(study)
        if made.digest != digest:
            raise SpecError("Files that a study names must be the same wherever it is computed, and are not on a worker")
        _SPACES[digest] = made
    space, found = _SPACES[digest], []
    for point in points:
        began = time.perf_counter()
        try:
            became: ExactPoint | str = exact(*space.request(point), asked=space.study.asked_of_prompts)
        except LamforgeError as refusal:
            became = str(refusal)
        found.append(Outcome(point, became, time.perf_counter() - began))
    return found


def warmed() -> None:
    """Load what exact points take, in a process that is new: the smallest engine once."""
    from lamforge.explore.study import study_of

    document = {"name": "warm", "base": {"network": "smollm2-135m", "memory": "hbm2"}, "axes": {"context": [64]}}
    exact(*Space(study_of(document)).request(0))
    # What is loaded stays: without this, every look for garbage goes through all of it.
    gc.freeze()


def begun() -> None:
    """Begin a process that computes for another one: load what exact points take, and end when the other one does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    warmed()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


class Workers:
    """Computes exact points; made by `workers`."""

    def outcomes(self, space: Space, points: Sequence[int]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of points, some at a time, in the order in which they are done."""
        size, place = 1, 0
        while place < len(points):
            began = time.perf_counter()
            yield computed(space.study, space.digest, points[place : place + size])
            place += size
            size = _next_size(size, time.perf_counter() - began)


class _Pooled(Workers, abc.ABC):
    """Computes in other processes, each busy with a few points and with the next ones at hand."""

    _losses: tuple[type[BaseException], ...] = ()
    """What a future raises when those who compute it are gone."""

    def __init__(self, count: int):
        self._count = count

    def outcomes(self, space: Space, points: Sequence[int]) -> Iterator[list[Outcome]]:
        waiting, size = list(reversed(points)), 1
        running: dict[concurrent.futures.Future[list[Outcome]], list[int]] = {}
        while waiting or running:
            while waiting and len(running) < 2 * self._count:
                chunk = [waiting.pop() for _ in range(min(size, len(waiting)))]
                running[self._submit(space, chunk)] = chunk
            done, _ = concurrent.futures.wait(running, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
            self._check()
            for future in done:
                chunk = running.pop(future)
                try:
                    found = future.result()
                except self._losses as error:
                    self._lost(error)
                    waiting += reversed(chunk)
                    continue
                self._gained()
                size = _next_size(size, sum(each.spent_s for each in found))
                yield found

    @abc.abstractmethod
    def _submit(self, space: Space, chunk: list[int]) -> concurrent.futures.Future[list[Outcome]]:
        """Have points computed."""

    def _check(self) -> None:
        """Raise MachineError where those who compute are gone for good."""

    def _lost(self, error: BaseException) -> None:
        """Take that points were lost, which are computed again; raise MachineError where that does not help."""

    def _gained(self) -> None:
        """Take that points were computed."""


class _Local(_Pooled):
    """Processes of this machine; one that dies is replaced."""

    _losses = (BrokenProcessPool,)

    def __init__(self, count: int):
        super().__init__(count)
        self._breaks = 0
        self._pool = self._made()

    def outcomes(self, space: Space, points: Sequence[int]) -> Iterator[list[Outcome]]:
        if points:
            # Compiled code that is kept on disk is made once, here, rather than by every process.
            warmed()
        return super().outcomes(space, points)

    def _made(self) -> concurrent.futures.ProcessPoolExecutor:
        # Copies of a process that has loaded this module and computed nothing: copies of this one would have its locks.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        # It begins here, since the closed form comes first. It, and its copies, end with this process and hear of nobody else.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            # What takes note of their semaphores begins first, since it sets the mask too.
            multiprocessing.resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            multiprocessing.forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return concurrent.futures.ProcessPoolExecutor(self._count, mp_context=context, initializer=begun)

    def _submit(self, space: Space, chunk: list[int]) -> concurrent.futures.Future[list[Outcome]]:
        try:
            return self._pool.submit(computed, space.study, space.digest, chunk)
        except BrokenProcessPool as error:
            failed: concurrent.futures.Future[list[Outcome]] = concurrent.futures.Future()
            failed.set_exception(error)
            return failed

    def _lost(self, error: BaseException) -> None:
        try:
            # Of a pool that broke, every point is lost; it is replaced once.
            self._pool.submit(int).result()
        except BrokenProcessPool:
            self._breaks += 1
            if self._breaks >= _MOST_BREAKS:
                raise MachineError(
                    f"Worker processes must live until a point is done, and {self._breaks} times in a row one died"
                    " (what was computed is kept: fewer of them need less memory,"
                    ' and a script that has them needs `if __name__ == "__main__":`)'
                ) from None
            self.close()
            self._pool = self._made()

    def _gained(self) -> None:
        self._breaks = 0

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Cluster(_Pooled):
    """Workers of a Dask scheduler, as many as there are at any time."""

    def __init__(self, client: Client, scheduler: str):
        import distributed

        self._losses = (concurrent.futures.CancelledError, distributed.KilledWorker, OSError)
        self._client, self._scheduler = client, scheduler
        self._executor = client.get_executor(pure=False)
        self._looked = -math.inf
        super().__init__(1)

    def _submit(self, space: Space, chunk: list[int]) -> concurrent.futures.Future[list[Outcome]]:
        try:
            return self._executor.submit(computed, space.study, space.digest, chunk)
        except (OSError, RuntimeError) as error:
            raise _gone(self._scheduler) from error

    def _check(self) -> None:
        if self._client.status != "running":
            raise _gone(self._scheduler)
        now = time.perf_counter()
        if now - self._looked < _LOOK_S:
            return
        # Workers come and go.
        self._looked = now
        try:
            found = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, RuntimeError, TimeoutError) as error:
            raise _gone(self._scheduler) from error
        self._count = max(1, sum(worker["nthreads"] for worker in found.values()))

    def _lost(self, error: BaseException) -> None:
        if isinstance(error, concurrent.futures.CancelledError | OSError):
            raise _gone(self._scheduler) from None
        raise MachineError(
            f"Workers of {self._scheduler} must live until a point is done, and several died at the same ones"
            " (what was computed is kept: they may need more memory)"
        ) from None


@contextlib.contextmanager
def workers(count: int, scheduler: str | None = None) -> Iterator[Workers]:
    """Yield who computes: `count` processes of this machine (one is this process), or the workers of a Dask scheduler.

    Raises:
        SpecError: the count is none, Dask is not installed, there is no such scheduler, or its workers have another version.
        MachineError: in the block, those who compute went away.
    """
    if not 1 <= count <= 1024:
        raise SpecError(f"Workers must be 1 to 1024, not {count}")
    if scheduler is not None:
        with _connected(scheduler) as client:
            yield _Cluster(client, scheduler)
    elif count == 1:
        yield Workers()
    else:
        local = _Local(count)
        try:
            yield local
        finally:
            local.close()


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    if importlib.util.find_spec("distributed") is None:
        raise SpecError("Dask must be installed for a scheduler, as the extra lamforge[explore] does, and is not")
    import distributed

    if not re.fullmatch(r"[a-z]+://[^\s/:]+:[0-9]{1,5}", scheduler):
        raise SpecError(f"Scheduler must be an address such as tcp://host:8786, not {shown(scheduler)}")
    for name in logging.root.manager.loggerDict:
        if name.startswith("distributed"):
            # What goes wrong is said in one sentence, not in tracebacks of the connection.
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        why = str(error) or type(error).__name__
        raise SpecError(
            f"Scheduler must be the address of a running one such as tcp://host:8786, not {shown(scheduler)} ({why})"
        ) from None
    try:
        try:
            codes = client.run(code_digest)
        except ImportError:
            raise SpecError(f"Workers of {scheduler} must have Lamforge installed, and one has not") from None
        others = {address for address, code in codes.items() if code != code_digest()}
        if others:
            raise SpecError(
                f"Workers of {scheduler} must have this version of Lamforge, not another as {', '.join(sorted(others))}"
            )
        yield client
    finally:
        client.close(timeout=1)


def _gone(scheduler: str) -> MachineError:
    return MachineError(
        f"Scheduler {scheduler} must stay until the study is done, and went away (what was computed is kept: run it again)"
    )


def _next_size(size: int, seconds: float) -> int:
    """Return how many points to take at once after so many took some seconds."""
    return min(_MOST_POINTS, 2 * size) if seconds < _CHUNK_S / 2 else max(1, size // 2) if seconds > 2 * _CHUNK_S else size
