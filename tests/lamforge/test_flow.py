"""The subcommands of the flow on a tiny model: what they print, the JSON keys others rely on, what they leave."""

import json
from pathlib import Path

import pytest

from tests.lamforge.conftest import Command
from tests.reports.tiny_folder import write_checkpoint

SIMULATE_KEYS = {"cycles", "token_per_s", "bytes", "fraction_of_peak", "causes", "wall_s", "units", "memory_mb"}


def document(answer: tuple[int, str, str]) -> dict[str, object]:
    """Return the JSON a command printed, alone, on standard output."""
    code, out, err = answer
    assert code == 0, err
    return json.loads(out)


def test_compress_describes_the_model(made: Path, tmp_path: Path, command: Command) -> None:
    target = tmp_path / "model"
    found = document(command("compress", made / "hf", "--recipe", made / "recipe.yaml", "-o", target, "--json"))
    assert found["geometry"]["layers"] == 2
    assert found["attention"] == "lambda:4+12"
    assert found["folder"] == str(target)
    assert found["fingerprint"] == json.loads((made / "model" / "model.json").read_text())["fingerprint"]


def test_export_leaves_a_checkpoint_as_others_have_them(made: Path, command: Command, tmp_path: Path) -> None:
    found = document(command("export", made / "model", "-o", tmp_path / "out", "--json"))
    assert found["architecture"] == "LlamaForCausalLM"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    geometry = [
        document(command("compress", folder, "--recipe", made / "recipe.yaml", "-o", tmp_path / name, "--json"))["geometry"]
        for name, folder in (("first", made / "hf"), ("again", tmp_path / "out"))
    ]
    assert geometry[0] == geometry[1]


def test_export_says_what_older_releases_cannot_read(made: Path, command: Command, tmp_path: Path) -> None:
    said = []
    for truncate in (True, False):
        block = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "truncate": truncate}
        source = write_checkpoint(tmp_path / f"hf-{truncate}", rope_scaling=block)
        model = tmp_path / f"model-{truncate}"
        assert command("compress", source, "--recipe", made / "recipe.yaml", "-o", model)[0] == 0
        code, _, err = command("export", model, "-o", tmp_path / f"out-{truncate}")
        assert code == 0
        said.append("transformers before 4.55 rounds them" in err)
    assert said == [False, True]


def test_evaluate_compares_with_the_float_models(made: Path, command: Command) -> None:
    options = ("--text", made / "text.txt", "--window", 128, "--windows", 3, "--json")
    found = document(command("evaluate", made / "model", "--source", made / "hf", *options))
    assert found["tokens"] == 3 * 127
    assert list(found["measured"]) == ["float, dense", "float, same attention", "integers"]
    assert found["ratio"] == pytest.approx(found["perplexity"] / found["float_perplexity"])
    assert found["dense_ratio"] == pytest.approx(found["perplexity"] / found["dense_perplexity"])
    assert 0.8 < found["ratio"] < 1.25
    assert [(entry["of"], entry["to"]) for entry in found["comparisons"]] == [
        ("float, same attention", "float, dense"),
        ("integers", "float, dense"),
        ("integers", "float, same attention"),
    ]
    for entry in found["comparisons"]:
        assert entry["ratio_interval"][0] < entry["ratio"] < entry["ratio_interval"][1]
        assert entry["nll_interval"][0] < entry["nll_difference"] < entry["nll_interval"][1]
    assert found["comparisons"][2]["ratio"] == pytest.approx(found["ratio"])
    alone = document(command("evaluate", made / "hf", "--attention", "lambda:4+12", *options))
    assert alone["perplexity"] == pytest.approx(found["float_perplexity"])
    assert alone["comparisons"][0]["ratio"] == pytest.approx(found["comparisons"][0]["ratio"])


def test_evaluate_says_when_the_source_is_not_at_hand(made: Path, command: Command) -> None:
    options = ("--text", made / "text.txt", "--window", 128, "--windows", 1)
    found = document(command("evaluate", made / "model", *options, "--json"))
    assert found["float_perplexity"] is None
    assert found["comparisons"] == []
    assert found["note"].startswith("Source hf (digest ")
    assert found["note"].endswith("must be named to compare with the float model")


def test_evaluate_measures_everything(made: Path, command: Command, tmp_path: Path) -> None:
    # The long text of the package: tasks of thousands of tokens, which are bytes here.
    options = ("--window", 64, "--windows", 2, "--stream", 200, "--layers", "--passkey", "700, 900", "--trials", 1)
    page = tmp_path / "page.html"
    code, out, err = command("evaluate", made / "model", "--source", made / "hf", *options, "--html", page)
    assert code == 0, err
    assert "perplexity on the shipped text: 126 tokens in 2 windows of 64\n" in out
    assert "95% intervals: Student's t" in out
    assert "negative log-likelihood of a token, by position in one text of 200 tokens\n" in out
    assert "right answers; within and beyond what lambda:4+12 reads at once" in out
    assert "the 5 worst of 5 halves of layers" in out
    content = page.read_text()
    assert content.count("<svg") == 3
    assert "layers.1.feed_forward" in content


