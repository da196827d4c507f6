"""The rules of the engine's buses, checked cycle by cycle on the signals of the channels, independently of any simulator.

Every monitor takes one `Channel` for each of its `channels` in each cycle and returns what is wrong, as sentences.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Channel", "HoldMonitor", "LiteMonitor", "ReadMonitor", "WriteMonitor"]

_INCR, _OKAY = 1, 0
_BOUNDARY = 4096


class Channel(NamedTuple):
    """A channel in one cycle, just before the clock edge that ends it.

    The payload, empty while not valid, is (address, length, size, burst) of AR and AW, (data, strobes, last) of W,
    (last, response) of R and (response,) of B; of AXI-Lite, which has no bursts, (address,), (data, strobes),
    (data, response) and (response,).
    """

    valid: bool
    ready: bool
    payload: tuple[int, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the edge transfers the payload."""
        return self.valid and self.ready


class HoldMonitor:
    """Watches one channel: a payload once offered stays until it is taken.

    `accepted` counts transfers, `waits` cycles in which one was offered and not taken.
    """

    def __init__(self, name: str):
        self.name = name
        self.accepted = 0
        self.waits = 0
        self._held: tuple[int, ...] | None = None

    @property
    def is_holding(self) -> bool:
        """Whether the cycle before offered a payload that was not taken."""
        return self._held is not None

    def cycle(self, now: Channel) -> list[str]:
        """Check a cycle."""
        faults = []
        if self._held is not None:
            if not now.valid:
                faults.append(f"{self.name}: valid must stay until ready")
            elif now.payload != self._held:
                faults.append(f"{self.name}: the payload must stay {self._held} until ready, not become {now.payload}")
        self._held = now.payload if now.valid and not now.ready else None
        self.accepted += now.accepted
        self.waits += self._held is not None
        return faults


class _Bursts:
    """The rules of an address: full-width beats that rise, inside one 4 KiB page and inside the memory."""

    def __init__(self, name: str, beat_bytes: int, ranges: Sequence[tuple[int, int]]):
        self._name, self._beat_bytes, self._ranges = name, beat_bytes, tuple(ranges)

    def faults(self, payload: tuple[int, ...]) -> list[str]:
        address, length, size, burst = payload
        faults = []
        if 1 << size != self._beat_bytes:
            faults.append(f"{self._name}: beats must have {self._beat_bytes} bytes, not {1 << size}")
        if burst != _INCR:
            faults.append(f"{self._name}: bursts must be INCR, not kind {burst}")
        if address % self._beat_bytes:
            faults.append(f"{self._name}: addresses must be aligned to a beat, not {address:#x}")
        end = address + (length + 1) * self._beat_bytes
        if address // _BOUNDARY != (end - 1) // _BOUNDARY:
            faults.append(f"{self._name}: a burst must not cross 4 KiB; {address:#x} with {length + 1} beats does")
        if not any(start <= address and end <= start + size for start, size in self._ranges):
            faults.append(f"{self._name}: a burst must lie in memory, not at {address:#x} with {length + 1} beats")
        return faults


class ReadMonitor:
    """Watches the AR and R channels of a master that always takes its beats.

    `ranges` are (address, bytes) it may read; `limit_beats`, where there is one, the beats it may have asked for and
    not yet got.
    """

    def __init__(self, name: str, *, beat_bytes: int, ranges: Sequence[tuple[int, int]], limit_beats: int | None = None):
        self.name = name
        self.address, self.data = HoldMonitor(f"{name} AR"), HoldMonitor(f"{name} R")
        self._bursts = _Bursts(f"{name} AR", beat_bytes, ranges)
        self.channels = (self.address, self.data)
        self._limit = limit_beats
        self._left: deque[int] = deque()

    def cycle(self, address: Channel, data: Channel) -> list[str]:
        """Check a cycle."""
        faults = self.address.cycle(address) + self.data.cycle(data)
        if not data.ready:
            faults.append(f"{self.name} R: ready must always be up")
        if data.accepted:
            if not self._left:
                faults.append(f"{self.name} R: a beat must have been asked for")
            else:
                self._left[0] -= 1
                if data.payload[0] != (self._left[0] == 0):
                    faults.append(f"{self.name} R: last must mark the last beat of a burst and no other")
                if self._left[0] == 0:
                    self._left.popleft()
        if address.accepted:
            faults += self._bursts.faults(address.payload)
            self._left.append(address.payload[1] + 1)
            if self._limit is not None and sum(self._left) > self._limit:
                faults.append(f"{self.name} AR: at most {self._limit} beats must be outstanding, not {sum(self._left)}")
        return faults

    def end(self) -> list[str]:
        """Check that nothing is under way."""
        if self._left or self.address.is_holding:
            return [f"{self.name}: every burst must have ended, not left {sum(self._left)} beats"]
        return []


