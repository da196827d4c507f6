"""Planted faults of a random model are found where they were planted, and only there; a sound model has none."""

import dataclasses
import re
from collections.abc import Callable, Mapping

import pytest
import torch

from hwsim.arch.isa import Format
from hwsim.arch.numerics import FRACTION_BITS, to_fixed
from models import recipes
from models.attention import parse
from models.checkpoint import Checkpoint
from models.checkpoint.base import Weights
from models.checkpoint.layout import tensor_shapes
from models.compress import Recipe, compress
from models.compress.calibrate import rounded_cache
from models.compress.layer import Layer
from models.compress.rotate_values import turned
from models.compressed import CompressedModel, create
from models.evaluation import causes
from models.evaluation.causes import Cause
from models.evaluation.halves import Halves, fixed
from models.evaluation.layers import layer_errors
from models.evaluation.losses import HalfLoss, Losses, sentences
from models.integer import IntegerReference
from models.matrices import ATTENTION_NORM
from models.reference.llama import Llama, rms_norm
from tests.models.tiny import SEED, tiny_checkpoint
from tests.random_model import MemoryStore

Tensors = dict[str, torch.Tensor]
BLOCK = "model.layers.{}."
TOKENS = torch.randint(96, (2, 48), generator=torch.Generator().manual_seed(SEED))


def recipe(*steps: str | Mapping[str, object], format: str = "w8", cache: str = "kv8") -> Recipe:
    stored = [{"method": "rtn", "format": format}, {"method": "rtn", "format": "w8", "at": "head"}]
    return Recipe.from_document({"steps": [*steps, *stored], "attention": "lambda:4+252", "cache": cache}, name="test")


def looked(checkpoint: Checkpoint, made_by: Recipe) -> tuple[list[HalfLoss], CompressedModel]:
    losses = Losses(checkpoint, made_by)
    made = create(checkpoint, made_by, watcher=losses)
    return losses.found, made


def planted(tmp_path, plant: Callable[[Tensors], None]) -> Checkpoint:
    """Return a random checkpoint in which `plant` has changed tensors; its slowest pairs hardly turn, as those of Qwen2 do."""
    checkpoint = tiny_checkpoint(tmp_path, has_bias=True)
    config = dataclasses.replace(checkpoint.config, rope_base=1e6)
    tensors = {name: checkpoint.tensor(name).clone() for name in tensor_shapes(config)}
    plant(tensors)
    return dataclasses.replace(checkpoint, config=config, weights=Weights(config, MemoryStore(tensors)))


def nothing(tensors: Tensors) -> None:
    """Leave the checkpoint sound."""


def key_bias(tensors: Tensors) -> None:
    tensors[BLOCK.format(1) + "self_attn.k_proj.bias"][[15, 31, 47]] = 3000.0


def wide_input(tensors: Tensors) -> None:
    """Make one input of gate and up large, and its weights small, which changes nothing in floats."""
    tensors[BLOCK.format(0) + "post_attention_layernorm.weight"][9] *= 1000
    for name in ("gate", "up"):
        tensors[BLOCK.format(0) + f"mlp.{name}_proj.weight"][:, 9] /= 1000


def wide_product(tensors: Tensors) -> None:
    tensors[BLOCK.format(1) + "mlp.up_proj.weight"][11] *= 1000
    tensors[BLOCK.format(1) + "mlp.down_proj.weight"][:, 11] /= 1000


def wide_head(tensors: Tensors) -> None:
    tensors["model.norm.weight"][3] *= 1000
    tensors["lm_head.weight"][:, 3] /= 1000


def wide_value(tensors: Tensors) -> None:
    tensors[BLOCK.format(0) + "self_attn.v_proj.weight"][5] *= 1000
    for head in (0, 1):
        tensors[BLOCK.format(0) + "self_attn.o_proj.weight"][:, 32 * head + 5] /= 1000


def large_product(tensors: Tensors) -> None:
    tensors[BLOCK.format(1) + "mlp.up_proj.weight"] *= 30000
    tensors[BLOCK.format(1) + "mlp.down_proj.weight"] /= 1000000


