"""Sentences on who leads where: what is told together, up to which prompt, and what is nowhere in the lead."""

from collections.abc import Mapping

from lamforge.explore.leads import Case, Entry, View
from lamforge.explore.study import Objective, Study, study_of
from reports.text.placements import answers_text, goal_text, leaders_table

KINDS = {"g": "GPU", "h": "GPU and host", "f": "FPGA", "s": "GPU and SSD"}
PROMPTS = (4096, 8192, 16384)


def study(**objectives: str) -> Study:
    axes = {"network": ["llama-2-7b", "llama-2-13b"], "placement.system": ["gpu-a100"], "prompt": list(PROMPTS), "batch": [1, 2]}
    return study_of({"axes": axes, "objectives": objectives or {"token_per_s": "maximize"}})


def entry(letter: str, figure: float) -> Entry:
    return Entry(
        name=f"{letter}-one",
        system=letter,
        kind=KINDS[letter],
        binding="memory",
        batch=1,
        values={},
        metrics={"token_per_s": figure},
    )


def view(batch: int | None, leaders: Mapping[str, str], others: str = "") -> View:
    """Return a view: for each network a letter of the leader at every prompt, `-` where nothing fits, others at a tenth of it."""
    cases = []
    for network, letters in leaders.items():
        for prompt, letter in zip(PROMPTS, letters, strict=True):
            behind = [entry(other, 1.0) for other in others if letter != "-"]
            found = tuple([entry(letter, 10.0), *behind] if letter != "-" else [])
            cases.append(Case(values={"network": network, "prompt": prompt}, entries={"token_per_s": found}))
    return View(batch=batch, cases=tuple(cases))


def test_one_answer_everywhere_is_told_once() -> None:
    alike = {"llama-2-7b": "ggg", "llama-2-13b": "ggg"}
    assert answers_text([view(1, alike), view(None, alike)], study()) == [
        "The GPU alone has the most token/s in all 12 cases: at batch 1 and at the best batch, the GPU alone (g-one) up to 16K"
        " tokens of prompt, the largest asked."
    ]


def test_near_prompts_are_told_together_and_far_ones_apart() -> None:
    (near,) = answers_text([view(1, {"llama-2-7b": "ggh", "llama-2-13b": "ghh"})], study())
    assert near.endswith(": at batch 1, the GPU alone (g-one) up to 4K or 8K tokens of prompt, GPU and host memory (h-one) beyond.")
    (other,) = answers_text([view(1, {"llama-2-7b": "ggg", "llama-2-13b": "ghh"})], study())
    assert (
        "with llama-2-7b, the GPU alone (g-one) up to 16K tokens of prompt, the largest asked; with llama-2-13b, the GPU" in other
    )
    assert other.startswith("The GPU alone has the most token/s in 4 of 6 cases: ")


def test_what_fits_nowhere_and_what_leads_nowhere_is_said() -> None:
    first, last = answers_text([view(1, {"llama-2-7b": "fg-", "llama-2-13b": "fg-"}, others="s")], study())
    assert "the FPGA (f-one) up to 4K tokens of prompt, the GPU alone (g-one) up to 8K, nothing that fits beyond." in first
    assert last == "Nowhere in the lead by any of these: GPU and SSD (at best 10 %) of the most token/s."
    none = view(1, {"llama-2-7b": "---", "llama-2-13b": "---"})
    assert answers_text([none], study()) == ["No placement meets the constraints, so that none has the most token/s."]


def test_views_that_differ_are_told_apart() -> None:
    (text,) = answers_text(
        [view(1, {"llama-2-7b": "ggg", "llama-2-13b": "ggg"}), view(None, {"llama-2-7b": "hhh", "llama-2-13b": "hhh"})], study()
    )
    assert text.startswith("The GPU alone has the most token/s in 6 of 12 cases: at batch 1, the GPU alone (g-one) up to 16K")
    assert "; at the best batch, GPU and host memory (h-one) up to 16K tokens of prompt, the largest asked." in text


def test_goals_have_words_and_tables_the_leaders() -> None:
    assert goal_text(Objective(name="price_usd", is_maximized=False)) == "least price of devices"
    assert goal_text(Objective(name="assumed_share", is_maximized=False)) == "lowest assumed share"
    lines = leaders_table([view(1, {"llama-2-7b": "fg-"})], study()).splitlines()
    assert lines[0].split() == ["most", "token/s", "question", "4K", "8K", "16K"]
    assert lines[1].split() == ["batch", "1", "llama-2-7b", "f-one", "10", "g-one", "10", "nothing", "fits"]
