"""Set `pcie-measured`: large copies to GPUs over PCI Express, against what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.offload.devices import HOSTS
from hwsim.offload.pcie import PcieLink, pcie_constants
from hwsim.units import BytesPerSecond
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["PCIE_MEASURED"]

_BAM = "BaM, issue 54 of its repository"
_SAMPLE = "NVIDIA/nvbandwidth @66746a3, sample in its README"
_ASSUMED = ("pcie.usual_payload",)


def _rows() -> Iterator[Row]:
    flexgen = HOSTS.load("flexgen-gcp")
    copy = flexgen.gpu_link_rate
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
        yield Row(
            case=f"{text}, {case}",
            unit="GB/s",
            published=float(rate.to("GB/s")),
            ours=float(PcieLink.of(text).read_rate(payload).to("GB/s")),
            source=source,
            assumed=_ASSUMED,
        )


PCIE_MEASURED = ValidationSet(name="pcie-measured", title="Large copies to GPUs over PCI Express, measured", compute=_rows)
