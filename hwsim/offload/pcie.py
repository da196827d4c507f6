"""PCI Express as packets: the part of the raw rate that headers, framing, acknowledgements, credits and skips leave for data.

Ref: pcie-bench/pcie-model @40703cf (Neugebauer et al., Understanding PCIe performance for end host networking, SIGCOMM 2018).
Constants are those of hwsim/specs/devices/links/pcie.yaml; none is fitted. Everything takes arrays that broadcast.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError, shown
from hwsim.reader import SpecFiles, read, spelled
from hwsim.sourced import Sourced
from hwsim.units import Bytes, BytesPerSecond, Hertz, Value

__all__ = ["PAYLOADS", "Code", "LatencyFactor", "PcieConstants", "PcieLink", "Skip", "pcie_constants"]

PAYLOADS = (128, 256, 512, 1024, 2048, 4096)
"""Bytes that the largest packet may be set to carry."""

Index = int | npt.NDArray[np.int64]

_FILES = SpecFiles("Link", "devices/links", SpecError)
_TEXT = re.compile(r"Gen(\d+) x(\d+)")
_SHORT_PAYLOAD = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Code:
    """Line coding: how many bits of data become how many bits on the line."""

    data_bits: int
    line_bits: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skip:
    """Symbols that are sent now and then for clock compensation."""

    symbols: int
    interval: int
    """Symbol times from one such symbol set to the next."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyFactor:
    """Acknowledge factors of one width."""

    lanes: int
    up_to_256: float
    """Factor with payloads of up to 256 bytes."""
    above: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PcieConstants:
    """Numbers that the standard fixes; lists are by generation, from 1 on."""

    name: str
    title: str
    transfers: Sourced[tuple[Hertz, ...]]
    """Bits on the line of one lane, per second."""
    codes: Sourced[tuple[Code, ...]]
    """Bits before and after line coding."""
    framing: Sourced[Bytes]
    """Bytes around every packet on the wire."""
    header_64: Sourced[Bytes]
    """Header of a request with a 64-bit address."""
    completion_header: Sourced[Bytes]
    """Header of a completion with data."""
    link_packet: Sourced[Bytes]
    """Size of an acknowledgement, or of an update of credits."""
    skip: Sourced[Skip]
    """Clock compensation, in symbol times."""
    latency_overhead: Sourced[Bytes]
    """Bytes added to the payload in the formula of the acknowledge latency limit."""
    latency_symbols: Sourced[tuple[int, ...]]
    """Internal delay in the formula of the acknowledge latency limit, in symbol times."""
    latency_factors: Sourced[tuple[LatencyFactor, ...]]
    """Acknowledge factors, by width and payload."""
    usual_payload: Sourced[Bytes]
    """Bytes that a packet carries where nothing is known of the machine."""


@functools.cache
def pcie_constants() -> PcieConstants:
    """Return the shipped constants; raise SpecError for a number without a source."""
    return read(PcieConstants, _FILES.read("pcie"), "Link pcie", SpecError)


@dataclasses.dataclass(frozen=True)
class PcieLink:
    """A link, or an array of links.

    Attributes:
        generation: 1 to 5.
        lanes: 1, 2, 4, 8 or 16.

    Raises:
        SpecError: there is no such generation or width.
    """

    generation: Index
    lanes: Index

    def __post_init__(self) -> None:
        _check("Link generation", self.generation, tuple(range(1, len(pcie_constants().transfers.value) + 1)))
        _check("Link lanes", self.lanes, tuple(entry.lanes for entry in pcie_constants().latency_factors.value))

    @classmethod
    def of(cls, text: str, subject: str = "Link") -> PcieLink:
        """Return the link in a text such as `Gen4 x16`; raise SpecError."""
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise SpecError(f"{subject} must be a generation and a width such as 'Gen4 x16', not {shown(text)}")
        try:
            return cls(int(found[1]), int(found[2]))
        except SpecError as refusal:
            raise SpecError(str(refusal).replace("Link", subject, 1)) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema

        return spelled(cls.of, core_schema.str_schema(pattern=_TEXT.pattern), "a generation and a width such as 'Gen4 x16'")

    def __str__(self) -> str:
        return f"Gen{self.generation} x{self.lanes}"

    @property
    def raw_rate(self) -> BytesPerSecond:
        """Rate one way after line coding, before packets."""
        constants = pcie_constants()
        per_lane = [
            cast(float, rate.value) * code.data_bits / code.line_bits / 8
            for rate, code in zip(constants.transfers.value, constants.codes.value, strict=True)
        ]
        return BytesPerSecond(np.array(per_lane)[np.asarray(self.generation) - 1] * np.asarray(self.lanes))

    def latency_limit(self, payload: Bytes) -> Index:
        """Return the symbol times after which a received packet is acknowledged at the latest, and credits are renewed.

        Raises:
            SpecError: payload is none of PAYLOADS.
        """
        constants = pcie_constants()
        _check("Largest payload", payload.value, PAYLOADS, " bytes")
        size = np.asarray(payload.value)
        entries = constants.latency_factors.value
        row = np.searchsorted([entry.lanes for entry in entries], self.lanes)
        short = np.array([entry.up_to_256 for entry in entries])[row]
        long = np.array([entry.above for entry in entries])[row]
        factor = np.where(size <= _SHORT_PAYLOAD, short, long)
        delay = np.array(constants.latency_symbols.value)[np.asarray(self.generation) - 1]
        limit = np.floor((size + constants.latency_overhead.value.value) * factor / np.asarray(self.lanes) + delay)
        return cast(Index, limit.astype(np.int64)[()])

    def packet_rate(self, payload: Bytes) -> BytesPerSecond:
        """Return what is left of the raw rate for packets, headers included.

        One acknowledgement and one update of credits are taken out per latency limit. As in the model this follows, each costs
        as many symbol times as it has bytes, though a wide link needs fewer: that is the least favourable reading of the standard.

        Raises:
            SpecError: payload is none of PAYLOADS.
        """
        constants = pcie_constants()
        link_packets = 2 * constants.link_packet.value.value / np.asarray(self.latency_limit(payload))
        skips = constants.skip.value.symbols / constants.skip.value.interval
        return self.raw_rate * cast(Value, 1 - link_packets - skips)

    def write_rate(self, payload: Bytes) -> BytesPerSecond:
        """Return the rate of full posted writes to 64-bit addresses; raise SpecError where payload is none of PAYLOADS."""
        return self._rate(payload, pcie_constants().header_64.value)

    def read_rate(self, payload: Bytes) -> BytesPerSecond:
        """Return the rate of full read completions; raise SpecError where payload is none of PAYLOADS."""
        return self._rate(payload, pcie_constants().completion_header.value)

    def _rate(self, payload: Bytes, header: Bytes) -> BytesPerSecond:
        return payload / ((payload + (pcie_constants().framing.value + header)) / self.packet_rate(payload))


def _check(subject: str, values: Any, allowed: tuple[int, ...], unit: str = "") -> None:
    wrong = np.asarray(values)[~np.isin(values, allowed)]
    if wrong.size:
        first = cast(float, wrong.flat[0])
        raise SpecError(f"{subject} must be one of {', '.join(map(str, allowed))}{unit}, not {first:g}")
