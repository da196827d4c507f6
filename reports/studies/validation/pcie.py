"""Sets `pcie-measured` and `pcie-packets`: copies over PCI Express against measured ones, packets against a computed table.

The table is that of pcie-model @40703cf. Both sides are arithmetic on the same standard, so it checks that the packets are counted
alike, not that links are like it; the measured copies are the check against links.
"""

from collections.abc import Iterator

import numpy as np

from hwsim.offload.devices import HOSTS
from hwsim.offload.pcie import PcieLink, pcie_constants
from hwsim.units import Bytes, BytesPerSecond
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["PCIE_MEASURED", "PCIE_PACKETS"]

_BAM = "BaM, issue 54 of its repository"
_SAMPLE = "NVIDIA/nvbandwidth @66746a3, sample in its README"
_ASSUMED = ("pcie.usual_payload",)

_TABLE_SOURCE = "pcie-bench/pcie-model @40703cf, 64-bit addresses, no ECRC; two decimals"
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


def _measured() -> Iterator[Row]:
    copy = HOSTS.load("flexgen-gcp").gpu_link_rate
    assert copy is not None
    measured = [
        ("V100, into it, about", "Gen3 x16", BytesPerSecond.of("12 GB/s"), _BAM),
        ("T4, pinned memory to it", "Gen3 x16", copy.value, copy.source),
        ("A100, peak", "Gen4 x16", BytesPerSecond.of("25 GB/s"), _BAM),
        ("host to device, one way", "Gen4 x16", BytesPerSecond.of("26.0 GB/s"), _SAMPLE),
    ]
    # A GPU that copies from its host reads: what fills the link is completions.
    payload = pcie_constants().usual_payload.value
    for case, text, rate, source in measured:
        theirs, ours = float(rate.to("GB/s")), float(PcieLink.of(text).read_rate(payload).to("GB/s"))
        yield Row(case=f"{text}, {case}", unit="GB/s", published=theirs, ours=ours, source=source, assumed=_ASSUMED)


def _packets() -> Iterator[Row]:
    payload = Bytes(np.array(_PAYLOADS, dtype=float))
    for text, published in _TABLE.items():
        link = PcieLink.of(text)
        rates = np.stack([link.write_rate(payload).to("GB/s"), link.read_rate(payload).to("GB/s")], axis=1)
        packets = [f"{size} B, {way}" for size in _PAYLOADS for way in ("write", "read completion")]
        ours = [float(link.raw_rate.to("GB/s")), *map(float, rates.ravel())]
        for case, theirs, our in zip(["raw", *packets], published, ours, strict=True):
            yield Row(case=f"{text}, {case}", unit="GB/s", published=theirs, ours=our, source=_TABLE_SOURCE)


PCIE_MEASURED = ValidationSet(name="pcie-measured", title="Large copies to GPUs over PCI Express, measured", compute=_measured)
PCIE_PACKETS = ValidationSet(name="pcie-packets", title="PCI Express after packets, against pcie-model", compute=_packets)