def large_stream(tensors: Tensors) -> None:
    for layer in (0, 1):
        tensors[BLOCK.format(layer) + "mlp.down_proj.weight"] *= 60000


def large_embedding(tensors: Tensors) -> None:
    tensors["model.embed_tokens.weight"][:, 17] = 40000.0


def small_stream(tensors: Tensors) -> None:
    tensors["model.embed_tokens.weight"] *= 1e-4


def tiny_table(tensors: Tensors) -> None:
    tensors["model.embed_tokens.weight"] *= 1e-7


def beyond_floats(tensors: Tensors) -> None:
    tensors[BLOCK.format(0) + "mlp.up_proj.weight"] *= 1e36
    tensors[BLOCK.format(0) + "mlp.gate_proj.weight"] *= 1e10


def lone_weight(tensors: Tensors) -> None:
    """Make the weights of an input that is hardly there large."""
    tensors[BLOCK.format(0) + "post_attention_layernorm.weight"][9] /= 10000
    for name in ("gate", "up"):
        tensors[BLOCK.format(0) + f"mlp.{name}_proj.weight"][:, 9] *= 10000


def lone_input(tensors: Tensors) -> None:
    """Make the weights of an attention large at an input that is hardly there."""
    tensors[BLOCK.format(0) + "input_layernorm.weight"][9] /= 60
    for name in ("q", "k", "v"):
        tensors[BLOCK.format(0) + f"self_attn.{name}_proj.weight"][:, 9] *= 60


@pytest.mark.parametrize(("format", "cache"), [("w8", "kv8"), ("w8", "kv4"), ("w4", "kv4"), ("w2", "kv4"), ("w2s", "kv8")])
@pytest.mark.parametrize("changes", [{}, {"has_bias": True}, {"has_head_norms": True}, {"is_tied": True}])
def test_a_sound_model_loses_what_is_usual(tmp_path, format: str, cache: str, changes: dict[str, bool]) -> None:
    found, _ = looked(tiny_checkpoint(tmp_path, **changes), recipe(format=format, cache=cache))
    halves = [f"layers.{layer}.{half}" for layer in (0, 1) for half in ("attention", "feed_forward")]
    assert [half.name for half in found] == ["embedding", *halves, "head"]
    assert sentences(found) == []
    assert all(0 < half.arithmetic < half.arithmetic_allowed for half in found)