class WriteMonitor:
    """Watches the AW, W and B channels of a master that writes one beat at a time: address and data rise together."""

    def __init__(self, name: str, *, beat_bytes: int, ranges: Sequence[tuple[int, int]]):
        self.name = name
        self.address, self.data, self.response = (HoldMonitor(f"{name} {channel}") for channel in ("AW", "W", "B"))
        self.channels = (self.address, self.data, self.response)
        self._bursts = _Bursts(f"{name} AW", beat_bytes, ranges)

    def cycle(self, address: Channel, data: Channel, response: Channel) -> list[str]:
        """Check a cycle."""
        addresses, beats = self.address.accepted, self.data.accepted
        address_rises = address.valid and not self.address.is_holding
        data_rises = data.valid and not self.data.is_holding
        whole = min(addresses, beats)
        faults = self.address.cycle(address) + self.data.cycle(data)
        if address_rises != data_rises:
            faults.append(f"{self.name}: address and data of a write must rise together")
        if (address_rises or data_rises) and addresses != beats:
            faults.append(f"{self.name}: a write must wait until address and data of the one before are accepted")
        if address_rises:
            faults += self._bursts.faults(address.payload)
            if address.payload[1] != 0:
                faults.append(f"{self.name} AW: a write must have one beat, not {address.payload[1] + 1}")
        if data_rises:
            if not data.payload[2]:
                faults.append(f"{self.name} W: last must come with every beat")
            if not data.payload[1]:
                faults.append(f"{self.name} W: a beat must write something")
        if not response.ready:
            faults.append(f"{self.name} B: ready must always be up")
        faults += self.response.cycle(response)
        if response.accepted and self.response.accepted > whole:
            faults.append(f"{self.name} B: a response must follow the address and data of its write")
        return faults

    def end(self) -> list[str]:
        """Check that every write was answered exactly once."""
        counts = {monitor.name: monitor.accepted for monitor in (self.address, self.data, self.response)}
        if len(set(counts.values())) != 1:
            return [f"{self.name}: every write must have one address, one beat and one response, not {counts}"]
        return []


class LiteMonitor:
    """Watches an AXI-Lite slave: one OKAY response to every write and every read, after it and held until taken."""

    def __init__(self, name: str):
        self.name = name
        self._by_name = {channel: HoldMonitor(f"{name} {channel}") for channel in ("AW", "W", "B", "AR", "R")}
        self.channels = tuple(self._by_name.values())

    def cycle(self, *now: Channel) -> list[str]:
        """Check a cycle of AW, W, B, AR and R, in this order."""
        before = {name: monitor.accepted for name, monitor in self._by_name.items()}
        faults = [fault for monitor, channel in zip(self.channels, now, strict=True) for fault in monitor.cycle(channel)]
        asked = {"B": min(before["AW"], before["W"]), "R": before["AR"]}
        for name, channel in (("B", now[2]), ("R", now[4])):
            if not channel.valid:
                continue
            if before[name] >= asked[name]:
                faults.append(f"{self.name} {name}: a response must follow its request")
            if channel.payload[-1] != _OKAY:
                faults.append(f"{self.name} {name}: a response must be OKAY, not {channel.payload[-1]}")
        return faults

    def end(self) -> list[str]:
        """Check that every request was answered exactly once."""
        counts = {name: monitor.accepted for name, monitor in self._by_name.items()}
        if not counts["AW"] == counts["W"] == counts["B"] or counts["AR"] != counts["R"]:
            return [f"{self.name}: every request must have one response, not {counts}"]
        return []
