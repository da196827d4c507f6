"""Conversations under templates of the published shapes: text and tokens are those of transformers."""

import json
import shutil
import time
from pathlib import Path

import jinja2
import pytest
import tokenizers
import transformers

from hwsim.errors import SpecError
from models import chat_renderer, chat_template
from models.tokenizer import Tokenizer
from tests.models.tokenizer_folder import byte_level, opened, pieces, put_before, write_tokenizer

FOLDER = Path(__file__).with_name("chat_templates")
TEMPLATES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.jinja"))}
DOUBLED = "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}"

CONVERSATIONS = [
    [{"role": "user", "content": "  Why is the sky blue in 2024? "}],
    [
        {"role": "system", "content": "Wait for nothing."},
        {"role": "user", "content": "Ça va <|im_end|> [INST]?"},
        {"role": "assistant", "content": '<think>été</think>\n\nIt\'s "fine" & <good>.', "tool_calls": None},
        {"role": "user", "content": "The engine\n\nmoves"},
    ],
]

NAMES = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": {"__type": "AddedToken", "content": "<pad>", "lstrip": False, "normalized": False, "special": True},
    "unk_token": "<unk>",
    "image_token": "<image>",
}


@pytest.fixture(scope="module")
def inner() -> tokenizers.Tokenizer:
    return put_before(byte_level(), "<s>")


def theirs(folder: Path) -> transformers.PreTrainedTokenizerBase:
    return transformers.AutoTokenizer.from_pretrained(folder)


def check_conversations(ours: Tokenizer, folder: Path) -> int:
    """Compare every conversation with transformers, and return how many both render."""
    them, count = theirs(folder), 0
    for messages in CONVERSATIONS:
        for asks in (True, False):
            try:
                text = them.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)
            except (jinja2.TemplateError, TypeError) as error:
                with pytest.raises(SpecError) as refusal:
                    ours.render_chat(messages, asks_for_answer=asks)
                assert str(error) in str(refusal.value)
                continue
            assert ours.render_chat(messages, asks_for_answer=asks) == text
            tokens = them.apply_chat_template(messages, tokenize=True, add_generation_prompt=asks)["input_ids"]
            assert ours.encode(text) == tokens
            assert ours.encode_whole(text) == them(text)["input_ids"]
            count += 1
    return count


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_gives_what_transformers_gives(tmp_path: Path, name: str, inner: tokenizers.Tokenizer) -> None:
    folder = write_tokenizer(tmp_path / "tokenizer", inner, NAMES | {"chat_template": TEMPLATES[name]})
    assert check_conversations(opened(folder), folder) > 0


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("name", ["llama_2", "mistral_v3_with_tools", "zephyr"])
def test_templates_over_pieces(tmp_path: Path, name: str, legacy: bool) -> None:
    settings = NAMES | {"chat_template": TEMPLATES[name]}
    folder = write_tokenizer(tmp_path / "tokenizer", put_before(pieces(legacy=legacy), "<s>"), settings)
    assert check_conversations(opened(folder), folder) > 0


def test_templates_in_files_of_their_own(tmp_path: Path, inner: tokenizers.Tokenizer) -> None:
    one, two, three = TEMPLATES["chatml"], TEMPLATES["zephyr"], TEMPLATES["gemma"]
    listed = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": one}]
    folder = write_tokenizer(tmp_path / "tokenizer", inner, NAMES | {"chat_template": listed})
    assert opened(folder).chat_template == one
    assert check_conversations(opened(folder), folder) == 4
    (folder / "chat_template.jinja").write_text(two)
    assert check_conversations(opened(folder), folder) == 4
    assert opened(folder).chat_template == two
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "rag.jinja").write_text(three)
    assert check_conversations(opened(folder), folder) == 4
    (folder / "chat_template.jinja").unlink()
    # A template that is not the default is asked for by its name alone.
    assert opened(folder).chat_template is None
    with pytest.raises(ValueError, match="no default specified"):
        theirs(folder).apply_chat_template(CONVERSATIONS[0])
    shutil.rmtree(folder)
    write_tokenizer(folder, inner, NAMES, chat_template={"chat_template": three})
    assert opened(folder).chat_template == three


def test_a_template_that_asks_whether_there_are_tools(tmp_path: Path, inner: tokenizers.Tokenizer) -> None:
    asks = "{% if tools is not none %}You can call functions.\n{% endif %}" + TEMPLATES["chatml"]
    folder = write_tokenizer(tmp_path / "tokenizer", inner, NAMES | {"chat_template": asks})
    text = opened(folder).render_chat([{"role": "user", "content": "Hello"}])
    assert text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def rendered(template: str) -> str:
    return chat_template.render(template, {"text": "x", "list": [1]})


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ text.nothing.more }}", "'str object' has no attribute 'nothing'"),
        ("{{ 1 // 0 }}", "integer division or modulo by zero"),
        ("{{ text + 1 }}", 'can only concatenate str (not "int") to str'),
        ("{{ list[0].x.y }}", "'int object' has no attribute 'x'"),
        ("{{ nothing['a'] }}", "'nothing' is undefined"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "maximum recursion depth exceeded"),
        ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "maximum recursion depth exceeded"),
        ("{{ text.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe."),
        ("{% include 'other' %}", "no loader for this environment specified"),
        ("{{ text | unheard_of }}", "No filter named 'unheard_of'."),
        ("{{ raise_exception('no tools') }}", "no tools"),
        ("{{ list.append(2) }}", "access to attribute 'append' of 'list' object is unsafe."),
        (DOUBLED, "it needs more than 512 MiB of memory"),
        ("{{ 'a' * 10 ** 12 }}", "it needs more than 512 MiB of memory"),
        ("{% for i in range(99999) %}{{ 'abcdefgh' * 99999 }}{% endfor %}", "it writes more than 4,194,304 letters"),
        ("{{ strftime_now(3) }}", "strftime() argument 1 must be str, not int"),
    ],
)
def test_errors_in_a_template_are_refusals(template: str, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(SpecError) as refusal:
        rendered(template)
    assert str(refusal.value).startswith(f"Conversation must suit the chat template, but: {told}")
    assert len(str(refusal.value)) < 700
    assert time.monotonic() - began < 20
    # The next template is rendered as ever.
    assert rendered("{{ text }}") == "x"


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", marks=pytest.mark.long),
        # One operation, which no handler of a signal interrupts.
        "{{ 7 ** (10 ** 9) }}",
    ],
)
def test_a_template_that_does_not_end_is_refused(template: str) -> None:
    with pytest.raises(SpecError, match=f"^Chat template must end within {chat_renderer.MOST_CPU_S:g} s, but does not$"):
        rendered(template)
    assert rendered("{{ text }}") == "x"


def test_a_renderer_that_was_ended_is_started_again() -> None:
    assert rendered("{{ text }}") == "x"
    for renderer in [*chat_template._RENDERERS.values()]:
        renderer.kill()
        renderer.wait()
    assert rendered("{{ text }}{{ 1 }}") == "x1"


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(SpecError, match="Conversation must consist of texts, numbers, lists and mappings, but: "):
        chat_template.render("x", {"messages": object()})


def test_a_conversation_needs_a_message(tmp_path: Path, inner: tokenizers.Tokenizer) -> None:
    folder = write_tokenizer(tmp_path / "tokenizer", inner, NAMES | {"chat_template": "x"})
    with pytest.raises(SpecError, match="Conversation must have at least one message, not none"):
        opened(folder).render_chat([])
    assert json.loads((folder / "tokenizer_config.json").read_text())["chat_template"] == "x"