@pytest.mark.parametrize(
    ("plant", "name", "part", "finding", "remedy"),
    [
        (key_bias, "layers.1.attention", "keys", r"have a constant part of [\d,]+ times their spread", "balance_keys"),
        (wide_input, "layers.0.feed_forward", "inputs of gateup", "number 9, is", '{method: smooth, at: "*.gateup"}'),
        (wide_product, "layers.1.feed_forward", "inputs of down", "number 11, is", '{method: smooth, at: "*.down"}'),
        (wide_head, "head", "inputs of head", "number 3, is", "{method: smooth, at: head}"),
        (wide_value, "layers.0.attention", "inputs of o", "number (5|37), is", "rotate_values"),
        (large_product, "layers.1.feed_forward", "inputs of down", "saturate at 32,768", '{method: smooth, at: "*.down"}'),
        (large_stream, "layers.0.feed_forward", "residual stream", r"\d% of the values of its residual stream saturate", None),
        (large_embedding, "embedding", "embedding", "1.56% of the values of its embedding saturate .* reach 40,", None),
        (small_stream, "embedding", "embedding", "root mean square of .*e-05, .* has steps of 1.5e-05", None),
        (lone_weight, "layers.0.feed_forward", "weights of gateup", "w4 weights of gateup are .* the largest", "format: w8"),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path, plant: Callable[[Tensors], None], name: str, part: str, finding: str, remedy: str | None
) -> None:
    checkpoint = planted(tmp_path, plant)
    found, _ = looked(checkpoint, recipe(format="w4" if plant is lone_weight else "w8"))
    causes = [(half.name, cause) for half in found for cause in half.causes]
    chosen = [cause for half, cause in causes if (half, cause.part) == (name, part)]
    assert len(chosen) == 1, sentences(found)
    assert chosen[0].remedy == remedy
    said = next(sentence for sentence in sentences(found) if chosen[0].finding in sentence)
    assert said.startswith(f"{name} ")
    assert re.search(finding, said), said
    effect = "may help" if remedy in ("rotate_values", "format: w8", "cache: kv8") else "mends it"
    assert said.endswith("no method of a recipe mends it" if remedy is None else f"`{remedy}` in the recipe {effect}")
    if plant is not small_stream:
        assert {half for half, _ in causes} <= {name, name.replace("layers.0", "layers.1")}, sentences(found)


@pytest.mark.parametrize("plant", [wide_input, wide_product, wide_head, wide_value, large_product, large_stream, large_embedding])
@pytest.mark.parametrize(("format", "cache"), [("w8", "kv8"), ("w4", "kv4")])
def test_a_fault_is_one_sentence(tmp_path, plant: Callable[[Tensors], None], format: str, cache: str) -> None:
    """What is lost to one fault, at several places and in both layers, is said once, and no error in hundreds of hundredths."""
    found, _ = looked(planted(tmp_path, plant), recipe(format=format, cache=cache))
    (said,) = sentences(found)
    named = next(half for half in found if said.startswith(f"{half.name} "))
    assert all(cause.finding in said for cause in named.causes)
    assert sum(half is not named for half in found if half.causes) == len(re.findall(r"layers.1", said.partition(" (so it is")[2]))
    assert not re.search(r"\d{4}% off", said)


def test_large_errors_are_told_as_many_times() -> None:
    assert [causes.off(error) for error in (0.5, 9.994, 10, 141.57)] == ["50% off", "999% off", *["more than 10 times off"] * 2]
    cause = Cause(part="weights of o", finding="they are wide", remedy=None)
    half = HalfLoss(name="head", weights=141.57, arithmetic=55.2, weights_allowed=0.1, arithmetic_allowed=0.1, causes=(cause,))
    sentence = (
        "head is more than 10 times off by its weights, where at most 10% is usual: they are wide; no method of a recipe mends it"
    )
    assert sentences([half]) == [sentence]


def test_faults_that_different_methods_mend_in_one_half_are_one_sentence() -> None:
    keys, values = (Cause(part=part, finding=f"{part} are wide", remedy=part) for part in ("keys", "values"))

    def half(layer: int, arithmetic: float, *causes: Cause) -> HalfLoss:
        name = f"layers.{layer}.attention"
        return HalfLoss(
            name=name, weights=0.01, arithmetic=arithmetic, weights_allowed=0.1, arithmetic_allowed=0.5, causes=tuple(causes)
        )

    assert sentences([half(0, 0.9, keys, values), half(1, 0.6, values), half(2, 0.7, keys)]) == [
        "layers.0.attention is 90% off by rounding, where at most 50% is usual: keys are wide (so it is with layers.1.attention,"
        " layers.2.attention); `keys` in the recipe may help; values are wide; `values` in the recipe may help"
    ]
    # Each is worst somewhere else.
    said = sentences([half(0, 0.6, keys), half(1, 0.7, values)])
    assert [sentence.split()[0] for sentence in said] == ["layers.0.attention", "layers.1.attention"]
    # Five findings of a half are no longer sentence than three.
    five = [Cause(part=f"weights of {part}", finding=f"{part} is off", remedy=None) for part in "abcde"]
    (said,) = sentences([half(0, 0.9, *five)])
    assert said.endswith("usual: a is off, and b is off, and c is off, and 2 more; no method of a recipe mends it")


def test_turned_values_are_turned_back_before_weights_are_compared(tmp_path) -> None:
    """Turning mixes rows of v and inputs of o, which is no error; what the codes are off is found all the same."""
    original, pattern = Layer.of(tiny_checkpoint(tmp_path), 0), parse("lambda:4+12")
    geometry = Llama(tiny_checkpoint(tmp_path), pattern=pattern).geometry
    stream = torch.randn((40, 64), generator=torch.Generator().manual_seed(SEED))
    stored = turned(original)
    before, after = (Halves(layer, geometry, pattern, 4).attention(stream) for layer in (original, stored))
    torch.testing.assert_close(before.update, after.update, atol=1e-4, rtol=0)
    formats = {"qkv": Format.W4, "o": Format.W4}

    def told(is_turned: bool) -> str:
        return causes.of_weights(original, stored, before, after, formats, 0.1, is_turned=is_turned).finding

    assert re.search(r" are 0% off for what they multiply", told(True))
    assert "weights of qkv are more than 10 times off for what they multiply" in told(False)
    rotated, plain = ([{"method": "rotate_values"}], [])
    errors = []
    for steps in (rotated, plain):
        found, _ = looked(planted(tmp_path, lone_input), recipe(*steps, format="w4", cache="kv8"))
        (finding,) = [cause.finding for cause in found[1].causes if cause.part == "weights of qkv"]
        errors += [float(error) for error in re.findall(r"w4 weights of qkv are (\d+)% off", finding)]
    assert errors[0] == pytest.approx(errors[1], rel=0.1) and len(errors) == 2


def test_an_embedding_that_its_codes_do_not_hold_does_not_saturate(tmp_path) -> None:
    found, _ = looked(planted(tmp_path, tiny_table), recipe())
    (said,) = sentences(found[:1])
    assert said.startswith("embedding is 100% off by its weights, where at most 5% is usual: its table has a root mean square of ")
    assert said.endswith("are exact from 6.1e-05 on; no method of a recipe mends it")


def test_what_no_float_holds_is_not_called_equal(tmp_path) -> None:
    found, _ = looked(planted(tmp_path, beyond_floats), recipe())
    assert [half.weights == half.arithmetic == 1e6 for half in found] == [False, False, True, True, True, True]
    (said,) = sentences(found)
    assert said.startswith("layers.0.feed_forward cannot be compared: what it gives is too large for a float, or no number, ")


def test_steps_that_are_too_long_do_not_saturate() -> None:
    cause = Cause(part="scales of qkv", finding="a step is 2", remedy=None)
    half = HalfLoss(name="head", weights=0.01, arithmetic=0.02, weights_allowed=0.1, arithmetic_allowed=0.1, causes=(cause,))
    assert sentences([half]) == ["head is scaled by too much: a step is 2; no method of a recipe mends it"]


def test_the_remedy_mends_what_it_is_named_for(tmp_path) -> None:
    """Smoothing undoes a wide input; the tokens of its calibration are drawn."""
    checkpoint, mended = planted(tmp_path, wide_input), recipe({"method": "smooth", "at": "layers.0.gateup"})
    losses = Losses(checkpoint, mended)
    compress(checkpoint, mended, tokens=TOKENS, watcher=losses)
    assert sentences(losses.found) == []


@pytest.mark.parametrize("plant", [nothing, large_product, large_stream])
def test_rounding_in_floats_is_what_the_integers_do(tmp_path, plant: Callable[[Tensors], None]) -> None:
    """All roundings together make the errors that the integer reference shows, half by half, saturation included."""
    checkpoint, made_by = planted(tmp_path, plant), recipe(format="w4", cache="kv4")
    losses = Losses(checkpoint, made_by)
    model = compress(checkpoint, made_by, watcher=losses)
    measured = layer_errors(Llama(checkpoint, pattern=made_by.pattern), IntegerReference(model), losses.tokens.tolist())
    # Past a saturated stream the two are fed different things.
    compared = 2 if plant is large_stream else 5
    for half, error in list(zip(losses.found[1:], measured, strict=True))[:compared]:
        # The two parts are nearly independent.
        assert half.name == error.name
        assert (half.weights**2 + half.arithmetic**2) ** 0.5 == pytest.approx(error.own, rel=0.05)


def test_keys_alone_are_rounded_where_they_are_turned(tmp_path) -> None:
    """Rounding keys and values one at a time and together is what the cache does, and rounding nothing changes nothing."""
    checkpoint = tiny_checkpoint(tmp_path)
    layer, pattern = Layer.of(checkpoint, 0), parse("lambda:4+12")
    geometry = Llama(checkpoint, pattern=pattern).geometry
    halves = Halves(layer, geometry, pattern, 4)
    stream = torch.randn((40, 64), generator=torch.Generator().manual_seed(SEED))
    exact = halves.attention(stream)
    inputs = rms_norm(stream, layer.gains[ATTENTION_NORM], checkpoint.config.norm_eps)
    q, k, v = layer.heads(layer.linears["qkv"].outputs(inputs))
    cache = dataclasses.replace(geometry, round_cache=lambda values: rounded_cache(values, 4))
    rounded = pattern.layer(cache).prefill(q, k, v).transpose(0, 1).flatten(1)
    torch.testing.assert_close(halves.attention(stream, ("keys", "values")).mixed, rounded, atol=2e-5, rtol=0)
    assert torch.equal(exact.mixed, pattern.layer(geometry).prefill(q, k, v).transpose(0, 1).flatten(1))
    assert not torch.equal(halves.attention(stream, ("keys",)).mixed, exact.mixed)


def test_fixed_values_have_steps_and_an_end() -> None:
    values = torch.tensor([0.3, -(2.0**-18), 40000.0, -40000.0], dtype=torch.float64)
    assert torch.equal(fixed(values), torch.from_numpy(to_fixed(values.numpy())).double() / (1 << FRACTION_BITS))


def test_losses_of_a_kind_are_one_sentence() -> None:
    cause = Cause(part="keys", finding="keys are wide", remedy=None)
    halves = [
        HalfLoss(
            name=f"layers.{layer}.attention",
            weights=0.01,
            arithmetic=0.6 + layer / 100,
            weights_allowed=0.1,
            arithmetic_allowed=0.5,
            causes=(cause,),
        )
        for layer in range(6)
    ]
    assert sentences(halves) == [
        "layers.5.attention is 65% off by rounding, where at most 50% is usual: keys are wide (so it is with layers.0.attention,"
        " layers.1.attention, layers.2.attention and 2 more); no method of a recipe mends it"
    ]


def test_a_resumed_compression_is_told_the_same(tmp_path) -> None:
    checkpoint = planted(tmp_path, wide_product)
    whole, _ = looked(checkpoint, recipe())
    losses = Losses(checkpoint, recipe())

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create(checkpoint, recipe(), work=tmp_path / "work", progress=stop)
    create(checkpoint, recipe(), work=tmp_path / "work", watcher=losses)
    assert losses.found == whole


def test_biased_only_leaves_models_without_biases_alone(tmp_path) -> None:
    step = {"method": "balance_keys", "steps": 0, "biased_only": True}
    for has_bias in (False, True):
        checkpoint = tiny_checkpoint(tmp_path, has_bias=has_bias)
        plain, balanced = (compress(checkpoint, recipe(*steps), tokens=TOKENS) for steps in ((), (step,)))
        assert balanced.config.qkv_bias is has_bias
        assert (balanced.fingerprint == plain.fingerprint) is not has_bias


def test_w8a8kv8_takes_the_constant_from_biased_keys(tmp_path) -> None:
    """The recipe that claims 1 % has what a model with key biases needs; a Llama stays one."""
    shipped = recipes.recipe("w8a8kv8")
    losses = Losses(planted(tmp_path, key_bias), shipped)
    compress(planted(tmp_path, key_bias), shipped, tokens=TOKENS, watcher=losses)
    assert sentences(losses.found) == []
    assert not compress(tiny_checkpoint(tmp_path), shipped, tokens=TOKENS).config.qkv_bias


def test_a_channel_is_named_where_it_is_wide_and_else_is_not() -> None:
    heads = torch.ones((2, 5, 8))
    assert causes._widest("values", heads) is None
    heads[1, :, 3] = 10
    assert causes._widest("values", heads) == "channel 3 of values of head 1 is 10 times as wide as the median one"
