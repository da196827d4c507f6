"""What the subcommands do with tokenizers: those that are missing, given, damaged or exported, and texts that do not fit."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from tests.lamforge.conftest import Command
from tests.lamforge.test_flow import document
from tests.lamforge.test_refusals import refused
from tests.models.test_chat_template import TEMPLATES
from tests.models.tokenizer_folder import SPECIAL, byte_level, put_before, write_tokenizer
from tests.reports.tiny_folder import write_checkpoint

NAMED = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<s>",
    "eos_token": "<|im_end|>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "chat_template": TEMPLATES["chatml"],
    "model_input_names": ["input_ids", "attention_mask"],
    "model_max_length": 48,
    "padding_side": "left",
    "clean_up_tokenization_spaces": False,
    "additional_special_tokens": ["<|im_start|>"],
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint with a tokenizer of 400 tokens that puts one before every text, and settings of all kinds."""
    folder = write_checkpoint(tmp_path / "source", vocab_size=400)
    generation = {"bos_token_id": 1, "eos_token_id": [4, 7], "temperature": 0.6}
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "llama"}
    inner = put_before(byte_level(), "<s>")
    return write_tokenizer(
        folder, inner, NAMED, config=config, generation_config=generation, special_tokens_map={"eos_token": "<|im_end|>"}
    )


def compressed(command: Command, made: Path, source: Path, *options: object) -> str:
    """Compress a checkpoint to `model` beside it and return what was said."""
    code, _, err = command("compress", source, "--recipe", made / "recipe.yaml", "-o", source.with_name("model"), *options)
    assert code == 0, err
    return err


