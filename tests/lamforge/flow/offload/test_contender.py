"""A text names a system, a format and a window; what is none of them is refused in a sentence."""

import math
from pathlib import Path

import pytest

from hwsim.errors import CheckpointError, SpecError
from hwsim.offload.systems import system
from lamforge.flow.offload.contender import contender, question, setting_texts
from lamforge.flow.offload.work_format import FORMATS, WorkFormat, work_format


@pytest.mark.parametrize("rest", ["", ":w4a8kv4", "::2048", ":w4a8kv4:2048"])
def test_a_path_may_have_a_colon_in_it(rest: str, tmp_path: Path) -> None:
    (tmp_path / "a:b.yaml").write_text("extends: gpu-a100\nname: mine\n")
    found = contender(f"{tmp_path / 'a:b.yaml'}{rest}")
    assert found.system.name == "mine"
    assert (found.format, found.window) == ("w4a8kv4" if "w4" in rest else "fp16", 2048 if "2048" in rest else math.inf)


def test_titles_tell_what_was_changed() -> None:
    found = contender("gpu-a100:w4a8kv4", {"gpu": "t4", "gpus": 2})
    assert found.title == "Two NVIDIA T4, everything in GPU memory, W4A8KV4, with gpu=t4, gpus=2"


def test_what_is_left_out_is_fp16_and_dense() -> None:
    one = contender("gpu-a100")
    assert (one.format, one.window) == ("fp16", math.inf)
    assert one.title == "One NVIDIA A100 SXM4 80 GB, everything in GPU memory"


def test_a_format_and_a_window_reach_the_workload() -> None:
    asked = question("llama-2-7b", prompt=8192, generate=16, batch=3)
    work = contender("gpu-a100:w2a8kv4:2048").work(asked)
    assert (work.weight_bits, work.cache_bits, work.window) == (2.0, 4.25, 2048.0)
    assert (work.prompt, work.generated, work.batch) == (8192.0, 16.0, 3.0)
    assert contender("gpu-a100:w2a8kv4:2048").title.endswith(", W2A8KV4, Λ 2048")
    assert contender("gpu-a100:fp16:dense").window == math.inf


def test_bits_of_the_engines_formats_are_those_that_its_packers_store() -> None:
    """0004: a scale word before eight of data; a header before two keys; 2:4 with everything in 2 bits."""
    bits = {name: (FORMATS[name].weight, FORMATS[name].cache) for name in ("w8a8kv4", "w4a8kv4", "w2a8kv4")}
    assert bits == {"w8a8kv4": (8.5, 4.25), "w4a8kv4": (4.5, 4.25), "w2a8kv4": (2.0, 4.25)}


def test_parts_of_formats_are_apart() -> None:
    assert work_format("w4") == WorkFormat(weight=4.5, activation=16, cache=16)
    assert work_format("kv4") == WorkFormat(weight=16, activation=16, cache=4.25)
    assert work_format("w4a8kv16") == WorkFormat(weight=4.5, activation=8, cache=16)
    assert work_format("fp16") == work_format("w16a16kv16")
    work = contender("gpu-a100:w4").work(question("llama-2-7b", prompt=8, generate=8))
    assert (work.weight_bits, work.activation_bytes, work.cache_bits) == (4.5, 2.0, 16.0)


def test_settings_change_values_by_path() -> None:
    changed = system("zero-a100", {"drives": 2, "is_direct": True, "layer_cost": "1 ms"})
    assert (changed.drives, changed.is_direct, changed.layer_cost.value.to("ms")) == (2, True, 1.0)
    assert setting_texts({"drives": 2, "is_direct": True, "acceptance": 0.5, "weights": "drive", "small": 1e-05}) == [
        "drives=2",
        "is_direct=true",
        "acceptance=0.5",
        "weights=drive",
        "small=1.0e-05",
    ]


def test_fewer_bits_are_fewer_bytes() -> None:
    asked = question("llama-2-7b", prompt=8192, generate=16)
    formats = ("fp16", "w8a8kv4", "w4a8kv4", "w2a8kv4")
    sizes = [float(contender(f"gpu-a100:{name}").answer(asked).tiers[0].used.value) for name in formats]
    assert sizes == sorted(set(sizes), reverse=True)
    assert set(FORMATS) >= set(formats)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "gpu-a100:w2a8kv",
            "Format must be fp16, flexgen-int4, flightllm, or some of w16 or w8 or w4 or w2 or w4g64, a16 or a8,"
            " kv16 or kv8 or kv4 or kv4g64 in this order (nearest: w2a8kv8), not 'w2a8kv'",
        ),
        ("gpu-a100:fp16:wide", "Window must be a number of tokens or dense, not 'wide'"),
        ("gpu-a100:fp16:0", "Window must be a number of tokens or dense, not '0'"),
        ("gpu-a100:fp16:-4", "Window must be a number of tokens or dense, not '-4'"),
    ],
)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        contender(text)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"prompt": 0}, "Prompt must be a whole number from 1 to 16777216, not 0"),
        ({"generate": -3}, "Number of tokens to generate must be a whole number from 1 to 16777216, not -3"),
        ({"batch": 10**9}, "Batch must be a whole number from 1 to 16777216, not 1000000000"),
    ],
)
def test_absurd_questions(counts: dict[str, int], sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        question("llama-2-7b", **({"prompt": 1, "generate": 1, "batch": 1} | counts))
    assert str(refusal.value) == sentence


def test_an_unknown_network_names_the_nearest() -> None:
    with pytest.raises(CheckpointError, match="nearest: llama-2-7b"):
        question("llama-2-7", prompt=1, generate=1)
