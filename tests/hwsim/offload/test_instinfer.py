"""InstInfer: what drives read, write and attend to; the mean over steps against the sum over every one of them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.arch.workload import Workload
from hwsim.offload.devices import DRIVES
from hwsim.offload.flash.layout import KvShape
from hwsim.offload.systems import system
from hwsim.offload.systems.instinfer import DRIVE_LINK, ENGINE, FLASH, DriveCache, InstInfer
from hwsim.offload.systems.system import DRIVE, FRAMEWORK, HOST
from hwsim.plain import set_values
from models.zoo import network

WORK = Workload(network=network("opt-13b"), prompt=1024, generated=1024, batch=64)
LAYERS, HIDDEN = 40, 5120


def drives(name: str, *settings: str) -> InstInfer:
    """Return a system whose drives attend."""
    found = system(name, set_values(settings))
    assert isinstance(found, InstInfer)
    return found


SPARF, DENSE = drives("instinfer-sparf"), drives("instinfer-dense")


def read_share(prompt: float, generated: float, window: float = np.inf) -> float:
    """Return what SparF reads of all keys and values, by the system."""
    work = dataclasses.replace(WORK, prompt=prompt, generated=generated, window=window)
    return float(SPARF.read(work) / DENSE.read(work))


@given(st.integers(16, 40_000), st.integers(1, 4000))
def test_reads_are_the_mean_over_all_steps(prompt: int, generated: int) -> None:
    assert SPARF.sparsity is not None
    shape = KvShape(sequences=1, heads=40, head_channels=128)
    exact = SPARF.sparsity.over(shape).flash_fraction(prompt, prompt + generated)
    assert read_share(prompt, generated) == pytest.approx(exact, abs=0.005)


def test_under_a_window_reads_are_those_of_one_context() -> None:
    assert SPARF.sparsity is not None
    sparf = SPARF.sparsity.over(KvShape(sequences=1, heads=40, head_channels=128))
    assert read_share(100_000, 64, window=2048) == pytest.approx(sparf.flash_fraction(2048, 2049), rel=1e-12)


def test_the_engine_gets_an_eighth() -> None:
    assert SPARF.compression == 1 / 8
    assert DENSE.compression == 1
    assert drives("instinfer-sparf", "sparsity.channel_share=0.25").compression == 1 / 8 + 1 / 16


def test_a_step_moves_the_cache_from_flash_and_vectors_over_the_link() -> None:
    step = DENSE.answer(WORK).step
    assert float(step.moved[FLASH].value) == LAYERS * 4 * HIDDEN * 64 * (1024 + 512)
    assert float(step.moved[DRIVE_LINK].value) == LAYERS * 4 * HIDDEN * 64 * 2
    sparse = SPARF.answer(WORK).step
    assert float(sparse.moved[FLASH].value) == pytest.approx(float(step.moved[FLASH].value) * read_share(1024, 1024))
    assert float(sparse.moved[DRIVE_LINK].value) == float(step.moved[DRIVE_LINK].value)


def test_a_step_by_hand() -> None:
    step = DENSE.answer(WORK).step
    read = 4 * HIDDEN * 64 * 1536 / 7.66e9
    attended = 4 * HIDDEN * 64 * 1536 / float(DENSE.engine_rate.value.value)
    framework = 64 * float(DENSE.sequence_cost.value.value)
    link = 4 * HIDDEN * 64 * 2 / 7e9
    assert float(step.busy[FLASH].value) == pytest.approx(LAYERS * read)
    assert float(step.busy[ENGINE].value) == pytest.approx(LAYERS * attended)
    assert float(step.busy[DRIVE_LINK].value) == pytest.approx(LAYERS * link)
    assert float(step.busy[FRAMEWORK].value) == pytest.approx(LAYERS * framework)
    gpu = LAYERS * 24 * HIDDEN**2 / (768e9 * 0.88)
    assert float(step.time.value) == pytest.approx(LAYERS * (read + attended + link + framework) + gpu, rel=0.01)
    scores = 64 * 40 * 1536 / 570e6
    assert float(SPARF.answer(WORK).step.busy[ENGINE].value) == pytest.approx(LAYERS * (attended / 8 + scores))


def test_nothing_of_a_step_is_hidden() -> None:
    for each in (DENSE, SPARF, system("instinfer-flexgen"), system("instinfer-sparq")):
        step = each.answer(WORK).step
        for cause in {FLASH, ENGINE, DRIVE_LINK, DRIVE, FRAMEWORK} & set(step.busy):
            assert step.charged[cause].value == step.busy[cause].value


def test_sparse_drives_store_keys_twice() -> None:
    cache = LAYERS * 4 * HIDDEN * 64
    for each, copies in ((DENSE, 1.0), (SPARF, 1.5)):
        answer = each.answer(WORK)
        assert float(answer.prefill.moved[FLASH].value) == copies * cache * 1024
        assert float(answer.tiers[1].used.value) == copies * cache * 2048


def test_an_ordinary_drive_sends_all_that_is_read_to_the_host() -> None:
    dense, sparse = system("instinfer-flexgen"), system("instinfer-sparq")
    cache = LAYERS * 4 * HIDDEN * 64
    one, two = dense.answer(WORK), sparse.answer(WORK)
    assert float(one.step.moved[DRIVE].value) == cache * 1536
    assert float(two.step.moved[DRIVE].value) == cache * 1536 / 8
    # 107 GB of cache, more than the host has memory: all of it is read from the drive.
    assert isinstance(dense, DriveCache)
    files = float(dense.drive.file_rate.value)
    assert float(one.step.busy[DRIVE].value) == pytest.approx(cache * 1536 / files)
    assert HOST not in one.step.charged or float(one.step.charged[HOST].value) == 0
    # Of 54 GB the host keeps what 96 GB have room for beyond it.
    half = dense.answer(dataclasses.replace(WORK, batch=32)).step
    kept = 1 - LAYERS * 4 * HIDDEN * 32 * 2048 / 96e9
    assert float(half.busy[DRIVE].value) == pytest.approx((1 - kept) * cache / 2 * 1536 / files)
    assert float(half.busy[HOST].value) == pytest.approx(kept * cache / 2 * 1536 / float(dense.kept_rate.value.value))
    assert float(one.prefill.busy[DRIVE].value) == pytest.approx(cache * 1024 / 5e9)


def test_writes_go_at_the_rate_of_reads_where_nobody_stated_theirs() -> None:
    found = system("instinfer-flexgen")
    assert isinstance(found, DriveCache)
    unstated = dataclasses.replace(found, drive=dataclasses.replace(DRIVES.load("980-pro"), write_rate=None))
    assert float(unstated.answer(WORK).prefill.busy[DRIVE].value) == pytest.approx(LAYERS * 4 * HIDDEN * 64 * 1024 / 7e9)


def test_the_more_pages_are_touched_the_more_is_read() -> None:
    reads = [float(drives("instinfer-sparf", f"sparsity.touched_share={share}").read(WORK).value) for share in (0.1, 0.3, 0.6)]
    assert reads[1] - reads[0] == pytest.approx(0.2 * float(DENSE.read(WORK).value), rel=0.01)
    assert reads[2] - reads[1] == pytest.approx(0.3 * float(DENSE.read(WORK).value), rel=0.01)


def test_heads_are_dealt_whole_so_that_drives_beyond_their_number_gain_nothing() -> None:
    work = dataclasses.replace(WORK, network=network("opt-13b"))
    times = {
        count: float(system("instinfer-dense", {"csds": count}).answer(work).step.time.value) for count in (1, 13, 14, 20, 40, 80)
    }
    # 40 heads: of 13 drives one has four of them, of 14 to 19 drives three.
    assert times[1] > times[13] > times[14] > times[20] > times[40] == times[80]
    capacity = {count: system("instinfer-dense", {"csds": count}).answer(work).tiers[1].capacity.value for count in (1, 14, 80)}
    assert capacity[14] / capacity[1] == pytest.approx(40 / 3) and capacity[80] / capacity[1] == pytest.approx(40)
