"""Systems as data: all of them load and answer, settings change what they name, nonsense is refused in a sentence."""

import dataclasses
import typing
from pathlib import Path

import numpy as np
import pytest

from hwsim.arch.workload import Workload
from hwsim.errors import SpecError
from hwsim.offload.answer import Answer
from hwsim.offload.devices import GPUS
from hwsim.offload.systems import METHODS, names, system
from hwsim.offload.systems.flexgen import FlexGen
from hwsim.offload.systems.gpu_only import GpuOnly
from hwsim.offload.systems.instinfer import DriveCache, InstInfer
from hwsim.offload.systems.system import DRIVE, LINK, Devices
from hwsim.offload.systems.zero import ZeroInference
from hwsim.plain import set_values
from models.zoo import network

SMALL = Workload(network=network("llama-2-7b"), prompt=1024, generated=64, batch=1)
INSTINFER = Workload(network=network("opt-13b"), prompt=1024, generated=1024, batch=64)


def over(answer: Answer) -> dict[str, float]:
    """Return what does not fit, by tier."""
    return {tier.name: float(tier.over.value) for tier in answer.tiers if tier.over.value > 0}


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("model", ["llama-2-7b", "opt-13b"])
def test_shipped_systems_answer(name: str, model: str) -> None:
    found = system(name)
    assert (found.name, bool(found.title)) == (name, True)
    answer = found.answer(dataclasses.replace(SMALL, network=network(model)))
    for span in (answer.prefill, answer.step, answer.decode, answer.whole):
        assert 0 < float(span.time.value) < float("inf")
        assert sum(float(charge.value) for charge in span.charged.values()) == pytest.approx(float(span.time.value))
        assert all(0 <= float(amount.value) < float("inf") for amount in (*span.busy.values(), *span.moved.values()))
    assert all(float(tier.used.value) >= 0 and float(tier.capacity.value) > 0 for tier in answer.tiers)
    assert float(answer.tiers[0].used.value) > 0
    assert answer.system == name
    assert {field.split(".")[0] for field in answer.assumptions} <= {name, *(part.device.name for part in answer.parts)}


@pytest.mark.parametrize("name", names())
def test_a_grid_of_answers_is_its_points(name: str) -> None:
    found = system(name)
    batches = np.array([[1.0]]) if found.most_sequences == 1 else np.array([[1.0], [6.0], [64.0]])
    prompts = np.array([100.0, 3000.0])
    shape = (len(batches), len(prompts))
    grid = found.answer(dataclasses.replace(SMALL, prompt=prompts, batch=batches))
    for row, batch in enumerate(batches[:, 0]):
        for column, prompt in enumerate(prompts):
            point = found.answer(dataclasses.replace(SMALL, prompt=float(prompt), batch=float(batch)))
            for whole, alone in ((grid.prefill, point.prefill), (grid.step, point.step)):
                assert np.broadcast_to(whole.time.value, shape)[row, column] == pytest.approx(float(alone.time.value))
                for link, amount in alone.moved.items():
                    assert np.broadcast_to(whole.moved[link].value, shape)[row, column] == pytest.approx(float(amount.value))
            for tier, alone_tier in zip(grid.tiers, point.tiers, strict=True):
                assert np.broadcast_to(tier.used.value, shape)[row, column] == pytest.approx(float(alone_tier.used.value))
            assert np.broadcast_to(grid.fits, shape)[row, column] == point.fits


@pytest.mark.parametrize("name", names())
def test_the_window_bounds_cache_and_steps(name: str) -> None:
    """Under a window far shorter than the prompt nothing takes longer, and a longer prompt changes no step."""
    found = system(name)
    work = dataclasses.replace(SMALL, prompt=65536)
    dense, capped = found.answer(work), found.answer(dataclasses.replace(work, window=2048))
    further = found.answer(dataclasses.replace(work, window=2048, prompt=131072))
    assert float(capped.step.time.value) <= float(dense.step.time.value)
    assert float(further.step.time.value) == pytest.approx(float(capped.step.time.value))
    assert float(capped.prefill.time.value) <= float(dense.prefill.time.value)
    for short, long in zip(capped.tiers, dense.tiers, strict=True):
        assert float(short.used.value) <= float(long.used.value)


