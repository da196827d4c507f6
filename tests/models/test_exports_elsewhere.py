"""Exports under the oldest and the newest transformers that are promised: their logits, answers and tokens are ours.

`make test-long` makes the environments with these releases, which share everything else with the project's.
"""

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from tokenizers import normalizers

from hwsim.arch.isa import Format
from models import compressed, exported
from models.attention import parse
from models.checkpoint import Checkpoint, load
from models.compress import Recipe, Step
from models.compress.balance_keys import BalanceKeys
from models.config import RopeScaling
from models.reference.llama import Llama
from models.tokenizer import Tokenizer
from models.tokenizer_classes import QWEN2_WORDS
from tests.models.read_exports import NEW_TOKENS
from tests.models.tiny import tiny_tokens
from tests.models.tokenizer_folder import byte_level, pieces, put_before, write_tokenizer
from tests.reports.tiny_folder import write_checkpoint

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
READERS = {"4.50": ROOT / "build/transformers/4.50", "4.51": ROOT / "build/transformers/4.51", "5": ROOT / "build/transformers/5"}
"""Environments by the release of transformers in them: the oldest promised, the first that knows Qwen3, and the newest."""
CLOSE = 1e-3
TEXTS = ("The engine moves", " one  beat\nin 2024!", "It's été <|im_end|> été")
CHAT = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<s>{% endif %}"

NEAREST = Recipe.uniform(name="test", method="rtn", format=Format.W8, pattern=parse("dense"))
SHIFTED = dataclasses.replace(
    NEAREST,
    steps=(Step(method=BalanceKeys(steps=2)), *NEAREST.steps),
    calibration=dataclasses.replace(NEAREST.calibration, sequences=2, length=30),
)