def test_evaluate_as_json_holds_every_answer(made: Path, command: Command) -> None:
    options = ("--window", 64, "--windows", 1, "--passkey", "700", "--trials", 1, "--seed", 3, "--json")
    found = document(command("evaluate", made / "hf", *options))
    tasks = found["passkey"]["tasks"]
    assert [task["depth"] for task in tasks] == [0, 0.25, 0.5, 0.75, 1]
    assert all(task["is_within"] for task in tasks)
    assert found["passkey"]["right"]["float, same attention"]["within"] == {"right": 0, "tasks": 5, "share": 0.0}
    assert found["passkey"]["seed"] == 3


def test_an_eight_bit_cache_is_compressed_measured_and_exported(made: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text((made / "recipe.yaml").read_text() + "cache: kv8\n")
    options = ("--recipe", tmp_path / "wide.yaml", "-o", tmp_path / "model", "--json")
    wide = document(command("compress", made / "hf", *options))
    assert (wide["cache"], wide["recipe"]["cache"]) == ("kv8", "kv8")
    options = ("--text", made / "text.txt", "--window", 64, "--windows", 2, "--source", made / "hf", "--json")
    narrow, found = (document(command("evaluate", each, *options)) for each in (made / "model", tmp_path / "model"))
    assert found["perplexity"] != narrow["perplexity"]
    exported = document(command("export", tmp_path / "model", "-o", tmp_path / "floats", "--json"))
    assert (exported["cache"], exported["fingerprint"]) == ("kv8", wide["fingerprint"])
    options = ("--engine", "tiny", "--set", "tile.port_bits=256", "-o", tmp_path / "programs", "--json")
    assert document(command("compile", tmp_path / "model", *options))["formats"]["cache"] == "kv8"
    assert document(command("simulate", tmp_path / "programs", "--json"))["formats"]["cache"] == "kv8"


def test_a_workload_reads_more_keys_and_values_from_an_eight_bit_cache(command: Command) -> None:
    options = ("--workload", "smollm2-135m", "--context", 256, "--json")
    narrow, wide = (document(command("simulate", *options, "--cache", cache)) for cache in ("kv4", "kv8"))
    assert [each["formats"]["cache"] for each in (narrow, wide)] == ["kv4", "kv8"]
    # 256 tokens of 3 heads of 64 elements, keys and values, in 30 layers: half a byte more each.
    assert wide["stream_bytes"] - narrow["stream_bytes"] == 256 * 3 * 64 * 30


def test_compile_leaves_programs_of_static_size(made: Path, command: Command, tmp_path: Path) -> None:
    found = document(command("compile", made / "model", "--engine", "tiny", "-o", tmp_path / "programs", "--json"))
    names = {path.name for path in (tmp_path / "programs").iterdir()}
    assert names == {"decode.program", "prefill.program", "image.safetensors", "engine.yaml", "origin.json"}
    assert found["decode"]["bytes"] == 16 * found["decode"]["instructions"] <= 65536
    assert sum(found["decode"]["kinds"].values()) == found["decode"]["instructions"]
    fewer = ("--positions", 32, "-o", tmp_path / "short", "--json")
    shorter = document(command("compile", made / "model", "--engine", "tiny", *fewer))
    assert shorter["decode"]["bytes"] == found["decode"]["bytes"]
    assert shorter["max_position"] == 32


def test_compile_dumps_a_graph_that_parses_back(made: Path, command: Command) -> None:
    from compiler.graph import Graph

    code, out, _ = command("compile", made / "model", "--engine", "tiny", "--dump-after", "fuse_projections")
    assert code == 0
    assert Graph.from_text(out).to_text() == out
    assert "layers.{}.qkv" in out


@pytest.mark.parametrize("memory", ["ideal", "stalling:5", "hbm2:5"])
@pytest.mark.parametrize("program", ["decode", "prefill"])
def test_simulate_accounts_for_every_cycle(made: Path, command: Command, program: str, memory: str) -> None:
    found = document(command("simulate", made / "programs", "--program", program, "--memory", memory, "--json"))
    assert found.keys() >= SIMULATE_KEYS
    assert all(sum(causes.values()) == found["cycles"] for causes in found["unit_causes"].values())
    assert found["causes"] == found["unit_causes"]["matrix"]
    assert found["token_per_s"] == pytest.approx(found["tokens"] * found["clock_hz"] / found["cycles"])
    assert 0 < found["fraction_of_peak"] < 1


def test_simulate_takes_models_and_shapes_too(made: Path, command: Command) -> None:
    programs = document(command("simulate", made / "programs", "--json"))
    model = document(command("simulate", made / "model", "--engine", "tiny", "--json"))
    assert model["cycles"] == programs["cycles"]
    options = ("--workload", "smollm2-135m", "--engine", "small", "--format", "w4", "--context", 256, "--json")
    narrow = document(command("simulate", *options))
    assert narrow["position"] == 256
    wide = document(command("simulate", *options, "--set", "tile.ports=4"))
    assert wide["cycles"] < narrow["cycles"]


def test_simulate_writes_a_timeline(made: Path, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "new" / "timeline.json"
    found = document(command("simulate", made / "programs", "--trace", path, "--json"))
    trace = json.loads(path.read_text())
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    lanes = {event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
    assert {"FETCH", "MATRIX", "VECTOR", "MOVER", "LAYERS"} <= lanes
    last = max(event["args"]["start"] + event["args"]["cycles"] for event in events)
    assert last <= found["cycles"]
    clock_hz = trace["otherData"]["clock_hz"]
    assert max(event["ts"] + event["dur"] for event in events) * clock_hz / 1e6 == pytest.approx(last)
    assert {"layer 0", "layer 1", "head"} <= {event["name"] for event in events}
    assert any(event["name"] == "Dot layers.1.qkv" for event in events)


def test_generate_streams_what_it_returns(made: Path, command: Command) -> None:
    options = ("generate", made / "model", "beat", "--max-tokens", 6, "--temperature", 0.7, "--seed", 3)
    code, streamed, err = command(*options)
    assert code == 0
    assert "token/s in the engine's integers" in err
    found = document(command(*options, "--json"))
    assert streamed == f"{found['text']}\n"
    assert found["prompt_tokens"] == len("beat") + 2
    raw = document(command(*options, "--raw", "--json"))
    assert raw["prompt_tokens"] == len("beat")


def test_rtl_writes_lint_clean_verilog(command: Command, tmp_path: Path) -> None:
    found = document(command("rtl", "--engine", "tiny", "-o", tmp_path / "verilog", "--lint", "--json"))
    assert found["lint"] == "clean"
    assert sorted(path.name for path in (tmp_path / "verilog").iterdir()) == found["files"]
    assert "engine.v" in found["files"]
    # Its memory is no board's.
    assert (found["board"], found["package"], found["fit"]) == (None, [], None)


def test_rtl_packages_a_kernel_for_a_board(command: Command, tmp_path: Path) -> None:
    options = ("rtl", "--engine", "tiny", "--board", "u280", "--json", "-o")
    folders = [tmp_path / "one", tmp_path / "two"]
    found, again = (document(command(*options, folder)) for folder in folders)
    assert found["board"] == "u280"
    assert {"Makefile", "README.md", "kernel.xml", "link.cfg", "package.tcl", "host/xrt_ip.cpp"} <= set(found["package"])
    written = [{path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} for folder in folders]
    assert written[0] == written[1]
    assert {str(path) for path in written[0]} == {*found["files"], *(f"vitis/{name}" for name in found["package"])}
    assert again["package"] == found["package"]
    fit = found["fit"]
    assert (fit["board"], fit["is_quick"], [each["wires"] for each in fit["crossings"]]) == ("u280", True, [0, 0])
    assert sum(each["lut"] for each in fit["parts"]) == pytest.approx(fit["total"]["lut"])
    assert fit["most_power"]["card_w"] == pytest.approx(sum(fit["most_power"]["watts"].values()))
    assert [each["limit"] for each in fit["crossings"]] == [13824, 13824]
    readme = (folders[0] / "vitis" / "README.md").read_text()
    assert (
        f"| SLR0 | {fit['slrs'][0]['tiles']} | {fit['slrs'][0]['lut']:,.0f} ({100 * fit['slrs'][0]['shares']['lut']:.1f} %) |"
        in readme
    )


def test_cosim_through_the_host(made: Path, command: Command, tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "hf", architectures=["Qwen3ForCausalLM"])
    assert command("compress", source, "--recipe", made / "recipe.yaml", "-o", tmp_path / "model")[0] == 0
    options = ("--engine", "tiny", "--host", "--memory", "ideal", "--question", "a", "--json")
    found = document(command("cosim", tmp_path / "model", *options))
    assert found["is_equal"]
    assert (found["mismatches"], found["cycle_difference"], found["first"]) == (0, 0, None)
    assert found["compared"] > 1000


def test_report_of_programs(made: Path, command: Command, programs: Path) -> None:
    found = document(command("report", "folder", programs, "--json"))
    assert found["report"] == str(programs / "report.html")
    assert "Roofline" in (programs / "report.html").read_text()
