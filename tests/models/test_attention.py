"""Checks the laws of attention patterns: spans, masks, sizes, texts and what a query reads."""

import pytest
import torch

from hwsim.arch.workload import Ledger, Traffic
from hwsim.errors import SpecError
from models.attention import PATTERNS, Dense, Geometry, LambdaShape, Pattern, parse

SEED = 7
LENGTH = 24

# One or more members of every family in the table; the first test fails when a family has none.
EXAMPLES = ("dense", "lambda:0+1", "lambda:0+5", "lambda:3+1", "lambda:4+6", "lambda:2+100")


def rotate_by_position(values: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Turn the two features of each head by a tenth of a radian per position."""
    cosine, sine = torch.cos(positions * 0.1), torch.sin(positions * 0.1)
    first, second = values[..., 0], values[..., 1]
    return torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


GEOMETRY = Geometry(heads=4, kv_heads=2, head_dim=2, rotate=rotate_by_position)


def random_tokens(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    print(f"seed {SEED}")
    generator = torch.Generator().manual_seed(SEED)
    q, k, v = (torch.randn((heads, count, 2), generator=generator) for heads in (4, 2, 2))
    return q, k, v


def members(spans: tuple[tuple[int, int], ...]) -> set[int]:
    return {key for start, stop in spans for key in range(start, stop)}


def test_every_family_has_an_example() -> None:
    assert {example.partition(":")[0] for example in EXAMPLES} == set(PATTERNS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_text_parses_back(example: str) -> None:
    assert str(parse(example)) == example
    assert parse(str(parse(example))) == parse(example)


@pytest.mark.parametrize("example", EXAMPLES)
def test_spans_are_ascending_disjoint_and_not_adjacent(example: str) -> None:
    pattern = parse(example)
    for start in range(LENGTH):
        for stop in range(start, LENGTH):
            spans = pattern.spans(start, stop)
            assert all(first < last for first, last in spans)
            assert all(before[1] < after[0] for before, after in zip(spans, spans[1:], strict=False))


@pytest.mark.parametrize("example", EXAMPLES)
def test_spans_of_a_block_are_the_union_of_its_parts(example: str) -> None:
    pattern = parse(example)
    for start in range(LENGTH):
        for stop in range(start, LENGTH):
            parts = [members(pattern.spans(position, position + 1)) for position in range(start, stop)]
            assert members(pattern.spans(start, stop)) == set().union(*parts)


@pytest.mark.parametrize("example", EXAMPLES)
def test_spans_are_causal_and_hold_the_own_key(example: str) -> None:
    pattern = parse(example)
    for position in range(LENGTH):
        read = members(pattern.spans(position, position + 1))
        assert position in read
        assert max(read) == position


@pytest.mark.parametrize("example", EXAMPLES)
def test_kept_keys_have_their_own_slots_within_capacity(example: str) -> None:
    pattern = parse(example)
    for length in range(1, LENGTH):
        slots = pattern.slots(torch.tensor(sorted(members(pattern.kept(length))))).tolist()
        assert len(set(slots)) == len(slots)
        assert max(slots) < pattern.capacity(length)


def expected_outputs(pattern: Pattern, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Compute attention one query and one head at a time, from the definition."""
    positions = torch.arange(q.shape[1])
    keys = rotate_by_position(k, positions)
    outputs = torch.zeros_like(q)
    for head in range(4):
        for position in positions.tolist():
            read: list[int] = []
            scores: list[torch.Tensor] = []
            for segment in pattern.segments(position):
                turned = rotate_by_position(q[head, position], torch.tensor(segment.query_position))
                read += range(segment.start, segment.stop)
                scores += [turned @ keys[head // 2, key] / 2**0.5 for key in range(segment.start, segment.stop)]
            outputs[head, position] = torch.softmax(torch.stack(scores), 0) @ v[head // 2, read]
    return outputs


@pytest.mark.parametrize("example", EXAMPLES)
def test_prefill_is_the_definition(example: str) -> None:
    pattern = parse(example)
    q, k, v = random_tokens(LENGTH)
    torch.testing.assert_close(pattern.layer(GEOMETRY).prefill(q, k, v), expected_outputs(pattern, q, k, v))


@pytest.mark.parametrize("example", [*EXAMPLES, "lambda:4+252"])
@pytest.mark.parametrize("length", [LENGTH, 600])
def test_steps_and_chunks_equal_prefill(example: str, length: int) -> None:
    pattern = parse(example)
    q, k, v = random_tokens(length)
    whole = pattern.layer(GEOMETRY).prefill(q, k, v)
    stepwise, chunked = pattern.layer(GEOMETRY), pattern.layer(GEOMETRY)
    for position in range(length):
        one = slice(position, position + 1)
        stepwise.append(k[:, one], v[:, one])
        chosen = stepwise.select(q[:, one])
        assert set(chosen.tolist()) == members(pattern.spans(position, position + 1))
        torch.testing.assert_close(stepwise.attend(q[:, one], chosen), whole[:, one])
    cuts = [0, 1, 9, 10, length - 3, length]
    pieces = [
        chunked.prefill(q[:, start:stop], k[:, start:stop], v[:, start:stop]) for start, stop in zip(cuts, cuts[1:], strict=False)
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    assert stepwise.length == chunked.length == length


def test_lambda_equals_reindexed_positions() -> None:
    """Keeping own positions and turning the query twice is re-indexing positions inside the cache."""
    pattern = LambdaShape(sinks=3, window=5)
    q, k, v = random_tokens(LENGTH)
    ours = pattern.layer(GEOMETRY).prefill(q, k, v)[:, -1]
    kept = torch.tensor(sorted(members(pattern.kept(LENGTH))))
    inside = torch.arange(len(kept))
    keys, query = rotate_by_position(k[:, kept], inside), rotate_by_position(q[:, -1:], inside[-1:])
    scores = query.view(2, 2, 2) @ keys.transpose(1, 2) / 2**0.5
    expected = torch.softmax(scores, -1) @ v[:, kept]
    torch.testing.assert_close(ours, expected.reshape(4, 2))


def test_lambda_reads_at_most_sinks_and_window() -> None:
    pattern = parse("lambda:4+252")
    assert pattern.spans(255, 256) == ((0, 256),)
    assert pattern.spans(256, 257) == ((0, 4), (5, 257))
    assert pattern.spans(1_000_000, 1_000_001) == ((0, 4), (999_749, 1_000_001))
    assert pattern.capacity(1_000_000) == 256
    assert [segment.query_position for segment in pattern.segments(1000)] == [255, 1000]


def test_the_ledger_of_a_step_is_what_its_spans_cost() -> None:
    for example in EXAMPLES:
        pattern = parse(example)
        q, k, v = random_tokens(LENGTH)
        attention = pattern.layer(GEOMETRY)
        attention.prefill(q[:, :-1], k[:, :-1], v[:, :-1])
        before = attention.ledger()
        attention.append(k[:, -1:], v[:, -1:])
        attention.attend(q[:, -1:], attention.select(q[:, -1:]))
        runs = pattern.spans(LENGTH - 1, LENGTH)
        reads = sum(stop - start for start, stop in runs)
        # A cache entry is a key and a value of 2 heads of 2 numbers of 4 bytes; a query has 4 heads.
        traffic = (Traffic(tier="device", read_bytes=reads * 32, write_bytes=32),)
        step = Ledger(traffic=traffic, multiply_accumulates=2 * 4 * 2 * reads, gathers=len(runs))
        assert before + step == attention.ledger()


def test_ledgers_add_by_tier() -> None:
    one = Ledger(traffic=(Traffic(tier="device", read_bytes=3),), multiply_accumulates=5)
    two = Ledger(traffic=(Traffic(tier="device", write_bytes=2), Traffic(tier="host", read_bytes=7)), sorts=1)
    assert one + two == Ledger(
        traffic=(Traffic(tier="device", read_bytes=3, write_bytes=2), Traffic(tier="host", read_bytes=7)),
        multiply_accumulates=5,
        sorts=1,
    )
    assert (one + two).read_bytes() == 10


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lamda:4+252", "Attention pattern must be one of dense, lambda (nearest: lambda), not 'lamda'"),
        ("lambda", "Lambda attention must be lambda:<sinks>+<window>, not lambda:"),
        ("lambda:4", "Lambda attention must be lambda:<sinks>+<window>, not lambda:4"),
        ("lambda:4+0", "Lambda window must be a positive integer, not 0"),
        ("dense:4", "Dense attention must have no options, not '4'"),
    ],
)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        parse(text)
    assert str(refusal.value) == sentence


def test_refusals_of_values() -> None:
    with pytest.raises(SpecError, match=r"^Lambda sinks must be a non-negative integer, not -1$"):
        LambdaShape(sinks=-1, window=2)
    with pytest.raises(SpecError, match=r"^Ledger sorts must be a non-negative integer, not -1$"):
        Ledger(sorts=-1)
    with pytest.raises(SpecError, match=r"^Traffic read_bytes must be a non-negative integer, not -2$"):
        Traffic(tier="device", read_bytes=-2)
    with pytest.raises(SpecError, match=r"^Ledger tier must appear once, not 2 times: 'host'$"):
        Ledger(traffic=(Traffic(tier="host"), Traffic(tier="host")))
    assert Dense() == parse("dense")
