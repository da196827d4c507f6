"""The packing measurement: a rate for every format, and a whole model from several files to an image in another process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.arch.config import load_engine
from hwsim.arch.formats import WEIGHT_FORMATS
from hwsim.errors import SpecError
from reports.documents.studies import bench_document
from reports.studies import bench
from reports.studies.bench import Figures, PackingRate, ShapedCompilation, SweepRate, compile_shaped, packing_rates
from reports.text.studies import bench_text


def test_every_format_has_a_rate() -> None:
    rates = packing_rates(load_engine("tiny"), rows=64, inputs=128)
    assert [rate.format for rate in rates] == [format.name.lower() for format in WEIGHT_FORMATS]
    assert all(rate.pack_weights_per_s > 0 and rate.deal_weights_per_s > 0 for rate in rates)


def test_a_shape_compiles_in_bounded_memory(tmp_path: Path) -> None:
    made = compile_shaped("smollm2-135m", "small", tmp_path, pattern="lambda:4+252")
    print(made)
    assert made.image_bytes > 40_000_000
    # A process with PyTorch, and little beside it.
    assert made.memory_mb < 1500
    assert list(tmp_path.iterdir()) == []


def test_a_compilation_that_is_refused_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "write_dummy", lambda request: request.output.mkdir())
    with pytest.raises(SpecError, match="Compilation of smollm2-135m must succeed, not end with: Model must be a folder"):
        compile_shaped("smollm2-135m", "small", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_peak_is_the_commands_own() -> None:
    """Of a process that takes 300 MB, and of one that takes nothing while this one holds as much."""
    held = b"x" * 300_000_000
    peaks = []
    for work in ("x = b'x' * 300_000_000", "pass"):
        command = [sys.executable, "-m", "reports.studies.peak", sys.executable, "-c", work]
        answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        assert answer["code"] == 0
        peaks.append(answer["peak_bytes"])
    assert peaks[0] > 300_000_000 > 3 * peaks[1]
    assert held


def test_the_bench_says_how_fast_weights_are_packed() -> None:
    rate = PackingRate(format="w2s", pack_weights_per_s=3e8, deal_weights_per_s=2e9)
    shaped = ShapedCompilation(
        shape="a", engine="b", model_bytes=2 * 10**9, image_bytes=3 * 10**9, write_s=1.0, compile_s=4.0, memory_mb=700.0
    )
    seconds = dict.fromkeys(("simulator_s", "verilator_s", "build_s", "meaning_s", "compile_s"), 1.0)
    figures = Figures(
        engine="small",
        cycles=10,
        parameters_per_s=None,
        token_per_s=1.0,
        memory_mb=1.0,
        workload=(),
        sweeps=(SweepRate(memory="hbm2", changes="timing", points_per_s=80.0, whole_per_s=8.0),),
        packing=(rate,),
        methods=(),
        shaped=shaped,
        offload_per_s=50_000.0,
        **seconds,
    )
    text = bench_text(figures)
    assert "pack w2s" in text
    assert "50,000 evaluations/s" in text
    assert "80 exact points/s, 8.0 designs/s one by one (10.0 x)" in text
    assert "300,000,000 weights/s packed, 2,000,000,000 dealt over ports" in text
    assert "4.0 s, 700 MB (2.00 GB into 3.00 GB for b)" in text
    document = json.loads(json.dumps(bench_document(figures)))
    assert document["packing"][0]["format"] == "w2s"
    assert document["shaped"]["memory_mb"] == 700.0
