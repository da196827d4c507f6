"""PCI Express as packets: the standard's limits, the packet arithmetic of pcie-model, laws, and refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.pcie import PAYLOADS, PcieLink, pcie_constants
from hwsim.units import Bytes

WIDTHS = (1, 2, 4, 8, 16)
# Acknowledge latency limits of PCI Express 5.0, tables 3-7 to 3-9: rows are widths, columns payloads of 128 to 4096 bytes.
LIMITS = {
    1: [
        [237, 416, 559, 1071, 2095, 4143],
        [128, 217, 289, 545, 1057, 2081],
        [73, 118, 154, 282, 538, 1050],
        [67, 107, 86, 150, 278, 534],
        [48, 72, 86, 150, 278, 534],
    ],
    2: [
        [288, 467, 610, 1122, 2146, 4194],
        [179, 268, 340, 596, 1108, 2132],
        [124, 169, 205, 333, 589, 1101],
        [118, 158, 137, 201, 329, 585],
        [99, 123, 137, 201, 329, 585],
    ],
    3: [
        [333, 512, 655, 1167, 2191, 4239],
        [224, 313, 385, 641, 1153, 2177],
        [169, 214, 250, 378, 634, 1146],
        [163, 203, 182, 246, 374, 630],
        [144, 168, 182, 246, 374, 630],
    ],
}
LINKS = st.builds(PcieLink, st.integers(1, 5), st.sampled_from(WIDTHS))
SIZES = st.sampled_from(PAYLOADS).map(lambda size: Bytes(float(size)))


@pytest.mark.parametrize("generation", [1, 2, 3, 4, 5])
def test_latency_limits_are_the_standards(generation: int) -> None:
    links = PcieLink(generation, np.array(WIDTHS)[:, None])
    assert np.array_equal(links.latency_limit(Bytes(np.array(PAYLOADS, float))), LIMITS[min(generation, 3)])


@pytest.mark.parametrize(
    ("text", "gb_per_s"), [("Gen1 x1", 0.25), ("Gen2 x8", 4.0), ("Gen3 x4", 3.938), ("Gen4 x16", 31.508), ("Gen5 x16", 63.015)]
)
def test_raw_rates(text: str, gb_per_s: float) -> None:
    link = PcieLink.of(text)
    assert str(link) == text
    assert link.raw_rate.to("GB/s") == pytest.approx(gb_per_s, rel=2e-4)


def test_a_packet_by_hand() -> None:
    """Gen3 x8, 256 bytes: two DLLPs of 8 bytes in 203 symbol times, 4 of 1538 skipped; around a write 24 bytes, a read 20."""
    link, payload = PcieLink.of("Gen3 x8"), Bytes(256.0)
    usable = 8e9 * 128 / 130 * (1 - 16 / 203 - 4 / 1538)
    assert link.packet_rate(payload).value == pytest.approx(usable, rel=1e-12)
    assert link.write_rate(payload).value == pytest.approx(usable * 256 / 280, rel=1e-12)
    assert link.read_rate(payload).value == pytest.approx(usable * 256 / 276, rel=1e-12)


@given(LINKS, SIZES)
def test_laws(link: PcieLink, payload: Bytes) -> None:
    assert link.write_rate(payload) < link.read_rate(payload) < link.packet_rate(payload) < link.raw_rate


def test_arrays_are_their_elements() -> None:
    generations, lanes = np.arange(1, 6)[:, None, None], np.array(WIDTHS)[:, None]
    grid = PcieLink(generations, lanes).write_rate(Bytes(np.array(PAYLOADS, float)))
    assert np.shape(grid.value) == (5, 5, 6)
    for index in np.ndindex(5, 5, 6):
        one = PcieLink(1 + index[0], WIDTHS[index[1]]).write_rate(Bytes(float(PAYLOADS[index[2]])))
        assert grid.value[index] == one.value


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PcieLink(6, 16), "Link generation must be one of 1, 2, 3, 4, 5, not 6"),
        (lambda: PcieLink(4, np.array([8, 12])), "Link lanes must be one of 1, 2, 4, 8, 16, not 12"),
        (lambda: PcieLink.of("Gen4x16", "Card"), "Card must be a generation and a width such as 'Gen4 x16', not 'Gen4x16'"),
        (lambda: PcieLink.of("Gen9 x16", "Card"), "Card generation must be one of 1, 2, 3, 4, 5, not 9"),
        (
            lambda: PcieLink(4, 16).write_rate(Bytes(200.0)),
            "Largest payload must be one of 128, 256, 512, 1024, 2048, 4096 bytes, not 200",
        ),
    ],
)
def test_refusals(make: object, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        make()
    assert str(refusal.value) == sentence


def test_the_usual_payload_is_one() -> None:
    assert pcie_constants().usual_payload.value.value in PAYLOADS
