"""Settings: what is refused, and when what happens in the course of a training."""

import pytest

from hwsim.errors import SpecError
from models.distill.settings import Settings


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "w3"}, "Distillation format must be one of w2, w2s (nearest: w2), not 'w3'"),
        ({"steps": 0}, "Distillation steps must be an integer of at least 1, not 0"),
        ({"seed": True}, "Distillation seed must be an integer of at least 0, not True"),
        ({"clip": float("nan")}, "Distillation clip must be a number of at least 0, not nan"),
        ({"mask_share": 1.5}, "Distillation mask_share must be a number from 0 to 1, not 1.5"),
        (
            {"chat_share": 0.7, "encyclopedia_share": 0.4},
            "Distillation chat_share and encyclopedia_share must be at most 1 together, not 1.1",
        ),
        ({"temperature": 0.0}, "Distillation temperature must be a number above 0, not 0.0"),
        (
            {"steps": 0, "format": "w3"},
            "Distillation steps must be an integer of at least 1, not 0; Distillation format must be one of w2, w2s",
        ),
        ({"step": 3}, "Distillation field must be one of its own such as 'steps', not 'step'"),
    ],
)
def test_refusals(changes: dict[str, object], text: str) -> None:
    with pytest.raises(SpecError) as refused:
        Settings.from_document(changes)
    assert str(refused.value).startswith(text)


def test_documents_read_back() -> None:
    settings = Settings.from_document({"steps": 7, "format": "w2", "clip": 0.5})
    assert (settings.steps, settings.format, settings.clip) == (7, "w2", 0.5)
    assert Settings.from_document(settings.to_document()) == settings


def test_the_course() -> None:
    settings = Settings(steps=100, warm_share=0.1, mask_share=0.2, mask_every=5, final_share=0.02, feature_share=0.4)
    assert [settings.rate_share(step) for step in (0, 9, 10)] == [0.1, 1.0, 1.0]
    assert settings.rate_share(100) == pytest.approx(0.02)
    assert [step for step in range(100) if settings.is_mask_due(step)] == [5, 10, 15]
    assert not any(Settings(format="w2", steps=100).is_mask_due(step) for step in range(100))
    assert settings.feature_weight_at(0) == settings.feature_weight > settings.feature_weight_at(20) > 0
    assert settings.feature_weight_at(40) == 0
