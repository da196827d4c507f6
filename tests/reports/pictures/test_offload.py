"""The picture of systems over contexts: a line and a name for each, every cause with a colour."""

from hwsim.arch.workload import Workload
from lamforge.flow.offload.compare import CONTENDERS, CONTEXTS, Comparison, compared
from lamforge.flow.offload.contender import contender
from models.zoo import network
from reports.pictures.offload import COLOURS, FIGURES, KINDS, contexts_picture, kind_of

NAMES = ("gpu-a100", "gpu-rtx-4090", "shadowkv-a100", "fpga-u280:w2a8kv4:2048")


def some(model: str, *names: str) -> Comparison:
    return compared(network(model), [contender(name) for name in names], CONTEXTS, 64, (1,))


def test_a_line_and_a_name_for_each_system_that_the_workload_fits() -> None:
    found = some("llama-2-7b", *NAMES)
    for figure in FIGURES:
        picture = contexts_picture(found, figure)
        assert picture.count('class="line"') == len(NAMES)
        for name in NAMES:
            assert f">{name}</text>" in picture
    alone = contexts_picture(found, "token_per_s", is_alone=True)
    assert 'xmlns="http://www.w3.org/2000/svg"' in alone
    assert "--blue" in alone


def test_without_any_system_it_says_so() -> None:
    assert "The workload fits no system." in contexts_picture(some("llama-3-70b", "gpu-rtx-4090"), "step_s")


def test_every_cause_has_a_kind_and_a_colour() -> None:
    for name in CONTENDERS:
        asked = Workload(network=network("llama-2-7b"), prompt=4096.0, generated=8.0, batch=1.0)
        for cause in contender(name).answer(asked).whole.charged:
            assert COLOURS[kind_of(cause)]
    assert set(COLOURS) == set(KINDS)
