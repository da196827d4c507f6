"""Set `pcie-packets`: rates of PCI Express after packets, against the table that pcie-model @40703cf computes.

Both sides are arithmetic on the same standard, so this checks that the packets are counted alike, not that links are like it;
`pcie-measured` is the check against links.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim.offload.pcie import PcieLink
from hwsim.units import Bytes
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["PCIE_PACKETS"]

_SOURCE = "pcie-bench/pcie-model @40703cf, 64-bit addresses, no ECRC; two decimals"
_PAYLOADS = (128, 256, 512)
# GB/s one way: raw, then for each payload posted write and read completion.
_TABLE = {
    "Gen3 x4": (3.94, 2.99, 3.08, 3.32, 3.37, 3.51, 3.54),
    "Gen3 x8": (7.88, 5.97, 6.13, 6.62, 6.71, 6.84, 6.90),
    "Gen3 x16": (15.75, 11.76, 12.08, 12.99, 13.18, 13.69, 13.79),
    "Gen4 x4": (7.88, 5.99, 6.15, 6.65, 6.74, 7.02, 7.08),
    "Gen4 x8": (15.75, 11.93, 12.25, 13.23, 13.42, 13.69, 13.79),
    "Gen4 x16": (31.51, 23.52, 24.15, 25.99, 26.37, 27.37, 27.58),
    "Gen5 x4": (15.75, 11.98, 12.30, 13.29, 13.48, 14.05, 14.15),
    "Gen5 x8": (31.51, 23.86, 24.50, 26.46, 26.85, 27.37, 27.58),
    "Gen5 x16": (63.02, 47.03, 48.30, 51.98, 52.73, 54.75, 55.16),
}


def _rows() -> Iterator[Row]:
    payload = Bytes(np.array(_PAYLOADS, dtype=float))
    for text, published in _TABLE.items():
        link = PcieLink.of(text)
        rates = np.stack([link.write_rate(payload).to("GB/s"), link.read_rate(payload).to("GB/s")], axis=1)
        packets = [f"{size} B, {way}" for size in _PAYLOADS for way in ("write", "read completion")]
        ours = [float(link.raw_rate.to("GB/s")), *map(float, rates.ravel())]
        for case, theirs, our in zip(["raw", *packets], published, ours, strict=True):
            yield Row(case=f"{text}, {case}", unit="GB/s", published=theirs, ours=our, source=_SOURCE)


PCIE_PACKETS = ValidationSet(name="pcie-packets", title="PCI Express after packets, against pcie-model", compute=_rows)
