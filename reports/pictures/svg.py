"""SVG elements as text; colours come from the classes of the page around them."""

from collections.abc import Iterable
from html import escape

__all__ = ["drawing", "line", "path", "rectangle", "text"]


def _element(tag: str, attributes: dict[str, str | float], content: str = "") -> str:
    listed = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"' for name, value in attributes.items())
    return f"<{tag}{listed}>{content}</{tag}>" if content else f"<{tag}{listed}/>"


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def _tip(tip: str) -> str:
    return f"<title>{escape(tip)}</title>" if tip else ""


def drawing(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """Return an `<svg>` that takes the width of the page; `title` is read aloud in its place."""
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {_shown(width)} {_shown(height)}" role="img" aria-label="{escape(title)}">\n{body}\n</svg>'


def rectangle(x: float, y: float, width: float, height: float, kind: str, *, tip: str = "", radius: float = 0) -> str:
    """Return a rectangle of class `kind`; `tip` shows under the pointer."""
    place: dict[str, str | float] = {"x": x, "y": y, "width": max(width, 0), "height": height, "class": kind}
    return _element("rect", place | ({"rx": radius} if radius else {}), _tip(tip))


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line of class `kind`."""
    return _element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def path(points: Iterable[tuple[float, float]], kind: str, *, tip: str = "", is_closed: bool = False) -> str:
    """Return a line through points, or the shape they enclose."""
    joined = " L ".join(f"{_shown(x)} {_shown(y)}" for x, y in points)
    return _element("path", {"d": f"M {joined}{' Z' if is_closed else ''}", "class": kind}, _tip(tip))


def text(x: float, y: float, content: str, kind: str = "label", *, anchor: str = "start", turn: float = 0) -> str:
    """Return a text of class `kind`; `anchor` is start, middle or end, `turn` degrees."""
    attributes: dict[str, str | float] = {"x": x, "y": y, "class": kind, "text_anchor": anchor}
    if turn:
        attributes["transform"] = f"rotate({_shown(turn)} {_shown(x)} {_shown(y)})"
    return _element("text", attributes, escape(content))
