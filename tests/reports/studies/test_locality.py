"""The measurement of what sparse attention picks: right on what can be seen by eye, and consistent on a real model."""

import numpy as np
import pytest
import torch

from models.checkpoint import load
from models.reference.llama import Llama
from reports.documents.plain import plain
from reports.studies.locality import SHARES, LocalityStudy, mean, measure, picks, touched_share
from reports.text.studies import locality_text


def test_picks_by_eye() -> None:
    keys = torch.zeros(8, 4)
    keys[:, 0] = torch.tensor([0.0, 5.0, 1.0, 4.0, 2.0, 3.0, 9.0, -8.0])
    keys[:, 2] = 100.0
    queries = torch.tensor([[-1.0, 0.5, 0.2, 0.1], [2.0, 0.5, 0.2, 0.1]])
    channel, token = picks(queries, keys, channel_share=1 / 4, token_share=1 / 4)
    # The largest channel by magnitude; the second-last query does not see the last key.
    assert np.array_equal(channel, [[True, False, False, False]] * 2)
    assert np.flatnonzero(token[0]).tolist() == [0, 2]
    assert np.flatnonzero(token[1]).tolist() == [1, 6]


def test_touched_groups_by_eye() -> None:
    picked = np.zeros((1, 2, 8), bool)
    picked[0, 0, [0, 1, 6]] = True
    picked[0, 1, [0, 4, 7]] = True
    # The first query sees 7 tokens, one whole group of 4: what lies behind it is not on flash. The second sees both.
    assert touched_share(picked, np.array([7, 8]), 4) == (1 + 2) / (1 + 2)
    assert touched_share(picked, np.array([7, 8]), 2) == (1 + 3) / (3 + 4)


def test_measure_adds_up(rng: np.random.Generator) -> None:
    model = Llama(load("smollm2-135m"))
    tokens = rng.integers(0, 1000, 160).tolist()
    found = measure(model, tokens, SHARES, queries=8)
    assert [(each.channel_share, each.token_share) for each in found] == list(SHARES)
    for each in found:
        assert each.context == 160
        assert each.run_tokens >= 1
        shares = list(each.group_share.values())
        assert each.token_share * 0.9 < shares[0] and shares == sorted(shares)
        # Pages of two channels: no fewer touched than if all picked channels lay side by side, no more than if all lay apart.
        assert each.channel_share <= each.page_share[2] <= 2 * each.channel_share
        assert each.channel_share / 2 + each.token_share == pytest.approx(1 / 8)
    study = LocalityStudy(places=tuple((0, each) for each in found), means=tuple(mean([each, each]) for each in found))
    assert study.means[0].group_share == pytest.approx(found[0].group_share)
    assert plain(study)["places"][1][1]["context"] == 160
    assert f"{found[0].run_tokens:.2f}" in locality_text(study).splitlines()[1]
