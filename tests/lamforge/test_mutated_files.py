"""Data files with a few things changed at random: each is read or refused in a sentence, at once, and what is read can be used."""

import json
import random
import re
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lamforge
from hwsim.arch.board import load_board
from hwsim.arch.config import EngineConfig, load_engine
from hwsim.errors import LamforgeError
from hwsim.offload.devices import FAMILIES
from hwsim.offload.systems import system
from lamforge.explore.accuracy import load_accuracies
from lamforge.explore.study import load_study
from models.compress import Recipe
from models.recipes.file import recipe_file
from tests.bounds import LONGEST_S, MOST_BYTES, MOST_LETTERS

ROOT = Path(__file__).parents[2]
READERS: dict[str, Callable[[str], object]] = {
    "hwsim/specs/engines": load_engine,
    "hwsim/specs/boards": load_board,
    "models/recipes": lambda name: Recipe.of(recipe_file(name), name="mutated"),
    "lamforge/explore/studies": load_study,
    "lamforge/explore/accuracies": load_accuracies,
    "hwsim/specs/offload": system,
} | {f"hwsim/specs/devices/{family.folder}": family.load for family in FAMILIES}
"""What reads the files of a folder."""

VALUES = (
    *("", "null", "~", "true", "yes", "0", "-1", "1e999", "-1e999", ".inf", "-.inf", ".nan", "1e-320", "0x7fffffffffffffff", "1_0"),
    *("9" * 40, "9" * 5000, "1e9999", "2026-99-99", "12:30", "=", "<<", "!!bool maybe", "!!int x", "!!float x", "!!timestamp x"),
    *("!!python/object:os.system x", "!x y", "&a 1", "*a", "&a [*a]", "[]", "{}", "[1, 2]", "{a: 1}", "[[[[]]]]", "? x", "- - -"),
    *("[" * 100_000, "{a: " * 50_000, "[" * 39 + "]" * 39, "[&b [x,x,x], &c [*b,*b,*b], &d [*c,*c,*c]]", "x" * 5000, "é" * 300),
    *('"\\ud800"', '"\\0"', '"\\n"', "'a\n\n  b'", "|\n  x", "../../x", "a b", "$(touch x)", "\x85", "\ufeff"),
    *("100 GB/s", "-1 GB/s", "1e400 GB/s", "1 parsec", "3 W", "lambda:4+252", "lambda:-1+0", "dense", "u280", "tiny", "w4", "kv4"),
    *("64", "65536", "4611686018427387904", "3.5"),
)
"""What stands in for a value."""

NETWORK = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 256,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
"""A small network, which most engines hold."""


def with_value(line: bytes, value: str, rng: random.Random) -> bytes:
    """Return a line that has names with one of the values replaced, be it alone or inside braces."""
    parts = line.split(b":")
    chosen = rng.randrange(1, len(parts))
    tail = parts[chosen].partition(b",")
    parts[chosen] = b" " + value.encode("utf-8", "surrogatepass") + b"".join(tail[1:])
    return b":".join(parts)


def mutated(text: str, rng: random.Random) -> bytes:
    """Return the text of a file with one to three things changed."""
    data = text.encode()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        lines = data.split(b"\n")
        place = rng.randrange(len(lines))
        kind = rng.randrange(11)
        if kind > 7 and re.search(rb"\d+", lines[place]):
            number = rng.choice([*re.finditer(rb"\d+", lines[place])])
            changed = int(number[0][:30]) * rng.choice((2, 4, 1024)) // rng.choice((1, 2, 8)) + rng.choice((0, 0, 0, 1))
            lines[place] = lines[place][: number.start()] + b"%d" % changed + lines[place][number.end() :]
        elif kind < 4 and b":" in lines[place]:
            lines[place] = with_value(lines[place], rng.choice(VALUES), rng)
        elif kind == 4:
            del lines[place]
        elif kind == 5:
            lines.insert(rng.randrange(len(lines)), lines[place])
        elif kind == 6:
            lines[place] = b" " * rng.randrange(9) + lines[place].strip()
        else:
            position = rng.randrange(len(lines[place]) + 1)
            lines[place] = lines[place][:position] + bytes([rng.randrange(256)]) + lines[place][position + rng.randrange(2) :]
        data = b"\n".join(lines)
    return data


def mutations(rng: random.Random, count: int) -> Iterator[tuple[Callable[[str], object], bytes]]:
    """Yield readers with the changed contents of a file of theirs, engines as often as all others."""
    files = {folder: sorted((ROOT / folder).glob("*.yaml")) for folder in READERS}
    texts = {folder: [file.read_text() for file in found] for folder, found in files.items() if found}
    folders = sorted(texts)
    for value in VALUES:
        # Each once at least, where it does not stand behind another mistake.
        folder = rng.choice(folders)
        lines = rng.choice(texts[folder]).encode().split(b"\n")
        place = rng.choice([index for index, line in enumerate(lines) if b":" in line and not line.startswith(b"#")])
        lines[place] = with_value(lines[place], value, rng)
        yield READERS[folder], b"\n".join(lines)
    for _ in range(count - len(VALUES)):
        folder = rng.choice(("hwsim/specs/engines", rng.choice(folders)))
        yield READERS[folder], mutated(rng.choice(texts[folder]), rng)


def check(seed: int, count: int, used: int, folder: Path) -> tuple[int, int]:
    """Read changed files and use up to `used` of the engines among them; return how many were read, and how many used."""
    accepted, engines = 0, dict[str, EngineConfig]()
    path = folder / "mutated.yaml"
    for reader, content in mutations(random.Random(seed), count):
        path.write_bytes(content)
        began = time.perf_counter()
        try:
            found = reader(str(path))
        except LamforgeError as refusal:
            assert 0 < len(str(refusal)) < MOST_LETTERS, content[:2000]
        except Exception as error:
            raise AssertionError(f"{reader} must refuse in a sentence: {content[:4000]!r}") from error
        else:
            accepted += 1
            if isinstance(found, EngineConfig):
                assert EngineConfig.from_dict(found.to_dict()) == found
                engines.setdefault(found.digest, found)
        assert time.perf_counter() - began < LONGEST_S, content[:2000]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chosen = random.Random(seed).sample(sorted(engines), min(used, len(engines)))
    network = folder / "config.json"
    network.write_text(json.dumps(NETWORK))
    for digest in chosen:
        use(engines[digest], network)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_BYTES
    return accepted, len(chosen)


def use(engine: EngineConfig, network: Path) -> None:
    """Compile a small network for an engine and time its program; that it does not fit is an answer."""
    try:
        found = lamforge.simulate(workload=str(network), engine=engine, context=64)
    except LamforgeError as refusal:
        assert 0 < len(str(refusal)) < MOST_LETTERS
    else:
        assert found.cycles > 0


def test_some_changed_files(seed: int, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accepted, used = check(seed, 300, 2, tmp_path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_BYTES
    # Neither is everything refused, nor everything read.
    assert 10 < accepted < 290
    assert used > 0


@pytest.mark.long
def test_many_changed_files(seed: int, tmp_path: Path) -> None:
    accepted, used = check(seed, 10_000, 100, tmp_path)
    assert 300 < accepted < 9_700
    assert used == 100
