"""Checkpoints and compressed models with a few things changed at random: refused in a sentence, at once, or they can be used."""

import collections
import contextlib
import json
import random
import re
import shutil
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType

import lamforge
from hwsim.errors import LamforgeError
from models import compressed
from models.compressed import CompressedModel
from tests.bounds import accepted
from tests.damage import NONE, damage_folder
from tests.models.gguf_damage import damage_gguf
from tests.models.gguf_file import write_gguf
from tests.models.test_gguf_tokenizer import of_bytes, of_pieces
from tests.models.tokenizer_folder import byte_level, pieces, put_before
from tests.reports.tiny_folder import RECIPE, TEMPLATE, TEXT, write_checkpoint

CALIBRATED = """
steps:
- {method: balance_keys, steps: 1}
- smooth
- {method: gptq, format: w4}
- {method: rtn, format: w8, at: head}
attention: lambda:4+12
calibration: {sequences: 1, length: 16, text: TEXT}
"""
QUESTION = "Beat?"
SOURCES = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 400},
    "mistral": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 16, "vocab_size": 600},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 400},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 400, "tie_word_embeddings": False},
}
"""Families of networks, with what their config.json says."""


def split_up(folder: Path) -> None:
    """Put the tensors of a folder into two files with an index."""
    whole = folder / "model.safetensors"
    content = whole.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    names, files = sorted(header), {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        at, entries, data = 0, {}, b""
        for name in part:
            begin, end = header[name]["data_offsets"]
            entries[name] = header[name] | {"data_offsets": [at, at + end - begin]}
            data, at = data + body[begin:end], at + end - begin
        text = json.dumps(entries).encode()
        file = f"model-0000{number}-of-00002.safetensors"
        (folder / file).write_bytes(len(text).to_bytes(8, "little") + text + data)
        files |= dict.fromkeys(part, file)
    whole.unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": files}))


def write_sources(folder: Path) -> None:
    """Write a checkpoint of each family, in every way of storing them, and a compressed and an exported model."""
    for name, fields in SOURCES.items():
        where = write_checkpoint(folder / name, **fields)
        inner = pieces(legacy=False) if name == "mistral" else put_before(byte_level(), "<s>", "</s>")
        (where / "tokenizer.json").write_text(inner.to_str(), encoding="utf-8")
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast" if name == "llama" else "LlamaTokenizer",
            "chat_template": TEMPLATE,
            "bos_token": "<s>",
            "eos_token": {"content": "</s>", "special": True},
            "additional_special_tokens": ["[INST]"],
        }
        if name == "llama":
            settings["added_tokens_decoder"] = {"0": {"content": "<unk>", "special": True}, "9": {"content": "<pad>"}}
        else:
            (where / "special_tokens_map.json").write_text(json.dumps({"eos_token": "</s>", "unk_token": "<unk>"}))
            (where / "added_tokens.json").write_text(json.dumps({"<pad>": 9}))
            (where / "chat_template.jinja").write_text(TEMPLATE)
        (where / "tokenizer_config.json").write_text(json.dumps(settings))
        (where / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 5], "do_sample": True, "temperature": 0.6}))
    for name in ("mistral", "qwen3"):
        split_up(folder / name)
    template = {"tokenizer.chat_template": TEMPLATE}
    write_gguf(folder / "pieces.gguf", untied(folder), "llama", type=GGMLQuantizationType.Q8_0, entries=of_pieces() | template)
    bytes_ = of_bytes(byte_level(), "llama-bpe") | template
    write_gguf(folder / "bytes.gguf", folder / "qwen2", "qwen2", type=GGMLQuantizationType.Q4_1, entries=bytes_)
    write_gguf(folder / "half.gguf", folder / "llama", "llama", type=GGMLQuantizationType.F16, entries=bytes_)
    write_recipe_files(folder)
    model = lamforge.compress(folder / "llama", output=folder / "model", recipe=folder / "recipe.yaml").made
    lamforge.export(model, output=folder / "exported")


def untied(folder: Path) -> Path:
    """Return a folder with a network of as many tokens as the tokenizer of pieces."""
    return write_checkpoint(folder / "untied", vocab_size=600, tie_word_embeddings=False)


def write_recipe_files(folder: Path) -> None:
    (folder / "text.txt").write_text(TEXT)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "calibrated.yaml").write_text(CALIBRATED.replace("TEXT", str(folder / "text.txt")))


