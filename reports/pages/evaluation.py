"""An evaluation as one HTML file that needs nothing else."""

from markupsafe import Markup

from lamforge.flow.accuracy import CONFIDENCE, METHOD
from lamforge.flow.evaluate import Evaluation
from reports.pages.environment import page
from reports.pictures.evaluation import COLOURS, layer_picture, retrieval_picture, stream_picture

__all__ = ["evaluation_page"]

_WORST = 10


def evaluation_page(found: Evaluation) -> str:
    """Return the page; what was not measured is left out."""
    retrievals = (
        ("passkey", "Pass keys", found.passkey),
        ("hard_needle", "Facts among others like them (hard-needle)", found.needles),
    )
    values = {
        "found": found,
        "accuracy": found.accuracy,
        "names": {name: found.accuracy.shown_name(name) for name in found.accuracy.measured},
        "colours": COLOURS,
        "confidence": CONFIDENCE,
        "method": METHOD,
        "stream_picture": found.stream and Markup(stream_picture(found.stream)),
        "layer_picture": found.layers and Markup(layer_picture(found.layers)),
        "retrievals": [
            (key, title, retrieval, Markup(retrieval_picture(retrieval))) for key, title, retrieval in retrievals if retrieval
        ],
        "worst": found.worst_layers(_WORST),
    }
    return page("evaluation", values)