def test_out_of_memory_says_by_how_much() -> None:
    settings = ["weights={gpu: 0, host: 100}", "cache={gpu: 0, host: 100}", "batches=1"]
    opt = network("opt-175b")
    work = Workload(network=opt, prompt=512, generated=32, batch=8)
    found = over(system("flexgen-t4", set_values(settings)).answer(work))
    h, layers = 12288, 96
    needed = layers * (24 * h * h + 4 * h * 8 * (512 + 32)) + 2 * h * 8 * 512
    assert found == {"host memory": pytest.approx(needed - 208 * 2**30)}


def test_a_drive_takes_what_the_host_has_no_room_for() -> None:
    work = Workload(network=network("opt-175b"), prompt=512, generated=32, batch=256)
    settings = ["weights={gpu: 0, host: 50}", "cache={gpu: 0, host: 0}", "batches=8"]
    assert system("flexgen-t4", set_values(settings)).answer(work).fits


def test_flexgen_beside_instinfer_runs_out_of_gpu_memory_past_the_batch_that_was_printed() -> None:
    baseline = system("instinfer-flexgen")
    assert baseline.answer(INSTINFER).fits
    assert set(over(baseline.answer(dataclasses.replace(INSTINFER, batch=128)))) == {"GPU memory"}
    assert system("instinfer-dense").answer(dataclasses.replace(INSTINFER, batch=256)).fits


def test_seventy_billion_weights_do_not_fit_a_card_of_24_gb() -> None:
    work = dataclasses.replace(SMALL, network=network("llama-3-70b"))
    found = over(system("gpu-rtx-4090").answer(work))
    assert 115e9 < found["GPU memory"] < 117e9
    assert not over(system("gpu-rtx-4090").answer(dataclasses.replace(work, weight_bits=2.0)))


@pytest.mark.parametrize(
    ("name", "settings", "count", "causes", "tier"),
    [
        ("instinfer-dense", (), "csds", ("flash", "engine of the drive", "GPU to drive"), "drives"),
        ("instinfer-sparf", (), "csds", ("flash", "engine of the drive", "GPU to drive"), "drives"),
        ("instinfer-flexgen", (), "drives", (DRIVE,), "drive"),
        ("zero-v100", ("weights=drive", "drives=8", "drive_cost=1 ns"), "drives", (DRIVE,), "drive"),
        ("fpga-u280", (), "cards", ("HBM",), "card memory"),
    ],
)
def test_twice_the_devices_take_half_their_time(
    name: str, settings: tuple[str, ...], count: str, causes: tuple[str, ...], tier: str
) -> None:
    few = system(name, set_values(settings))
    many = dataclasses.replace(few, **{count: 2 * getattr(few, count)})
    one, two = few.answer(INSTINFER), many.answer(INSTINFER)
    for span, other in ((one.step, two.step), (one.prefill, two.prefill)):
        for cause in causes:
            if cause in span.busy:
                assert float(other.busy[cause].value) == pytest.approx(float(span.busy[cause].value) / 2)
        assert {link: float(amount.value) for link, amount in other.moved.items()} == {
            link: pytest.approx(float(amount.value)) for link, amount in span.moved.items()
        }
    room, doubled = ({each.name: each for each in answer.tiers}[tier] for answer in (one, two))
    assert float(doubled.capacity.value) == 2 * float(room.capacity.value)
    assert float(doubled.used.value) == float(room.used.value)


def test_settings_change_what_they_name() -> None:
    flexgen = system("flexgen-t4", set_values(["weights.gpu=10", "has_overlap=false", "batches=5", "gpu=a6000"]))
    assert isinstance(flexgen, FlexGen)
    assert (flexgen.weights.gpu, flexgen.weights.host, flexgen.weights.drive) == (10, 80, 10)
    assert (flexgen.has_overlap, flexgen.batches, flexgen.gpu) == (False, 5, GPUS.load("a6000"))
    shipped = system("flexgen-t4")
    assert isinstance(shipped, FlexGen)
    assert (shipped.weights.gpu, shipped.batches) == (20, 1)


def test_of_settings_of_one_thing_the_last_holds() -> None:
    found = system("gpu-a100", set_values(["gpus=2", "gpus=4"]))
    assert isinstance(found, GpuOnly)
    assert found.gpus == 4


def test_a_field_that_the_file_leaves_out_can_be_set() -> None:
    found = system("instinfer-flexgen", set_values(["drives=3", "compression=0.5"]))
    assert isinstance(found, DriveCache)
    assert (found.drives, found.compression) == (3, 0.5)


