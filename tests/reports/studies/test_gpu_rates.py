"""Rates of a GPU from its measurements: those in its file are these, and exact laws come back exactly."""

import dataclasses

import pytest

from hwsim.errors import SpecError
from hwsim.offload.devices import GPUS
from reports.studies.gpu_baseline import result
from reports.studies.gpu_baseline.baseline import Baseline, Took
from reports.studies.gpu_rates import WAY, fitted, steps

H200 = GPUS.load("h200")
SHARES = ("product_share", "memory_share", "attention_share", "prompt_attention_share")
TIMES = ("launch", "product_launch", "attention_launch")


def test_the_file_of_the_gpu_has_the_fitted_rates() -> None:
    rates, written = fitted(H200, result("h200")), H200.rates()
    for name in SHARES:
        assert getattr(written, name) == pytest.approx(getattr(rates, name), abs=0.0006), name
    for name in TIMES:
        assert getattr(written, name).to("us") == pytest.approx(getattr(rates, name).to("us"), abs=0.06), name


def timed(seconds: float) -> Took:
    return Took(seconds=seconds, samples=1)


def made() -> Baseline:
    """Return measurements of a GPU that keeps to the laws."""
    found, memory, peak = result("h200"), 4.8e12, 989e12
    products, decode, prefill = [], [], []
    for row in found.product:
        operations = 2.0 * row.rows * row.columns * row.inner
        weights = 2.0 * (row.columns * row.inner + row.rows * (row.columns + row.inner))
        seconds = weights / (0.8 * memory) + 5e-6 if row.rows <= 64 else operations / (0.7 * peak)
        products.append(dataclasses.replace(row, took=timed(seconds)))
    for row in found.decode_attention:
        seconds = 4.0 * row.keys * row.kv_heads * 128 * row.batch / (0.9 * memory) + 8e-6
        decode.append(dataclasses.replace(row, took=timed(seconds)))
    for row in found.prefill_attention:
        seconds = 2.0 * row.heads * 128 * row.tokens**2 / (0.5 * peak)
        prefill.append(dataclasses.replace(row, took=timed(seconds)))
    return dataclasses.replace(
        found,
        product=tuple(products),
        decode_attention=tuple(decode),
        prefill_attention=tuple(prefill),
        pointwise=tuple(dataclasses.replace(row, took=timed(3e-6)) for row in found.pointwise),
    )


def test_exact_laws_come_back() -> None:
    rates = fitted(H200, made())
    assert [getattr(rates, name) for name in SHARES] == pytest.approx([0.7, 0.8, 0.9, 0.5])
    assert [getattr(rates, name).to("us") for name in TIMES] == pytest.approx([3, 5, 8])


def test_steps_are_not_fitted_to() -> None:
    found = made()
    network = [
        row if row.took.seconds is None else dataclasses.replace(row, took=timed(2 * row.took.seconds)) for row in found.network
    ]
    found = dataclasses.replace(found, network=tuple(network))
    assert fitted(H200, found) == fitted(H200, made())
    doubled = list(steps(H200.rates(), found))
    for one, two in zip(steps(H200.rates(), result("h200")), doubled, strict=True):
        assert two.measured.value == 2 * one.measured.value
        assert two.ours.value == one.ours.value


def test_other_kernels_of_attention_do_not_count() -> None:
    found = made()
    rows = [
        row if row.way == WAY else dataclasses.replace(row, took=timed(7 * row.took.measured_s)) for row in found.decode_attention
    ]
    assert fitted(H200, dataclasses.replace(found, decode_attention=tuple(rows))) == fitted(H200, made())


def test_what_is_missing_is_said() -> None:
    with pytest.raises(SpecError, match="Measurements must have products of few rows to fit rates to, but have none"):
        fitted(H200, dataclasses.replace(made(), product=()))
    refused = Took(seconds=None, samples=0, refused="no memory")
    rows = [dataclasses.replace(row, took=refused) for row in made().pointwise]
    with pytest.raises(SpecError, match="Measurement must have seconds, but was refused: no memory"):
        fitted(H200, dataclasses.replace(made(), pointwise=tuple(rows)))