def damaged(source: Path, target: Path, rng: random.Random) -> str:
    """Copy a model and damage it; return what was damaged."""
    if source.is_file():
        data = source.read_bytes()
        for _ in range(rng.choice((1, 1, 1, 2))):
            # Of a file that is none any more, what is read of it may be anything.
            with contextlib.suppress(*NONE):
                data = damage_gguf(data, rng)
        target.write_bytes(data)
        return source.name
    shutil.copytree(source, target)
    names = sorted(path.name for path in target.iterdir())

    def name() -> str:
        # As often what says how the rest is read.
        return rng.choice((rng.choice(names), rng.choice([name for name in names if not name.startswith("tokenizer")])))

    return f"{source.name}: {damage_folder(target, name, rng, share_of_entries=0.12)}"


def with_right_digests(folder: Path) -> None:
    """Put the digests of what was damaged into the model.json of a compressed model, so that what lies behind them is tried."""
    path = folder / "model.json"
    if not all(each.is_file() for each in (path, *folder.iterdir())):
        return
    for _ in range(6):
        try:
            document = json.loads(path.read_text())
            for name in document["weights_sha256"]:
                document["weights_sha256"][name] = compressed.sha256(folder / name)
            for name in document["tokenizer"]["sha256"]:
                document["tokenizer"]["sha256"][name] = compressed.sha256(folder / name)
            document["digest"] = compressed._digest(document)
            path.write_text(json.dumps(document))
        except NONE:
            return
        try:
            compressed.load(folder)
            return
        except (LamforgeError, *NONE) as error:
            found = re.search(r"the fingerprint (\w+), not (\w+)", str(error))
            if found is None:
                return
            path.write_text(path.read_text().replace(found[1], found[2]))


def use(made: CompressedModel) -> str:
    """Compile a model, time it, compute with it and ask it; return how far that went."""
    programs = accepted(lambda: lamforge.compile(made, engine="tiny"))
    if programs is None:
        return "compressed"
    timing = accepted(lambda: lamforge.simulate(programs))
    assert timing is not None and timing.cycles > 0
    if made.tokenizer is not None:
        tokenizer = made.tokenizer
        tokens = accepted(lambda: tokenizer.encode_whole(QUESTION))
        assert tokens is None or isinstance(tokenizer.decode(tokens), str)
        accepted(lambda: lamforge.generate(made, QUESTION, max_tokens=2, is_raw=True))
    return "simulated"


NAMES = ("llama", "mistral", "qwen2", "qwen3", "exported", "pieces.gguf", "bytes.gguf", "half.gguf", "model", "model")


def outcome(seed: int, number: int, sources: Path, folder: Path) -> str:
    """Damage a model and use it, in an empty folder that is empty again then; return how far it came."""
    rng = random.Random(f"{seed}:{number}")
    name = rng.choice(NAMES)
    case = folder / ("case.gguf" if name.endswith(".gguf") else "case")
    print(f"case {number} of seed {seed}: {damaged(sources / name, case, rng)}")
    recipe = sources / ("calibrated.yaml" if rng.random() < 0.1 else "recipe.yaml")
    if name == "model":
        if rng.random() < 0.7:
            with_right_digests(case)
        made = accepted(lambda: compressed.load(case))
    else:
        result = accepted(lambda: lamforge.compress(case, output=folder / "out", recipe=recipe))
        made = None if result is None else result.made
    found = "refused" if made is None else use(made)
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return found


def check(seed: int, count: int, folder: Path) -> None:
    """Damage models and use them; neither may all of them be refused, nor all be of use."""
    (folder / "sources").mkdir()
    (folder / "work").mkdir()
    write_sources(folder / "sources")
    warm(folder / "sources", folder / "work")
    found = collections.Counter(outcome(seed, number, folder / "sources", folder / "work") for number in range(count))
    print(dict(found))
    assert min(found[name] for name in ("refused", "simulated")) > count // 20


def warm(sources: Path, folder: Path) -> None:
    """Load and compile what takes its time once."""
    made = lamforge.compress(sources / "qwen3", output=folder / "out", recipe=sources / "calibrated.yaml").made
    lamforge.simulate(lamforge.compile(made, engine="tiny"))
    lamforge.generate(made, QUESTION, max_tokens=2, is_raw=True)
    shutil.rmtree(folder / "out")


def test_some_damaged_models(seed: int, tmp_path: Path) -> None:
    check(seed, 20, tmp_path)


@pytest.mark.long
def test_many_damaged_models(seed: int, tmp_path: Path) -> None:
    check(seed, 1_000, tmp_path)