def test_a_number_with_a_source_keeps_its_unit_and_becomes_assumed() -> None:
    before, after = system("instinfer-flexgen"), system("instinfer-flexgen", set_values(["sequence_cost=2 ms"]))
    assert isinstance(before, DriveCache)
    assert isinstance(after, DriveCache)
    assert before.sequence_cost.kind == "derived"
    assert (after.sequence_cost.kind, after.sequence_cost.source) == ("assumed", "set by the user")
    assert after.sequence_cost.value.to("ms") == 2
    assert "instinfer-flexgen.sequence_cost" in after.answer(INSTINFER).assumptions
    assert "instinfer-flexgen.sequence_cost" not in before.answer(INSTINFER).assumptions


@pytest.mark.parametrize(
    "change", ["drive=pm9a3", "drive.read_rate=6 GB/s", "gpu=h100-sxm", "host.gpu_link_rate=0.5 GB/s", "drive.file_share=0.5"]
)
@pytest.mark.parametrize("name", ["flexgen-t4", "instinfer-flexgen"])
def test_another_device_is_another_answer_or_is_refused(name: str, change: str) -> None:
    """What a run reached of its devices belongs to these devices, and goes with them."""
    work = dataclasses.replace(INSTINFER, batch=8)
    settings = set_values([change, *(["cache={gpu: 0, host: 0}"] if name == "flexgen-t4" else [])])
    base = system(name, {path: value for path, value in settings.items() if path == "cache"}).answer(work)
    changed = system(name, settings).answer(work)
    assert (changed.step.time.value, changed.prefill.time.value) != (base.step.time.value, base.prefill.time.value)


def test_a_number_that_has_its_source_from_the_type_can_be_set_too() -> None:
    found = system("zero-a100", set_values(["layer_cost=5 ms"]))
    assert isinstance(found, ZeroInference)
    assert found.layer_cost.value.to("ms") == pytest.approx(5)
    assert found.assumed == ("layer_cost", "copy_share")


def test_numbers_within_are_set_and_assumed_like_others() -> None:
    rates = system("flexgen-t4", set_values(["rates.fault_rate=1 GB/s"]))
    assert rates.assumed == ("rates.fault_rate",)
    sparf = system("instinfer-sparf", set_values(["sparsity.group_tokens=32", "sparsity.page_tokens=1024"]))
    assert isinstance(sparf, InstInfer)
    assert sparf.sparsity is not None
    assert sparf.sparsity.group_tokens.value == 32
    assert "sparsity.group_tokens" in sparf.assumed


