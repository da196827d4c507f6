"""Devices load with every number's source, have the figures that are published, and impossible ones are refused in a sentence."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import SpecError
from hwsim.offload.devices import CSDS, DRIVES, FAMILIES, FLASH, GPUS, HOSTS, Family
from hwsim.offload.devices.reference import render
from hwsim.offload.devices.storage import ArrayShare
from hwsim.offload.pcie import PcieLink
from hwsim.sourced import Count, Sourced
from hwsim.units import Dollars, OperationsPerSecond

ROOT = Path(__file__).parents[3]
EVERY = [(family, name) for family in FAMILIES for name in family.names()]
BY_FOLDER = {family.folder: family for family in FAMILIES}


@pytest.mark.parametrize(("family", "name"), EVERY, ids=[f"{family.folder}/{name}" for family, name in EVERY])
def test_shipped_devices_load(family: Family[Any], name: str) -> None:
    device = family.load(name)
    assert device.name == name
    assert device.title
    assert device.facts


def test_the_families_have_the_devices_of_the_validation_tables() -> None:
    assert set(GPUS.names()) == {
        *("a100-sxm-40", "a100-pcie-40", "a100-sxm-80", "a100-pcie-80", "a6000", "rtx-4090", "rtx-3090", "t4", "v100"),
        *("h100-sxm", "h100-96", "h100-pcie", "h200", "a40", "l40"),
    }
    assert {"flexgen-gcp", "xeon-5320", "epyc-9754", "dgx-2", "deepnvme-a100"} <= set(HOSTS.names())
    assert {"980-pro", "990-pro", "pm9a3", "cs3040", "flexgen-cloud", "deepnvme-3g25"} <= set(DRIVES.names())


def test_published_figures() -> None:
    a100 = GPUS.load("a100-sxm-80")
    assert (a100.memory.value.to("GiB"), a100.memory_rate.value.to("GB/s")) == (80, pytest.approx(2039))
    assert a100.fp16_rate.value == OperationsPerSecond(312e12)
    assert a100.host_link.value == PcieLink(4, 16)
    assert a100.assumed == ("tile_step", "price")
    instinfer = CSDS.load("instinfer-emulated")
    array = instinfer.array
    assert array is not None and array.channels is not None and array.bus_rate is not None and instinfer.internal_rate is not None
    assert (array.bus_rate.value * float(array.channels.value)).value == pytest.approx(instinfer.internal_rate.value.value)
    assert CSDS.load("smartssd").price.value == Dollars(2400.0)
    assert CSDS.load("smartssd").array is None
    assert FLASH.load("mqsim-default").page.value.to("KiB") == 8


def test_a_number_that_nobody_stated_is_absent() -> None:
    flash = FLASH.load("instinfer-emulated")
    assert flash.read_time is None
    assert flash.known("channels") == 8
    with pytest.raises(SpecError) as refusal:
        flash.known("read_time")
    sentence = "Device instinfer-emulated must have read_time, which nobody stated: give it in a file of your own"
    assert str(refusal.value) == sentence


def value(text: object) -> dict[str, object]:
    return {"value": text, "kind": "assumed", "source": "a test"}


MISTAKES: list[tuple[str, dict[str, object], str]] = [
    ("gpus/a6000", {"memory_rate": value("-768 GB/s")}, "GPU mine memory_rate.value must be above 0, not '-768 GB/s'"),
    ("gpus/a6000", {"memory_rate": value("768 GB")}, "GPU mine memory_rate.value must be a number and a unit (B/s, kB/s, *"),
    (
        "gpus/a6000",
        {"memory_rate": value("768 TB/s")},
        "GPU a6000 fp16_rate must be 10 to 2000 operations per byte of memory_rate, not *",
    ),
    ("gpus/a6000", {"fp16_short_rate": value("1 TFLOP/s")}, "GPU a6000 fp16_short_rate must be at least fp16_rate, not 1 TFLOP/s"),
    ("gpus/a6000", {"host_link": value("Gen4 x12")}, "GPU mine host_link.value lanes must be one of 1, 2, 4, 8, 16, not 12"),
    ("gpus/a6000", {"host_link": value(4)}, "GPU mine host_link.value must be a generation and a width such as 'Gen4 x16', not 4"),
    ("gpus/a6000", {"memory": "48 GB"}, "GPU mine memory must be a mapping of value, kind and source, not '48 GB'"),
    ("gpus/a6000", {"memory": None}, "GPU mine must have the field 'memory'"),
    (
        "gpus/a6000",
        {"memry_rate": value("1 GB/s")},
        "GPU mine field must be one of its own such as 'memory_rate', not 'memry_rate'",
    ),
    (
        "hosts/flexgen-gcp",
        {"gpu_link_rate": value("16 GB/s")},
        "Host flexgen-gcp gpu_link_rate must be at most the raw rate of Gen3 x16, not 16 GB/s",
    ),
    (
        "drives/980-pro",
        {"read_rate": value("8 GB/s")},
        "Drive 980-pro read_rate must be at most the raw rate of Gen4 x4, not 8 GB/s",
    ),
    (
        "drives/980-pro",
        {"random_reads": value("2 MHz")},
        "Drive 980-pro random_reads must be at most read_rate in reads of 4 KiB, not 2000 kHz",
    ),
    ("drives/980-pro", {"erase_cycles": value(0)}, "Drive mine erase_cycles.value must be a whole number of at least 1, not 0"),
    (
        "flash/mqsim-default",
        {"channels": value(7.5)},
        "Flash array mine channels.value must be a whole number of at least 1, not 7.5",
    ),
    (
        "flash/mqsim-default",
        {"page": value("8 kB")},
        "Flash array mqsim-default page must be a power of two from 512 B on, not 8000 B",
    ),
    (
        "flash/mqsim-default",
        {"read_time": value("75 ms")},
        "Flash array mqsim-default program_time must be longer than read_time, not 750 us",
    ),
    (
        "csds/instinfer-emulated",
        {"flash": "mqsim"},
        "Flash array must be one of * or a YAML file, not 'mqsim' (nearest: mqsim-default)",
    ),
    (
        "csds/instinfer-emulated",
        {"used_rate": value("12 GB/s")},
        "CSD instinfer-emulated used_rate must be at most internal_rate, not 12 GB/s",
    ),
    (
        "csds/instinfer-emulated",
        {"link_rate": value("9 GB/s")},
        "CSD instinfer-emulated link_rate must be at most the raw rate of Gen4 x4, not 9 GB/s",
    ),
]


@pytest.mark.parametrize(("name", "change", "sentence"), MISTAKES, ids=[sentence for _, _, sentence in MISTAKES])
def test_a_mistake_is_a_sentence(name: str, change: dict[str, object], sentence: str, tmp_path: Path) -> None:
    data = copy.deepcopy(yaml.safe_load((ROOT / f"hwsim/specs/devices/{name}.yaml").read_text())) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({key: entry for key, entry in data.items() if entry is not None}))
    with pytest.raises(SpecError) as refusal:
        BY_FOLDER[name.split("/")[0]].load(str(path))
    first, star, last = sentence.partition("*")
    text = str(refusal.value)
    assert (text.startswith(first) and text.endswith(last)) if star else text == sentence, text


def test_an_unknown_device_is_refused_with_the_nearest_name() -> None:
    sentence = r"^GPU must be one of a100-pcie-40, .* or a YAML file, not 'rtx-4080' \(nearest: rtx-4090\)$"
    with pytest.raises(SpecError, match=sentence):
        GPUS.load("rtx-4080")


MEASURED = [("deepnvme-3g25", False, {1: 2.9, 2: 5.6, 4: 10.1}), ("deepnvme-3g25", True, {1: 3.3, 2: 6.1, 4: 10.6})]
MEASURED += [("deepnvme-gen5", False, {4: 23.4, 8: 46.0}), ("deepnvme-gen5", True, {4: 26.5, 8: 48.0}), ("dgx-2", False, {1: 9.0})]


@pytest.mark.parametrize(("name", "is_direct", "measured"), MEASURED)
def test_arrays_of_drives_follow_a_law_through_what_was_measured_of_them(
    name: str, is_direct: bool, measured: dict[int, float]
) -> None:
    drive = DRIVES.load(name)
    for drives, rate in measured.items():
        assert drive.array_rate(drives, is_direct=is_direct).to("GB/s") == pytest.approx(rate, rel=0.011)
    rates = [float(drive.array_rate(drives, is_direct=is_direct).value) for drives in range(1, 200)]
    assert all(np.diff(rates) > 0)
    assert all(np.diff(np.array(rates) / np.arange(1, 200)) <= 1e-3)


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0.01, 2.0)), min_size=1, max_size=5, unique_by=lambda each: each[0]))
def test_more_drives_are_never_slower_whatever_was_measured(measured: list[tuple[int, float]]) -> None:
    shares = Sourced(
        value=tuple(ArrayShare(drives=Count(drives), share=share) for drives, share in measured), kind="measured", source="a"
    )
    drive = dataclasses.replace(DRIVES.load("980-pro"), direct_shares=shares)
    rates = np.array([float(drive.array_rate(drives, is_direct=True).value) for drives in (*range(1, 20), 1000)])
    assert (rates[1:] >= rates[:-1] * (1 - 1e-12)).all()
    assert np.isfinite(rates).all() and rates[0] > 0


def test_the_page_is_fresh() -> None:
    assert (ROOT / "docs" / "devices.md").read_text() == render(), "docs/devices.md must be rendered again: make docs"