def test_an_export_has_what_came_in(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    (checkpoint / "additional_chat_templates").mkdir()
    (checkpoint / "additional_chat_templates" / "rag.jinja").write_text(TEMPLATES["gemma"])
    (checkpoint / "chat_template.jinja").write_text(TEMPLATES["chatml"])
    compressed(command, made, checkpoint)
    assert command("export", tmp_path / "model", "-o", tmp_path / "out")[0] == 0
    names = sorted(path.relative_to(checkpoint) for path in checkpoint.rglob("*") if path.is_file())
    assert sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()) == names
    for name in names:
        if name.name not in ("config.json", "model.safetensors"):
            assert (tmp_path / "out" / name).read_bytes() == (checkpoint / name).read_bytes()
    found = []
    for folder in (checkpoint, tmp_path / "out"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        batch = tokenizer(["a", "The engine moves"], padding=True)
        chat = tokenizer.apply_chat_template([{"role": "user", "content": "a"}])["input_ids"]
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        told = model.generate(**tokenizer("Hello", return_tensors="pt"), max_new_tokens=2, do_sample=False)
        assert told.shape[0] == 1
        generation = model.generation_config
        ends = (generation.eos_token_id, generation.bos_token_id, generation.temperature)
        settings = (tokenizer.padding_side, tokenizer.model_max_length, tokenizer.model_input_names)
        found.append((dict(batch), chat, tokenizer.special_tokens_map, settings, ends))
    assert found[0] == found[1]
    assert found[0][0]["input_ids"][0][0] == SPECIAL.index("<pad>")


def test_an_export_of_a_tokenizer_without_files_loads(made: Path, tmp_path: Path, command: Command) -> None:
    assert command("export", made / "model", "-o", tmp_path / "out")[0] == 0
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")("beat", return_tensors="pt")
    assert model.generate(**tokens, max_new_tokens=1).shape == (1, 5)


def test_a_model_without_a_tokenizer_says_so_at_once(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    (checkpoint / "tokenizer.json").unlink()
    said = compressed(command, made, checkpoint)
    assert "The model gets no tokenizer, so that it cannot be given texts: the folder holds no tokenizer.json" in said
    kept = {"source", "model"}
    for verb in (("generate", "a"), ("cosim",), ("evaluate",)):
        sentence = refused(command(verb[0], tmp_path / "model", *verb[1:]), tmp_path, kept)
        assert sentence == "Model must carry a tokenizer to read a text, but was compressed without one"
    sentence = refused(command("evaluate", checkpoint), tmp_path, kept)
    assert sentence == "Evaluation must have a tokenizer, but the folder holds no tokenizer.json (--tokenizer FOLDER gives it one)"
    sentence = refused(command("compress", checkpoint, "-o", tmp_path / "other"), tmp_path, kept)
    assert sentence == (
        "Calibration must have a tokenizer, but the folder holds no tokenizer.json: use rtn (--tokenizer FOLDER gives it one)"
    )


def test_a_checkpoint_is_given_a_tokenizer(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    given = shutil.copytree(checkpoint, tmp_path / "given")
    for name in ("model.safetensors", "generation_config.json"):
        (given / name).unlink()
    (checkpoint / "tokenizer.json").unlink()
    assert "no tokenizer" not in compressed(command, made, checkpoint, "--tokenizer", given)
    found = document(command("generate", tmp_path / "model", "a", "--max-tokens", 2, "--json"))
    assert found["prompt_tokens"] == 18
    options = ("--text", made / "text.txt", "--window", 32, "--windows", 2, "--json")
    assert document(command("evaluate", checkpoint, "--tokenizer", given, *options))["tokens"] == 62
    sentence = refused(command("evaluate", tmp_path / "model", "--tokenizer", given), tmp_path, {"source", "model", "given"})
    assert sentence == "Tokenizer must be left to the compressed model, which has its own, not given"
    sentence = refused(command("evaluate", checkpoint, "--tokenizer", tmp_path), tmp_path, {"source", "model", "given"})
    assert sentence == f"Tokenizer must be a folder with tokenizer.json, not {str(tmp_path)!r}"


def test_tokens_that_the_model_does_not_have_are_refused(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    small = write_checkpoint(tmp_path / "small")
    code, _, err = command("compress", small, "--recipe", made / "recipe.yaml", "-o", tmp_path / "model", "--tokenizer", checkpoint)
    assert code == 0, err
    kept = {"small", "source", "model"}
    sentence = refused(command("generate", tmp_path / "model", "the sky is blue", "--raw"), tmp_path, kept)
    assert sentence.startswith("Tokens of a text must be below the model's 260, not ")
    sentence = refused(command("evaluate", small, "--tokenizer", checkpoint), tmp_path, kept)
    assert sentence.startswith("Tokens of a text must be below the model's 260, not ")


def test_a_whole_text_begins_as_the_tokenizer_has_it(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    compressed(command, made, checkpoint)
    raw = document(command("generate", tmp_path / "model", "a", "--raw", "--max-tokens", 1, "--json"))
    assert raw["prompt_tokens"] == 2
    asked = document(command("generate", tmp_path / "model", "a", "--max-tokens", 1, "--json"))
    tokens = transformers.AutoTokenizer.from_pretrained(checkpoint).apply_chat_template(
        [{"role": "user", "content": "a"}], add_generation_prompt=True
    )
    assert asked["prompt_tokens"] == len(tokens["input_ids"])


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json"])
def test_every_file_of_a_model_is_under_its_digest(
    made: Path, checkpoint: Path, tmp_path: Path, command: Command, name: str
) -> None:
    compressed(command, made, checkpoint)
    file = tmp_path / "model" / name
    content = file.read_bytes()
    file.write_bytes(content.replace(b"<", b">", 1) if b"<" in content else content.replace(b"7", b"9", 1))
    sentence = refused(command("generate", tmp_path / "model", "a"), tmp_path, {"source", "model"})
    assert sentence.startswith(f"File {name} must have the SHA-256 ")
    file.unlink()
    sentence = refused(command("generate", tmp_path / "model", "a"), tmp_path, {"source", "model"})
    assert sentence == f"Folder model must hold {name!r}, which is missing"
    file.write_bytes(content)
    (tmp_path / "model" / "vocab.json").write_text("{}")
    sentence = refused(command("generate", tmp_path / "model", "a"), tmp_path, {"source", "model"})
    assert sentence == "File model.json tokenizer.sha256 must have the entry vocab.json, which is missing"


def test_what_model_json_says_is_under_its_digest(made: Path, tmp_path: Path, command: Command) -> None:
    model = shutil.copytree(made / "model", tmp_path / "model")
    stated = json.loads((model / "model.json").read_text())
    stated["tokenizer"]["eos_ids"] = [3]
    (model / "model.json").write_text(json.dumps(stated))
    sentence = refused(command("generate", model, "a"), tmp_path, {"model"})
    assert sentence.startswith(f"File model.json must have the digest {stated['digest']}, not ")


def test_an_answer_ends_with_the_model_s_positions(made: Path, command: Command) -> None:
    drawn = ("generate", made / "model", "beat", "--raw", "--temperature", 2, "--seed", 0, "--json")
    code, out, err = command(*drawn, "--max-tokens", 100)
    assert code == 0
    assert "The answer ends with the model's 64 positions, after 60 of 100 tokens" in err
    assert json.loads(out)["ended_by"] == "positions"
    assert json.loads(out)["steps"] == 59
    short = document(command(*drawn, "--max-tokens", 3))
    assert short["ended_by"] == "max tokens"


def test_prompts_that_do_not_fit_are_refused(made: Path, tmp_path: Path, command: Command) -> None:
    sentence = refused(command("generate", made / "model", "beat" * 16, "--raw"), tmp_path, set())
    assert sentence == "Prompt must fit into the model's 64 positions and one for the answer, not be 64 tokens long"
    sentence = refused(command("cosim", made / "model", "--question", "beat" * 17, "--raw"), tmp_path, set())
    assert sentence == "Prompt must fit into the model's 64 positions, not be 68 tokens long"
    # Refused before the first run, which a program with a bad word would stop.
    sentence = refused(command("simulate", made / "programs", "--prompt", 10**6), tmp_path, set())
    assert sentence == "Position must be 0 to 63, not 999999"


def test_a_model_without_a_chat_template_names_the_option(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    settings = {name: value for name, value in NAMED.items() if name != "chat_template"}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    compressed(command, made, checkpoint)
    sentence = refused(command("generate", tmp_path / "model", "a"), tmp_path, {"source", "model"})
    assert sentence == (
        "Tokenizer must carry a chat template to render a conversation, but has none (--raw continues the text as it is)"
    )


def test_a_template_that_fails_is_a_refusal(made: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    (checkpoint / "chat_template.jinja").write_text("{{ messages[0].content.nothing.more }}")
    compressed(command, made, checkpoint)
    sentence = refused(command("generate", tmp_path / "model", "a"), tmp_path, {"source", "model"})
    assert sentence == "Conversation must suit the chat template, but: 'str object' has no attribute 'nothing'"
