"""Checks chat templates, the ends of texts, and what malformed tokenizers are told."""

import json
from pathlib import Path

import pytest
import tokenizers

from hwsim.errors import CheckpointError, SpecError
from models.checkpoint import gguf_tokenizer
from models.checkpoint.huggingface import read_tokenizer
from models.tokenizer import Tokenizer, byte_pairs

TEXT = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2, "</s>": 3}, [("a", "b")])).to_str()
TEMPLATE = "{% for m in messages %}\n  {% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}\n"
TEMPLATE += "{{ bos_token }}{{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}>{% endif %}"
NAMED = {"bos_token": "<s>", "eos_token": "</s>"}
GGUF = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": ["a", "b", "ab", "<end>", "<user>"],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.token_type": [1, 1, 1, 3, 4],
    "tokenizer.ggml.eos_token_id": 3,
}


def test_template_is_rendered_as_the_model_was_tuned() -> None:
    tokenizer = Tokenizer(
        byte_pairs(TEXT), chat_template=TEMPLATE, special_tokens={"bos_token": "<s>", "eos_token": "</s>"}, eos_ids=(7, 3)
    )
    messages = [{"role": "user", "content": "x"}]
    assert tokenizer.render_chat(messages) == "<s>x</s>\n>"
    assert tokenizer.render_chat(messages, asks_for_answer=False) == "<s>x</s>\n"
    assert tokenizer.eos_ids == (3, 7)


@pytest.mark.parametrize(
    ("template", "role", "sentence"),
    [
        (None, "user", "Tokenizer must carry a chat template to render a conversation, but has none"),
        (TEMPLATE, "tool", "Conversation must suit the chat template, but: no tools"),
        ("{{ messages.__class__.__mro__ }}", "user", "Conversation must suit the chat template, but: access to "),
        ("{% for %}", "user", "Conversation must suit the chat template, but: "),
        ("{% for i in range(10**9) %}{% endfor %}", "user", "Conversation must suit the chat template, but: Range"),
    ],
)
def test_templates_that_refuse_or_attack(template: str | None, role: str, sentence: str) -> None:
    tokenizer = Tokenizer(byte_pairs(TEXT), chat_template=template)
    with pytest.raises(SpecError) as refusal:
        tokenizer.render_chat([{"role": role, "content": "x"}])
    assert str(refusal.value).startswith(sentence)


def test_folder_settings(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path, {}) is None
    (tmp_path / "tokenizer.json").write_text(TEXT)
    settings = {
        "eos_token": {"content": "</s>"},
        "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 9]}))
    tokenizer = read_tokenizer(tmp_path, {"eos_token_id": 5})
    assert tokenizer is not None
    assert (tokenizer.chat_template, tokenizer.eos_ids) == ("d", (3, 9))
    (tmp_path / "chat_template.jinja").write_text("file")
    again = read_tokenizer(tmp_path, {})
    assert again is not None
    assert again.chat_template == "file"
    assert again.encode("aab") == [0, 2]


def test_gguf_kinds() -> None:
    tokenizer = gguf_tokenizer.read_tokenizer(GGUF)
    assert tokenizer is not None
    assert tokenizer.encode("ab<end><user>") == [2, 3, 4]
    assert tokenizer.decode([2, 3, 4]) == "ab<user>"
    assert gguf_tokenizer.read_tokenizer(GGUF | {"tokenizer.ggml.pre": "gpt-2"}) is not None
    assert gguf_tokenizer.read_tokenizer(GGUF | {"tokenizer.ggml.pre": "unheard-of"}) is None
    assert gguf_tokenizer.read_tokenizer(GGUF | {"tokenizer.ggml.model": "llama"}) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tokenizer.ggml.tokens": [1]}, "GGUF tokenizer.ggml.tokens must be a list of texts"),
        ({"tokenizer.ggml.merges": ["a b c"]}, "GGUF tokenizer.ggml.merges must hold pairs separated by one space"),
        ({"tokenizer.ggml.merges": ["a c"]}, "GGUF tokenizer must have merges of its own tokens, but: "),
    ],
)
def test_gguf_refusals(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        gguf_tokenizer.read_tokenizer(GGUF | changes)
    assert str(refusal.value).startswith(sentence)
