"""The baseline measures everything that its settings name, where there is only a processor too."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from hwsim.errors import SpecError
from reports.documents.plain import plain
from reports.studies.gpu_baseline import RESULTS, result
from reports.studies.gpu_baseline.baseline import NetworkSizes, NetworkWays, read_baseline, read_settings
from reports.studies.gpu_baseline.clock import Clock
from reports.studies.gpu_baseline.measure import measure
from reports.studies.gpu_baseline.network import Decoder

KINDS = ("launch", "copy", "pointwise", "product", "decode_attention", "prefill_attention", "host_copy", "gather", "network")
SIZES = {"layers": 2, "hidden": 32, "heads": 4, "kv_heads": 2, "head_dim": 8, "ffn": 48, "vocab": 50}
SMALL = {
    "repeats": 2,
    "warm": 1,
    "limit_s": 0.1,
    "footprint_bytes": 4096,
    "copy_bytes": [1024],
    "host_bytes": [1024, 4096],
    "gather_bytes": [64],
    "gather_total_bytes": 4096,
    "pointwise_rows": [1],
    "pointwise_columns": [16],
    "product_rows": [1, 8],
    "product_shapes": [[16, 32]],
    "attention_heads": [[4, 4], [4, 2]],
    "head_dim": 8,
    "decode_keys": [16, 32],
    "decode_batches": [1, 2],
    "decode_ways": ["any", "cudnn"],
    "prefill_ways": ["any"],
    "prefill_tokens": [16],
    "networks": {"small": SIZES},
    "network_ways": {"decode": "any", "prefill": "any"},
    "network_batches": [1, 2],
    "network_contexts": [16],
    "network_prompts": [8],
}


def written(name: str) -> dict[str, Any]:
    """Return the file of a GPU as it is."""
    file = resources.files("reports.studies.gpu_baseline") / "results" / f"{name}.json"
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_all_is_measured() -> None:
    found = plain(measure(settings=SMALL, device="cpu"))
    counts = {"launch": 2, "copy": 1, "pointwise": 3, "product": 2, "decode_attention": 16, "prefill_attention": 2}
    counts |= {"host_copy": 8, "gather": 1, "network": 3}
    assert {name: len(found[name]) for name in counts} == counts
    assert [(row["phase"], row["batch"]) for row in found["network"]] == [("decode", 1), ("decode", 2), ("prefill", 1)]
    rows = [row for name in counts for row in found[name]]
    # What a device cannot do is said, and the rest is measured.
    assert all(row["samples"] == 0 and row["refused"] for row in rows if row["seconds"] is None)
    assert {row["way"] for row in found["decode_attention"] if row["seconds"] is None} == {"cudnn"}
    assert sum(row["seconds"] is None for row in rows) == 8
    assert all(row["seconds"] > 0 and row["samples"] > 0 for row in rows if row["seconds"] is not None)
    assert found["settings"] == SMALL
    assert found["gpu"] == {"name": "CPU"}
    assert found["dtype"] == "float32"
    assert found["host"]["torch"] == torch.__version__
    assert found["host"]["cpu"]


CLOCK = Clock(device=torch.device("cpu"), repeats=4, warm=2, limit_s=1.0, footprint_bytes=100)


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 3])
def test_decoding_is_the_end_of_a_prompt(batch: int) -> None:
    """What is timed is a decoder: decoded one by one, the tokens of prompts give the logits that the prompts give."""
    decoder = Decoder(NetworkSizes(**SIZES), CLOCK, NetworkWays(decode="any", prefill="any"))
    torch.manual_seed(3)
    x, cache = torch.randn((batch, 6, 32)), decoder.cache(batch, 6)
    found = torch.zeros(0)
    for count in range(1, 7):
        # A step writes the last place of the cache it is given: views of growing length are filled in order.
        found = decoder.decode(x[:, count - 1], [(k[:, :, :count], v[:, :, :count]) for k, v in cache])
    torch.testing.assert_close(found, torch.cat([decoder.prefill(prompt) for prompt in x]), rtol=1e-4, atol=1e-5)
    other = torch.cat([decoder.prefill(prompt.flip(0)) for prompt in x])
    assert not torch.allclose(found, other, rtol=1e-2)


def test_work_is_on_sets_of_its_own_in_turn() -> None:
    assert [len(CLOCK.sets(size)) for size in (1, 33, 99, 100, 1000)] == [100, 4, 2, 1, 1]
    order: list[int] = []
    found = CLOCK.graphed([lambda index=index: order.append(index) for index in range(3)])
    assert order == [0, 1, 2] * 6
    assert found.samples == 4


def test_long_work_is_timed_once() -> None:
    runs: list[int] = []
    found = Clock(device=torch.device("cpu"), repeats=4, warm=2, limit_s=0.0, footprint_bytes=1).launched(lambda: runs.append(1))
    assert (len(runs), found.samples) == (1, 1)


@pytest.mark.parametrize("name", RESULTS)
def test_what_was_measured_is_what_the_settings_ask_for(name: str) -> None:
    found = plain(result(name))
    assert found == written(name)
    rows = {kind: found[kind] for kind in KINDS}
    settings = json.loads((resources.files("reports.studies.gpu_baseline") / "settings.json").read_text())
    assert found["settings"] == settings
    assert len(rows["product"]) == len(settings["product_rows"]) * len(settings["product_shapes"])
    contexts = len(settings["network_batches"]) * len(settings["network_contexts"])
    assert len(rows["network"]) == len(settings["networks"]) * (contexts + len(settings["network_prompts"]))
    assert found["gpu"]["multiprocessors"] > 0
    assert found["gpu"]["driver"]["driver_version"]
    assert found["host"]["cuda"]
    missing = [row for held in rows.values() for row in held if row["seconds"] is None]
    # Eight caches of long texts have no room beside the weights.
    assert all((row["phase"], row["batch"], row["refused"]) == ("decode", 8, "CUDA out of memory") for row in missing)
    assert all(0 < row["seconds"] < 60 for held in rows.values() for row in held if row not in missing)


def test_a_gpu_that_was_not_measured_is_refused() -> None:
    with pytest.raises(SpecError, match="Measured GPU must be one of h200 .nearest: h200., not 'h100'"):
        result("h100")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"head_dim": "8"}, "Measurements must have settings.head_dim of type int, not '8'"),
        ({"decode_ways": "any"}, "Measurements must have settings.decode_ways of type tuple[str, ...], not 'any'"),
        ({"product_shapes": [[16]]}, "Measurements must have settings.product_shapes[0] of type tuple[int, int], not [16]"),
        ({"repeat": 2}, "Field of settings must be one of "),
        ({"network_ways": {"decode": "any"}}, "Measurements must have settings.network_ways.prefill, which is missing"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_settings(change)
    assert str(refused.value).startswith(text)


def test_a_file_that_lacks_something_is_refused(tmp_path: Path) -> None:
    found = written("h200")
    del found["product"][3]["samples"]
    (tmp_path / "gpu.json").write_text(json.dumps(found))
    with pytest.raises(SpecError, match=r"Measurements must have product\[3\].samples, which is missing"):
        read_baseline(tmp_path / "gpu.json")
    (tmp_path / "gpu.json").write_text("3")
    with pytest.raises(SpecError, match="Measurements must have"):
        read_baseline(tmp_path / "gpu.json")


def test_there_is_no_such_device() -> None:
    with pytest.raises(SpecError, match="Device must be cuda or cpu, not 'tpu'"):
        measure(settings=SMALL, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(SpecError, match="Device must be cpu where there is no CUDA device, not 'cuda'"):
            measure(settings=SMALL)