LINEAR = {"rope_type": "linear", "factor": 4.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "original_max_position_embeddings": 32,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
UNLIKE = YARN | {"factor": 8.0, "beta_fast": 16, "beta_slow": 2, "mscale": 1.0, "mscale_all_dim": 0.5}
"""Stretches further than `max_position_embeddings` says."""
SLIDING = {"use_sliding_window": True, "sliding_window": 12, "max_window_layers": 0}
UNTIED = {"tie_word_embeddings": False}
NEW_STYLE = {"rope_parameters": LLAMA3 | {"rope_theta": 5e4}, "dtype": "bfloat16", "transformers_version": "5.0.0"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A checkpoint to export.

    family: as its config.json names it.
    model: architecture that the export has.
    changes: of its config.json.
    recipe: by which it is compressed.
    type: of the exported weights.
    settings: tokenizer_config.json.
    ends: tokens that end a text in generation_config.json; None for no such file.
    """

    family: str
    model: str
    changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    recipe: Recipe = NEAREST
    type: str = "float32"
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)
    ends: tuple[int, ...] | None = None


CASES = {
    "llama": Case(family="Llama", model="Llama"),
    "llama untied, llama3": Case(family="Llama", model="Llama", changes=UNTIED | {"rope_scaling": LLAMA3}),
    "llama as transformers 5 writes it": Case(family="Llama", model="Llama", changes=NEW_STYLE),
    "llama linear, shifted": Case(family="Llama", model="Qwen2", changes={"rope_scaling": LINEAR}, recipe=SHIFTED),
    "llama yarn": Case(family="Llama", model="Llama", changes={"rope_scaling": YARN}),
    "llama yarn further": Case(family="Llama", model="Llama", changes={"rope_scaling": UNLIKE}),
    "llama yarn narrower": Case(family="Llama", model="Llama", changes={"rope_scaling": YARN | {"factor": 0.5}}),
    "llama with heads that do not divide it": Case(
        family="Llama", model="Mistral", changes={"num_attention_heads": 6, "num_key_value_heads": 3}
    ),
    "llama, several ends": Case(family="Llama", model="Llama", changes=UNTIED, ends=(4, 7, 9)),
    "mistral": Case(family="Mistral", model="Mistral", changes={"sliding_window": 12}),
    "mistral without a window, untied": Case(family="Mistral", model="Mistral", changes=UNTIED | {"sliding_window": None}),
    "mistral yarn, shifted": Case(
        family="Mistral", model="Qwen2", changes={"sliding_window": 12, "rope_scaling": YARN}, recipe=SHIFTED
    ),
    "qwen2": Case(family="Qwen2", model="Qwen2", ends=(4, 7)),
    "qwen2 untied, linear": Case(family="Qwen2", model="Qwen2", changes=UNTIED | {"rope_scaling": LINEAR}),
    "qwen2 sliding, yarn": Case(family="Qwen2", model="Qwen2", changes=SLIDING | {"rope_scaling": YARN}, recipe=SHIFTED),
    "qwen3": Case(family="Qwen3", model="Qwen3", ends=(4,)),
    "qwen3 untied, sliding, yarn": Case(
        family="Qwen3", model="Qwen3", changes=SLIDING | UNTIED | {"rope_scaling": YARN}, recipe=SHIFTED
    ),
    "qwen3 linear": Case(family="Qwen3", model="Qwen3", changes={"rope_scaling": LINEAR}),
    "llama in 16 bits": Case(family="Llama", model="Llama", type="float16"),
    "tokenizer of transformers 5": Case(
        family="Llama",
        model="Llama",
        settings={
            "tokenizer_class": "TokenizersBackend",
            "backend": "tokenizers",
            "extra_special_tokens": ["<|im_start|>", "<|im_end|>"],
            "is_local": True,
        },
    ),
    "tokenizer of a class of transformers 5": Case(
        family="Llama", model="Llama", settings={"tokenizer_class": "LlamaTokenizer", "backend": "tokenizers", "legacy": False}
    ),
    "tokenizer without settings": Case(family="Llama", model="Llama"),
}


def written(folder: Path, case: Case) -> Path:
    """Write the checkpoint of a case."""
    changes = {"architectures": [f"{case.family}ForCausalLM"], "model_type": case.family.lower(), "vocab_size": 640}
    write_checkpoint(folder, **(changes | {"max_position_embeddings": 256} | case.changes))
    is_of_pieces = case.settings.get("tokenizer_class") == "LlamaTokenizer"
    inner = pieces(legacy=False) if is_of_pieces else byte_level(QWEN2_WORDS)
    if not is_of_pieces:
        # As the class of Qwen2 has it, which transformers 5 gives to all Qwen2.
        inner.normalizer = normalizers.NFC()
    inner = put_before(inner, "<s>")
    settings = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "chat_template": CHAT, **case.settings}
    ends = {"generation_config": {"eos_token_id": [*(case.ends or ())], "bos_token_id": 1}}
    config = json.loads((folder / "config.json").read_text())
    usual = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    return write_tokenizer(folder, inner, usual | settings, config=config, **({} if case.ends is None else ends))


def greedy(model: Llama, tokens: list[int], ends: tuple[int, ...]) -> list[int]:
    """Return what the float model answers, with the token that ends it."""
    told: list[int] = []
    while len(told) < NEW_TOKENS and not (told and told[-1] in ends):
        told.append(int(model.logits([*tokens, *told])[-1].argmax()))
    return told


def without(checkpoint: Checkpoint) -> Iterator[tuple[str, Checkpoint]]:
    """Yield a checkpoint with each peculiarity of its configuration taken away."""
    usual: dict[str, object] = {"sliding_window": None, "rope_scaling": RopeScaling(), "rope_base": 20_000.0}
    for field, value in usual.items():
        if getattr(checkpoint.config, field) != value:
            yield field, dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, **{field: value}))


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, Tokenizer]]:
    """Return the folder of every export, and the tokenizer of its source."""
    made = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp("case")
        source = load(written(folder / "hf", case))
        assert source.tokenizer is not None
        exported.export(compressed.create(source, case.recipe), folder / "out", type=case.type)
        made[name] = (folder / "out", source.tokenizer)
    return made


@pytest.mark.parametrize("release", READERS)
def test_a_release_of_transformers_computes_what_we_do(
    release: str, exports: Mapping[str, tuple[Path, Tokenizer]], tmp_path: Path
) -> None:
    python = READERS[release] / "bin" / "python"
    assert python.exists(), f"{READERS[release]} must be there, which `make test-long` makes"
    tokens = tiny_tokens(60)
    # What the documentation advises for a network that has become a Qwen2.
    changed = {name for name, case in CASES.items() if case.model == "Qwen2" != case.family}
    loaders = {name: "PreTrainedTokenizerFast" if name in changed else "AutoTokenizer" for name in CASES}
    folders = {
        name: {"folder": str(folder), "loader": loaders[name], "tokens": tokens, "texts": TEXTS}
        for name, (folder, _) in exports.items()
    }
    answers = tmp_path / "answers.json"
    (tmp_path / "job.json").write_text(json.dumps({"folders": folders, "answers": str(answers)}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    script = Path(__file__).with_name("read_exports.py")
    command = [str(python), "-W", "ignore", str(script), str(tmp_path / "job.json")]
    done = subprocess.run(command, env=kept | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(answers.read_text())
    assert found["transformers"].startswith(f"{release}.")
    wrong = {name: each for name, case in CASES.items() if (each := complaint(case, release, *exports[name], found[name], tokens))}
    assert not wrong, "\n".join(f"{name}: {each}" for name, each in wrong.items())


def complaint(
    case: Case, release: str, folder: Path, tokenizer: Tokenizer, found: dict[str, object], tokens: list[int]
) -> str | None:
    """Return what differs from our reading of an export, None where nothing does."""
    again = load(folder)
    assert again.tokenizer is not None
    if case.family == "Qwen3" and release == "4.50":
        # It came with 4.51: nothing else is right than to say so.
        return None if "`qwen3`" in str(found.get("refused")) else f"is taken for another: {found.get('model')}"
    if "refused" in found:
        return f"is refused: {found['refused']}"
    model = Llama(again)
    ours, theirs = model.logits(tokens), torch.tensor(found["logits"])
    difference = float((ours - theirs).abs().max())
    print(f"{release} {folder.parent.name}: logits up to {float(ours.abs().max()):.2f}, {difference:.1e} apart")
    if difference > CLOSE:
        return f"has logits {difference:.2g} apart"
    for field, other in without(again):
        if float((Llama(other).logits(tokens) - ours).abs().max()) < 10 * CLOSE:
            return f"would have the same logits without its {field}"
    texts = [tokenizer.encode_whole(text) for text in TEXTS]
    told = greedy(model, tokens, again.tokenizer.eos_ids)
    ends = found["ends"][1]
    checks: Mapping[str, Callable[[], bool]] = {
        "model": lambda: found["model"] == f"{case.model}ForCausalLM",
        "tokens of a text": lambda: found["texts"] == texts,
        "texts of tokens": lambda: found["decoded"] == [tokenizer.decode(each) for each in texts],
        "conversation": lambda: found["chat"] == tokenizer.render_chat([{"role": "user", "content": TEXTS[0]}]),
        "answer": lambda: found["told"] == told,
        "end tokens": lambda: {*(ends if isinstance(ends, list) else [ends])} <= {*tokenizer.eos_ids},
        "end tokens of ours": lambda: again.tokenizer.eos_ids == tokenizer.eos_ids,
    }
    wrong = [what for what, is_equal in checks.items() if not is_equal()]
    del found["logits"]
    return f"differs in its {' and '.join(wrong)}: {found}, not {told}, {texts}" if wrong else None
