"""Conversations under templates of the published shapes: text and tokens are those of transformers."""

import json
import shutil
import time
from pathlib import Path

import pytest
import tokenizers
import transformers

from hwsim.errors import SpecError
from models import chat_renderer, chat_template
from models.tokenizer import Tokenizer
from tests.models.tokenizer_folder import byte_level, opened, pieces, put_before, write_tokenizer

TEMPLATES = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "chatml with a default system": "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\nBe brief.<|im_end|>\n' }}{%- endif %}\n"
    "{%- for m in messages %}\n    {{- '<|im_start|>' ~ m.role ~ '\n' ~ m.content | trim ~ '<|im_end|>\n' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\n' }}\n{%- endif %}",
    "llama 2": "{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set told = messages[0]['content'] %}"
    "{% else %}{% set turns = messages %}{% set told = false %}{% endif %}{% for m in turns %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% if loop.index0 == 0 and told != false %}{% set text = '<<SYS>>\n' + told + '\n<</SYS>>\n\n' + m['content'] %}"
    "{% else %}{% set text = m['content'] %}{% endif %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}{% else %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama 3": "{% set loop_messages = messages %}{% for m in loop_messages %}"
    "{% set text = '<|start_header_id|>' + m['role'] + '|\n\n' + m['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant|\n\n' }}{% endif %}",
    "llama 3.1 with tools": "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- set date_string = strftime_now('%Y') | length | string %}\n"
    "{%- endif %}\n{%- if not tools is defined %}{%- set tools = none %}{%- endif %}\n{%- if tools is not none %}Tools: {{ tools | tojson }}"
    "{%- endif %}\n{{- 'Today: ' + date_string + '\n' }}\n{%- for m in messages %}\n    {%- if not 'tool_calls' in m %}\n"
    "        {{- '<|start_header_id|>' + m['role'] + '|' + m['content'] + '<|eot_id|>' }}\n    {%- endif %}\n{%- endfor %}",
    "mistral v1": "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token + ' ' }}{% else %}{{ raise_exception('Only user and assistant') }}"
    "{% endif %}{% endfor %}",
    "mistral v3 with tools": "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}\n"
    "{%- set asked = messages | selectattr('role', 'equalto', 'user') | list %}\n{{- bos_token }}\n{%- for m in messages %}\n"
    "    {%- if m.role == 'user' %}\n        {%- if tools is not none and (m == asked[-1]) %}\n"
    "            {{- '[AVAILABLE_TOOLS] [' + (tools | map('tojson') | join(', ')) + ']' }}\n        {%- endif %}\n"
    "        {{- '[INST]' + m.content + '[/INST]' }}\n    {%- elif m.role == 'assistant' %}\n        {{- ' ' + m.content | trim + eos_token }}\n"
    "    {%- endif %}\n{%- endfor %}",
    "zephyr": "{% for m in messages %}\n{% if m['role'] == 'user' %}\n{{ '<|user|>\n' + m['content'] + eos_token }}\n"
    "{% elif m['role'] == 'system' %}\n{{ '<|system|>\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n' + m['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n"
    "{% endif %}\n{% endfor %}",
    "qwen 3 that thinks": "{%- set ns = namespace(last=messages | length - 1, multi=true) %}\n{%- for m in messages[::-1] %}\n"
    "    {%- set at = messages | length - 1 - loop.index0 %}\n    {%- if ns.multi and m.role == 'user' and m.content is string %}\n"
    "        {%- set ns.multi = false %}\n        {%- set ns.last = at %}\n    {%- endif %}\n{%- endfor %}\n{%- for m in messages %}\n"
    "    {%- set content = m.content if m.content is string else '' %}\n    {%- set thought = '' %}\n"
    "    {%- if m.reasoning_content is string %}\n        {%- set thought = m.reasoning_content %}\n"
    "    {%- elif '</think>' in content %}\n        {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1] %}\n"
    "        {%- set content = content.split('</think>')[-1].lstrip('\n') %}\n    {%- endif %}\n"
    "    {{- '<|im_start|>' + m.role + '\n' }}\n    {%- if thought and loop.index0 > ns.last %}{{- '<think>' + thought + '</think>' }}{%- endif %}\n"
    "    {{- content + '<|im_end|>\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\n' }}\n"
    "    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}\n{%- endif %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set messages = messages[1:] %}{% endif %}{% for m in messages %}"
    "{% if (m['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "phi": "{% for m in messages %}{% if m['role'] in ['user', 'system'] and m['content'] %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}"
    "{% elif m['role'] == 'assistant' %}{{ '<|assistant|>\n' + m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "deepseek": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=true, told='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}{% set ns.told = m['content'] %}"
    "{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.told }}{%- for m in messages %}{%- if m['role'] == 'user' %}{{ 'User: ' + m['content'] }}"
    "{%- elif m['role'] == 'assistant' and m['content'] is not none %}{{ 'Assistant: ' + m['content'] + eos_token }}{%- endif %}{%- endfor -%}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}",
    "alpaca": "{% for m in messages %}{% if m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n{% elif m.role == 'assistant' %}"
    "### Response:\n{{ m.content }}{{ eos_token }}\n\n{% endif %}{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}",
    "vicuna": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% elif m.role == 'assistant' %}ASSISTANT:"
    " {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}",
    "documents": "{% if documents is none %}no documents;{% endif %}{% if tools is none %}no tools;{% endif %}{{ documents is defined }}",
    "command r": "{{ bos_token }}{% if documents %}{% for d in documents %}{{ d['title'] }}{% endfor %}{% endif %}{%- for m in messages -%}"
    "{{ '<|' ~ m['role'] | upper ~ '|>' ~ m['content'] }}{%- endfor -%}{{ '<|CHATBOT|>' if add_generation_prompt else '' }}",
    "generation": "{%- for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ m.role }}: {{ m.content }}\n{% endif %}{%- endfor %}",
    "json": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ {'b': '<é>', 'a': 1} | tojson(sort_keys=true, ensure_ascii=true) }}"
    "{{ [1, 2] | tojson(separators=(',', ':')) }}",
    "loop controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content }}{% if loop.index > 2 %}{% break %}"
    "{% endif %}{% endfor %}",
    "special tokens by name": "{{ pad_token }}{{ unk_token }}{{ bos_token is defined }}{{ sep_token is defined }}{{ cls_token }}{{ image_token }}",
    "macros": "{% macro turn(role, text) -%}<|im_start|>{{ role }}\n{{ text }}<|im_end|>\n{%- endmacro %}{% for m in messages %}"
    "{{ turn(m.role, m.content) }}\n{% endfor %}",
    "white space": "  {% if true %}\n  a\n  {% endif %}\n\t{% for m in messages %}\n    {{ m.content }}\n    {% endfor %}  \n\n",
    "unknown fields": "{% for m in messages %}{{ m.name }}{{ m.get('weight', 1) }}{% if 'x' in m %}x{% endif %}{{ m.content[:3] }}{% endfor %}",
    "granite": "{%- set thinking = thinking | default(false) %}{%- if messages[0]['role'] == 'system' %}{%- set told = messages[0]['content'] %}"
    "{%- else %}{%- set told = 'Knowledge Cutoff: April 2024.' %}{%- endif %}<|start_of_role|>system<|end_of_role|>{{ told }}\n"
    "{% for m in messages %}<|start_of_role|>{{ m['role'] }}<|end_of_role|>{{ m['content'] }}\n{% endfor %}",
}

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
    "pad_token": {
        "__type": "AddedToken",
        "content": "<pad>",
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
    },
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
            except Exception as error:
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
@pytest.mark.parametrize("name", ["llama 2", "mistral v3 with tools", "zephyr"])
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
        (
            "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
            "it needs more than 512 MiB of memory",
        ),
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