def test_a_file_says_only_what_differs_from_the_one_it_extends(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: instinfer-sparf\nname: mine\ntitle: Mine\ncsds: 2\n")
    further = tmp_path / "further.yaml"
    further.write_text(f"extends: {mine}\nname: further\ntitle: Further\ngpu: a100-sxm-80\n")
    found, base = system(str(further)), system("instinfer-sparf", set_values(["csds=2", "gpu=a100-sxm-80"]))
    assert isinstance(found, InstInfer)
    assert (found.name, found.title, found.csds) == ("further", "Further", 2)
    assert dataclasses.replace(found, name=base.name, title=base.title) == base


def test_every_composition_has_a_system_that_ships() -> None:
    assert {type(system(name)) for name in names()} == set(METHODS.values())


REFUSALS = [
    ("gpu-a10", (), "System must be one of * or a YAML file, not 'gpu-a10' (nearest: gpu-a100)"),
    ("gpu-a100", ("method=gpus",), "System gpu-a100 method must be one of * (nearest: gpu), not 'gpus'"),
    ("gpu-a100", ("method=[gpu]",), "System gpu-a100 method must be one of *, not ['gpu']"),
    ("gpu-a100", ("gpu=a1000",), "GPU must be one of * or a YAML file, not 'a1000' (nearest: a6000)"),
    ("gpu-a100", ("gpu=4090",), "System gpu-a100 gpu must be a GPU by name, or a mapping of its fields, not 4090"),
    ("zero-a100", ("drive=deepnvme",), "Drive must be one of * or a YAML file, not 'deepnvme' (nearest: deepnvme-*)"),
    ("instinfer-dense", ("csd=smart-ssd",), "CSD must be one of * or a YAML file, not 'smart-ssd' (nearest: smartssd)"),
    ("instinfer-dense", ("csds",), "Setting must read PATH=VALUE such as tile.tokens=2, not 'csds'"),
    ("instinfer-dense", ("=2",), "Setting must read PATH=VALUE such as tile.tokens=2, not '=2'"),
    ("instinfer-dense", ("csds={",), "Setting 'csds' must have a value in YAML, not '{' (line 2: *)"),
    ("instinfer-dense", ("cdss=2",), "System instinfer-dense setting must be one of * (nearest: csds), not 'cdss'"),
    ("instinfer-dense", ("name=mine",), "System instinfer-dense setting must be one of *, not 'name'"),
    ("flexgen-t4", ("wieghts.gpu=1",), "System flexgen-t4 setting must be one of * (nearest: weights), not 'wieghts'"),
    ("flexgen-t4", ("weights.gpus=1",), "System flexgen-t4 setting must be one of gpu, host (nearest: gpu), not 'gpus'"),
    (
        "instinfer-dense",
        ("sparsity.token_share=0.1",),
        "System instinfer-dense setting must change a part of something that has parts, not of 'sparsity'",
    ),
    (
        "flexgen-t4",
        ("rates.unpacking.value=3",),
        "System flexgen-t4 setting must change a part of something that has parts, not of 'unpacking'",
    ),
    (
        "instinfer-flexgen",
        ("sequence_cost=2",),
        "System instinfer-flexgen sequence_cost.value must be a number and a unit (s, *), not 2",
    ),
    (
        "instinfer-flexgen",
        ("sequence_cost=2 GB",),
        "System instinfer-flexgen sequence_cost.value must be a number and a unit (s, *), not '2 GB'",
    ),
    (
        "instinfer-flexgen",
        ("drive.read_rate=-2 GB/s",),
        "System instinfer-flexgen drive.read_rate.value must be above 0, not '-2 GB/s'",
    ),
    ("instinfer-flexgen", ("sequence_cost=0 s",), "System instinfer-flexgen sequence_cost.value must be above 0, not '0 s'"),
    ("instinfer-flexgen", ("compression=0",), "System instinfer-flexgen compression must be a number above 0 and at most 1, not 0"),
    (
        "instinfer-flexgen",
        ("compression=1.5",),
        "System instinfer-flexgen compression must be a number above 0 and at most 1, not 1.5",
    ),
    ("instinfer-dense", ("key_copies=0.5",), "System instinfer-dense key_copies.value must be a number of at least 1, not 0.5"),
    ("instinfer-dense", ("csd=smartssd",), "CSD smartssd must have used_rate, at which its flash is read"),
    ("gpu-a100", ("gpus=-1",), "System gpu-a100 gpus must be an integer of at least 1, not -1"),
    ("gpu-a100", ("gpus=1.5",), "System gpu-a100 gpus must be an integer of at least 1, not 1.5"),
    ("gpu-a100", ("gpus=",), "System gpu-a100 gpus must be an integer of at least 1, not None"),
    ("gpu-a100", ("gpus=two",), "System gpu-a100 gpus must be an integer of at least 1, not 'two'"),
    ("flexgen-t4", ("has_overlap=1",), "System flexgen-t4 has_overlap must be true or false, not 1"),
    ("flexgen-t4", ("weights.gpu=30",), "Split must add up to at most 100 percent, not 30 on the GPU and 80 on the host"),
    ("flexgen-t4", ("cache.gpu=-1",), "System flexgen-t4 cache.gpu must be a number from 0 to 100, not -1"),
    ("flexgen-t4", ("activations.host=60",), "System flexgen-t4 activations must be on GPU and host, not 40 percent on the drive"),
    ("flexgen-t4", ("host=xeon-5320",), "Host xeon-5320 must have attention_rate, at which its processor attends"),
    ("zero-a100", ("weights=disk",), "System zero-a100 weights must be one of drive, gpu, host, not 'disk'"),
    ("zero-4090", ("weights=drive",), "System zero-4090 must have a drive, where its weights are"),
    ("zero-4090", ("host=shadowkv",), "Host shadowkv must have memory_rate, at which its processor attends"),
    ("triforce-a100", ("level=both",), "System triforce-a100 level must be one of draft, hierarchy, retrieval, target, not 'both'"),
    ("triforce-a100", ("acceptance=1",), "System triforce-a100 acceptance.value must be a number of at least 0 below 1, not 1"),
    (
        "triforce-a100",
        ("draft_acceptance=1.2",),
        "System triforce-a100 draft_acceptance.value must be a number of at least 0 below 1, not 1.2",
    ),
    ("triforce-a100", ("host_layers=1.5",), "System triforce-a100 host_layers.value must be a number from 0 to 1, not 1.5"),
    ("triforce-a100", ("budget=0",), "System triforce-a100 budget.value must be a whole number of at least 1, not 0"),
    ("shadowkv-a100", ("hit_share=2",), "System shadowkv-a100 hit_share.value must be a number from 0 to 1, not 2"),
    ("shadowkv-a100", ("budget_share=2",), "System shadowkv-a100 budget_share.value must be a number from 0 to 1, not 2"),
    ("shadowkv-a100", ("gather_share=0",), "System shadowkv-a100 gather_share.value must be a number above 0 and at most 1, not 0"),
    (
        "shadowkv-a100",
        ("attention_share=2",),
        "System shadowkv-a100 attention_share.value must be a number above 0 and at most 1, not 2",
    ),
    ("shadowkv-a100", ("chunk=0",), "System shadowkv-a100 chunk.value must be a whole number of at least 1, not 0"),
]


def says(text: str, sentence: str) -> bool:
    """Return whether a text is a sentence, in which each star stands for anything."""
    first, *parts = sentence.split("*")
    if not text.startswith(first) or (not parts and text != first):
        return False
    rest = text[len(first) :]
    for part in parts[:-1]:
        _, found, rest = rest.partition(part)
        if not found:
            return False
    return not parts or rest.endswith(parts[-1])


@pytest.mark.parametrize(("name", "settings", "sentence"), REFUSALS, ids=[f"{name} {' '.join(s)}" for name, s, _ in REFUSALS])
def test_what_makes_no_sense_is_refused_in_a_sentence(name: str, settings: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SpecError) as refusal:
        system(name, set_values(settings))
    assert says(str(refusal.value), sentence), str(refusal.value)


COUNTS = [
    (name, field)
    for name in names()
    for field, kind in typing.get_type_hints(type(system(name)), include_extras=True).items()
    if kind == Devices
]


@pytest.mark.parametrize(("name", "field"), COUNTS)
def test_a_system_with_none_of_something_is_refused(name: str, field: str) -> None:
    with pytest.raises(SpecError, match=f"^System {name} {field} must be an integer of at least 1, not 0$"):
        system(name, set_values([f"{field}=0"]))


def test_every_system_that_counts_devices_is_among_them() -> None:
    assert {field for _, field in COUNTS} == {"gpus", "drives", "csds", "cards", "batches"}


FILES = [
    ("- 1\n", "System *mine.yaml must be a mapping of fields, not [1]"),
    ("name: mine\n", "System *mine.yaml method must be one of *, not None"),
    ("extends: 5\n", "System *mine.yaml must extend another one by name, not 5"),
    ("extends: gpu-a10\n", "System must be one of * or a YAML file, not 'gpu-a10' (nearest: gpu-a100)"),
    ("extends: mine.yaml\n", "System mine.yaml must extend another one, not itself"),
    ("extends: other.yaml\n", "System other.yaml must extend another one, not itself"),
    ("extends: gpu-a100\ncards: 2\n", "System mine.yaml field must be one of its own such as *, not 'cards'"),
    ("method: gpu\nname: mine\ntitle: Mine\ngpu: a6000\n", "System mine.yaml must have the field 'host'"),
    ("extends: triforce-a100\nbudget: 4096\n", "System mine.yaml budget must be a mapping of value, kind and source, not 4096"),
    ("a: [\n", "System file must be YAML, not the text of 'mine.yaml' (line 2, a: *)"),
]


@pytest.mark.parametrize(("text", "sentence"), FILES, ids=[sentence for _, sentence in FILES])
def test_a_file_with_a_mistake_is_refused_in_a_sentence(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    Path("other.yaml").write_text("extends: mine.yaml\n")
    with pytest.raises(SpecError) as refusal:
        system("mine.yaml")
    assert says(str(refusal.value), sentence), str(refusal.value)


def test_a_file_says_of_its_devices_what_differs_and_its_paths_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "fast.yaml").write_text(
        "extends: a100-sxm-80\nname: fast\ntitle: Fast\nmemory_rate: {value: 3 TB/s, kind: assumed, source: a guess}\n"
    )
    (tmp_path / "mine.yaml").write_text("extends: gpu-a100\nname: mine\ngpu: fast.yaml\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "yours.yaml").write_text("extends: ../mine.yaml\nname: yours\ngpus: 2\n")
    found = system(str(tmp_path / "sub" / "yours.yaml"))
    assert isinstance(found, GpuOnly)
    assert (found.gpu.name, found.gpu.memory_rate.value.to("TB/s")) == ("fast", 3.0)
    assert found.gpu.memory == GPUS.load("a100-sxm-80").memory
    assert found.full_title == "Two Fast, everything in GPU memory"
    (tmp_path / "inside.yaml").write_text("extends: gpu-a100\nname: inside\ngpu: {extends: fast.yaml, name: faster}\n")
    inside = system(str(tmp_path / "inside.yaml"), {"gpu.memory": "1 TB"})
    assert isinstance(inside, GpuOnly)
    assert (inside.gpu.name, inside.gpu.title, inside.gpu.memory.value.to("TB")) == ("faster", "Fast", 1.0)


def test_a_number_of_a_device_is_changed_by_its_path() -> None:
    found = system("gpu-a100", {"gpu.memory_rate": "1 TB/s", "host.memory": "2 TB"})
    assert isinstance(found, GpuOnly)
    assert found.gpu.memory_rate.value.to("TB/s") == 1.0 and found.gpu.memory_rate.is_assumed
    assert found.host.memory is not None and found.host.memory.value.to("TB") == 2.0
    slow, fast = (each.answer(SMALL).tokens_per_second for each in (found, system("gpu-a100")))
    assert slow < fast
    with pytest.raises(SpecError, match="^System gpu-a100 setting must be one of .*memory_rate.*, not 'memory_rat'$"):
        system("gpu-a100", {"gpu.memory_rat": "1 TB/s"})


def test_titles_tell_the_devices_there_are() -> None:
    assert system("gpu-a100", {"gpu": "t4", "gpus": 12}).full_title == "12 NVIDIA T4, everything in GPU memory"
    with pytest.raises(SpecError, match="^System gpu-a100 title must have one of gpu, host in braces, not 'card'$"):
        system("gpu-a100", {"title": "On {card}"})


def test_a_system_that_no_file_describes_is_refused_alike() -> None:
    found = system("gpu-a100")
    assert isinstance(found, GpuOnly)
    with pytest.raises(SpecError, match="^System gpu-a100 gpus must be 1 or more, not -2$"):
        dataclasses.replace(found, gpus=-2)


def test_no_sequences_are_refused() -> None:
    with pytest.raises(SpecError, match="^Workload batch must be above 0, not 0$"):
        system("gpu-a100").answer(dataclasses.replace(SMALL, batch=0))


@pytest.mark.parametrize("name", ["zero-v100", "zero-a100-host"])
def test_a_host_without_memory_is_refused_where_it_must_hold_something(name: str) -> None:
    found = system(name)
    assert isinstance(found, ZeroInference)
    found = dataclasses.replace(found, host=dataclasses.replace(found.host, memory=None))
    sentence = f"^Device {found.host.name} must have memory, which nobody stated: give it in a file of your own$"
    with pytest.raises(SpecError, match=sentence):
        found.answer(SMALL)


def test_a_drive_without_capacity_is_refused() -> None:
    found = system("instinfer-flexgen")
    assert isinstance(found, DriveCache)
    found = dataclasses.replace(found, drive=dataclasses.replace(found.drive, capacity=None))
    with pytest.raises(SpecError, match="^Device 980-pro must have capacity, which nobody stated: give it in a file of your own$"):
        found.answer(SMALL)


def test_copies_cross_the_link_of_a_gpu_at_the_rate_that_was_measured_or_at_what_packets_leave() -> None:
    step = system("stream-4090-x2").answer(dataclasses.replace(SMALL, prompt=130048)).step
    assert float(step.moved[LINK].value / step.busy[LINK].value) == pytest.approx(2 * 26.37e9, rel=1e-3)
    measured = system("stream-4090-x2", {"host.gpu_link_rate": "25.4 GB/s"}).answer(dataclasses.replace(SMALL, prompt=130048)).step
    assert float(measured.moved[LINK].value / measured.busy[LINK].value) == pytest.approx(2 * 25.4e9)
