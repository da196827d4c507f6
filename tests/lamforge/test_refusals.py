"""Bad input to the subcommands: one sentence, exit code 2, nothing on standard output, nothing written."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from hwsim.arch.isa import End
from hwsim.whole_files import only_writer, whole_folder
from tests.lamforge.conftest import Command
from tests.reports.tiny_folder import write_checkpoint


def refused(answer: tuple[int, str, str], folder: Path, kept: set[str]) -> str:
    """Return the sentence of a refusal that left `folder` with the entries `kept`."""
    code, out, err = answer
    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == kept
    return err.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["compress", "nowhere", "-o", "OUT"], "Checkpoint must be a folder, a .gguf file or one of smollm2-135m, not 'nowhere'"),
        (
            ["compress", "HF", "--recipe", "missing.yaml", "-o", "OUT"],
            "Recipe file must be readable, not 'missing.yaml' (No such file or directory)",
        ),
        (["compress", "HF", "--calibration", "missing.txt", "-o", "OUT"], "Calibration text must be a file, not 'missing.txt'"),
        (["compress", "HF"], "Missing option '--output' / '-o' (see `lamforge compress --help`)"),
        (["compress", "MODEL", "-o", "OUT"], "Checkpoint must be a model that was not compressed before, not 'MODEL'"),
        (
            ["evaluate", "MODEL", "--text", "missing.txt"],
            "Text must be a readable UTF-8 file, not 'missing.txt' (No such file or directory)",
        ),
        (["evaluate", "MODEL", "--text", "TEXT", "--window", "1"], "Window must be at least 2 tokens, not 1"),
        (["evaluate", "MODEL", "--text", "TEXT", "--windows", "0"], "Number of windows must be positive, not 0"),
        (
            ["evaluate", "MODEL", "--text", "TEXT", "--attention", "dense"],
            "Attention must be left to the compressed model, which has its own, not given",
        ),
        (
            ["evaluate", "HF", "--text", "TEXT", "--attention", "lambda:4"],
            "Lambda attention must be lambda:<sinks>+<window>, not lambda:4",
        ),
        (
            ["evaluate", "HF", "--text", "TEXT", "--attention", "lamda:4+12"],
            "Attention pattern must be one of dense, lambda (nearest: lambda), not 'lamda'",
        ),
        (["evaluate", "HF", "--source", "HF"], "Source must be left out for a float model, which is its own, not given"),
        (["evaluate", "nowhere"], "Checkpoint must be a folder, a .gguf file or one of smollm2-135m, not 'nowhere'"),
        (["evaluate", "TEXT"], "Checkpoint must be a folder, a .gguf file or one of smollm2-135m, not 'TEXT'"),
        (["evaluate", "HERE"], "Folder here must hold config.json, which is missing"),
        (
            ["evaluate", "MODEL", "--text", "TEXT", "--window", "2000"],
            "Text must be at least one window of 2000 tokens long, not 888 tokens",
        ),
        (
            ["evaluate", "MODEL", "--text", "TEXT", "--window", "64", "--stream", "4000"],
            "Text must be at least the 4000 tokens of the stream long, not 888 tokens",
        ),
        (
            ["evaluate", "MODEL", "--text", "TEXT", "--window", "64", "--stream", "5"],
            "Stream must be at least 17 tokens long, not 5",
        ),
        (
            ["evaluate", "MODEL", "--passkey", "200;900"],
            "Lengths must be whole numbers between commas, such as 200,900, not '200;900'",
        ),
        (
            ["evaluate", "HF", "--text", "TEXT", "--window", "64", "--layers"],
            "Layers must be those of a compressed model with its source at hand to be compared, not of one model alone",
        ),
        (
            ["compile", "MODEL", "--engine", "smal", "-o", "OUT"],
            "Engine must be one of small, tiny, u280, u55c or a YAML file, not 'smal' (nearest: small)",
        ),
        (["compile", "MODEL", "--set", "tile.tokens=9", "-o", "OUT"], "Engine tile.tokens must be an integer from 1 to 7, not 9"),
        (
            ["compile", "MODEL", "--set", "tile.token=2", "-o", "OUT"],
            "Engine setting must be a field such as 'tile.tokens', not 'tile.token'",
        ),
        (
            ["compile", "MODEL", "--set", "tile.tokens", "-o", "OUT"],
            "Setting must read PATH=VALUE such as tile.tokens=2, not 'tile.tokens'",
        ),
        (["compile", "MODEL"], "Output folder must be given with -o, not left out"),
        (["compile", "-o", "OUT"], "Either a model or a workload must be given, not neither"),
        (["compile", "MODEL", "--workload", "llama-2-7b", "-o", "OUT"], "Either a model or a workload must be given, not both"),
        (
            ["compile", "--workload", "llama-2-7b", "-o", "OUT"],
            "Context, the tokens that a workload's cache keeps, must be given with a workload, not left out",
        ),
        (
            ["compile", "--workload", "llama-2-7b", "--context", "4", "-o", "OUT"],
            "Context must be more than the 4 sink tokens, not 4",
        ),
        (
            ["compile", "--workload", "llama-2-7b", "--context", "64", "--format", "w3", "-o", "OUT"],
            "Format must be one of w2, w2s, w4, w8 (nearest: w8), not 'w3'",
        ),
        (
            ["simulate", "--workload", "llama-2-7b", "--context", "64", "--cache", "kv6"],
            "Cache must be one of kv4, kv8 (nearest: kv8), not 'kv6'",
        ),
        (
            ["compile", "MODEL", "--dump-after", "fold"],
            "Pass must be one of frontend, fuse_projections, fuse_residual, quantize, not 'fold'",
        ),
        (["compile", "HF", "-o", "OUT"], "Model must be a folder that `compress` wrote, not 'HF'"),
        (["compile", "MODEL", "--positions", "0", "-o", "OUT"], "Positions to run must be at least 1, not 0"),
        (
            ["compile", "MODEL", "--context", "64", "-o", "OUT"],
            "Context must be left to the model, which has its own window, not given",
        ),
        (
            ["simulate", "PROGRAMS", "--memory", "slow"],
            "Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not 'slow'",
        ),
        (["simulate", "PROGRAMS", "--program", "encode"], "Program must be one of decode, prefill, not 'encode'"),
        (["simulate", "PROGRAMS", "--position", "64"], "Position must be 0 to 63, not 64"),
        (["simulate", "PROGRAMS", "--engine", "tiny"], "Engine must be left to the compiled programs, not given again"),
        (["generate", "MODEL", "hello", "--temperature", "-1"], "Sampling temperature must be 0 to 100, not -1.0"),
        (["generate", "MODEL", "hello", "--max-tokens", "0"], "Number of tokens must be at least 1, not 0"),
        (["generate", "MODEL", "", "--raw"], "Prompt must be at least one token long, not ''"),
        (["generate", "HF", "hello"], "Model must be a folder that `compress` wrote, not 'HF'"),
        (["rtl", "--set", "tile.port_bits=96", "-o", "OUT"], "Engine tile.port_bits must be one of 128, 256, 512, not 96"),
        (
            ["rtl", "--engine", "tiny", "--board", "u250", "-o", "OUT"],
            "Board must be one of u280, u55c or a YAML file, not 'u250' (nearest: u280)",
        ),
        (
            ["rtl", "--engine", "tiny", "--set", "tile.ports=64", "--board", "u280", "-o", "OUT"],
            "Engine tiny must have at most 32 ports for board u280, not 64",
        ),
        (
            ["cosim", "MODEL", "--memory", "hbm"],
            "Memory model must be ideal, stalling, stalling:SEED, hbm2 or hbm2:SEED, not 'hbm'",
        ),
        (["cosim", "HF"], "Model must be a folder that `compress` wrote, not 'HF'"),
        (["cosim", "MODEL", "--host", "--gates"], "The Verilog with netlists must run without the host runtime, not with it"),
        (["board", "MODEL", "HERE", "--waiting", "sleep"], "Way of waiting must be one of polling, interrupt, not 'sleep'"),
        (
            ["report", "folder", "HERE"],
            "Report folder must hold results of explore or demo, compiled programs, or Verilog, not 'HERE'",
        ),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, list) else "",
)
def test_refusals(arguments: list[str], text: str, made: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "here").mkdir()
    places = {
        "OUT": tmp_path / "here" / "out",
        "HERE": tmp_path / "here",
        "HF": made / "hf",
        "MODEL": made / "model",
        "PROGRAMS": made / "programs",
        "TEXT": made / "text.txt",
    }
    given = [str(places.get(argument, argument)) for argument in arguments]
    for name, place in places.items():
        text = text.replace(f"'{name}'", repr(str(place)))
    assert refused(command(*given), tmp_path / "here", set()) == text


def test_an_unknown_recipe(made: Path, tmp_path: Path, command: Command) -> None:
    sentence = refused(command("compress", made / "hf", "--recipe", "w4a8kv5", "-o", tmp_path / "out"), tmp_path, set())
    assert sentence.startswith("Recipe must be one of ")
    assert sentence.endswith("or a YAML file, not 'w4a8kv5' (nearest: w4a8kv4)")


def test_a_truncated_checkpoint(made: Path, tmp_path: Path, command: Command) -> None:
    folder = write_checkpoint(tmp_path / "hf")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    sentence = refused(command("compress", folder, "--recipe", made / "recipe.yaml", "-o", tmp_path / "out"), tmp_path, {"hf"})
    assert sentence.startswith("File model.safetensors must be a complete safetensors file, but: ")


def test_an_unknown_architecture(made: Path, tmp_path: Path, command: Command) -> None:
    folder = write_checkpoint(tmp_path / "hf")
    file = folder / "config.json"
    file.write_text(file.read_text().replace("LlamaForCausalLM", "MambaForCausalLM"))
    sentence = refused(command("compress", folder, "--recipe", made / "recipe.yaml", "-o", tmp_path / "out"), tmp_path, {"hf"})
    names = "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM (nearest: LlamaForCausalLM)"
    assert sentence == f"Model architecture must be one of {names}, not 'MambaForCausalLM'"


def test_a_recipe_with_an_unknown_key(made: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "mine.yaml").write_text("steps: [{method: rtn, fromat: w4}]\nattention: dense\n")
    answer = command("compress", made / "hf", "--recipe", tmp_path / "mine.yaml", "-o", tmp_path / "out")
    sentence = refused(answer, tmp_path, {"mine.yaml"})
    assert sentence == "Recipe steps[0].rtn field must be one of its own such as 'format', not 'fromat'"


def test_an_export_over_something_else(made: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    sentence = refused(command("export", made / "model", "-o", tmp_path), tmp_path, {"diary.txt"})
    assert sentence == f"Output folder must be new or empty, not {str(tmp_path)!r}"


def test_an_output_that_is_something_else(made: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    answer = command("compress", made / "hf", "--recipe", made / "recipe.yaml", "-o", tmp_path / "mine")
    sentence = refused(answer, tmp_path / "mine", {"diary.txt"})
    assert sentence == f"Output folder must be new, empty or a compressed model, not {str(tmp_path / 'mine')!r}"


def test_a_context_beyond_memory(made: Path, tmp_path: Path, command: Command) -> None:
    options = ("--workload", "llama-2-7b", "--context", 2048, "--engine", "small", "-o", tmp_path / "out")
    sentence = refused(command("compile", *options), tmp_path, set())
    assert sentence.startswith("Weights and cache must fit 268435456 bytes behind each port of small, not need ")
    assert sentence.endswith(" too many)")


def test_dimensions_that_cannot_be_tiled(made: Path, tmp_path: Path, command: Command) -> None:
    options = ("--workload", "qwen2-0.5b", "--context", 256, "--engine", "u280", "--set", "vector.lanes=16")
    sentence = refused(command("compile", *options, "--set", "buffer.result_words=16", "-o", tmp_path / "out"), tmp_path, set())
    assert "result" in sentence
    assert "of u280" in sentence


def test_a_corrupted_word_is_named(programs: Path, tmp_path: Path, command: Command) -> None:
    path = programs / "decode.program"
    word = End().encode()
    path.write_text(path.read_text().replace(f"{word:032x}", f"{word ^ 1 << 70:032x}"))
    sentence = refused(command("simulate", programs), tmp_path, {"programs"})
    assert sentence.startswith("Program decode must hold valid words; word ")
    assert "(end): Instruction word must have check byte 0xa5" in sentence


def test_a_program_for_another_engine(programs: Path, tmp_path: Path, command: Command) -> None:
    path = programs / "engine.yaml"
    path.write_text(path.read_text().replace("fifo_beats: 32", "fifo_beats: 64"))
    sentence = refused(command("simulate", programs), tmp_path, {"programs"})
    assert sentence.startswith("Program decode must be compiled for engine tiny ")


ORIGIN = '{"model": "x", "layers": "w4", "head": "w8"}'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ORIGIN, "{}"),
        (ORIGIN, "[" * 900 + "]" * 900),
        ('"w4"', '"kv4"'),
        ('"w4"', '["w4"]'),
        ('"x"', "3"),
        ('"w8"', '"w8", "head": "w8"'),
    ],
)
def test_a_damaged_origin(old: str, new: str, programs: Path, tmp_path: Path, command: Command) -> None:
    (programs / "origin.json").write_text(ORIGIN.replace(old, new))
    sentence = refused(command("report", "folder", programs), tmp_path, {"programs"})
    assert sentence.startswith("Program folder must hold origin.json as compile writes it, not what is in ")


def test_a_damaged_summary(tmp_path: Path, command: Command) -> None:
    (tmp_path / "summary.json").write_text(json.dumps([1]))
    sentence = refused(command("report", "folder", tmp_path), tmp_path, {"summary.json"})
    found = f"not what is in {str(tmp_path / 'summary.json')!r} (the whole: Input should be an object)"
    assert sentence == f"Summary must be as this version's demo writes it, {found}"


def test_a_damaged_model(made: Path, tmp_path: Path, command: Command) -> None:
    shutil.copytree(made / "model", tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    answer = command("compile", tmp_path / "model", "--engine", "tiny", "-o", tmp_path / "out")
    assert refused(answer, tmp_path, {"model"}).startswith("File weights.safetensors must have the SHA-256 ")


def test_a_board_without_xrt(made: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    sentence = refused(command("board", made / "model", tmp_path / "x.xclbin", "--engine", "tiny"), tmp_path, set())
    assert sentence.startswith("Package pyxrt must be importable to run on a board: XRT's setup.sh sourced, and pyxrt built for")


def test_a_cache_that_the_engine_has_no_slices_for(made: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "wide.yaml").write_text((made / "recipe.yaml").read_text() + "cache: kv8\n")
    answer = command("compress", made / "hf", "--recipe", tmp_path / "wide.yaml", "-o", tmp_path / "model")
    assert answer[0] == 0
    answer = command("compile", tmp_path / "model", "--engine", "tiny", "-o", tmp_path / "out")
    sentence = refused(answer, tmp_path, {"wide.yaml", "model"})
    assert sentence == "Head dimension of a kv8 cache must be 32, 64 or 128 and at most 16 x 1 slices, not 32"
    for name in ("simulate", "cosim"):
        code, out, err = command(name, tmp_path / "model", "--engine", "tiny")
        assert (code, out, err.splitlines()[-1]) == (2, "", sentence)


@pytest.mark.parametrize("arguments", [("cosim", "MODEL", "--engine", "tiny"), ("demo", "-o", "OUT")])
def test_tools_that_are_missing_are_named_before_the_work(
    arguments: tuple[str, ...], made: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sentence = refused(command(*({"MODEL": made / "model", "OUT": "out"}.get(word, word) for word in arguments)), tmp_path, set())
    assert sentence == "Verilator needs g++, make, perl on PATH, of which g++, make, perl cannot be found"
    sentence = refused(command("rtl", "--engine", "tiny", "--lint", "-o", "out"), tmp_path, set())
    assert sentence == "Verilator needs perl on PATH, of which perl cannot be found"


def test_a_folder_with_a_space_and_nowhere_else_to_build(
    made: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a b"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    sentence = refused(command("cosim", made / "model", "--engine", "tiny"), place, set())
    assert sentence == f"Temporary files (TMPDIR) must lie where make can build, at a path without ' ', not at {str(place)!r}"


def test_a_demo_that_another_demo_is_writing(tmp_path: Path, command: Command) -> None:
    with only_writer(tmp_path / "out"):
        sentence = refused(command("demo", "-o", tmp_path / "out"), tmp_path, {"out"})
    assert sentence.startswith(f"Output {str(tmp_path / 'out')!r} is being written by another command: ")


@pytest.mark.parametrize(
    "arguments",
    [("rtl", "--engine", "tiny"), ("compile", "MODEL", "--engine", "tiny"), ("export", "MODEL"), ("dummy", "smollm2-135m")],
)
def test_an_output_that_another_command_is_writing(
    arguments: tuple[str, ...], made: Path, tmp_path: Path, command: Command
) -> None:
    with whole_folder(tmp_path / "out"):
        given = [made / "model" if word == "MODEL" else word for word in arguments]
        code, out, err = command(*given, "-o", tmp_path / "out")
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith(f"Output {str(tmp_path / 'out')!r} is being written by another command: ")
