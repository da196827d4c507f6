"""Generated pages: Markdown tables, and what declarations say of themselves in the text below each assignment."""

import ast
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["docs_of", "field_docs", "table", "write_page"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def field_docs(cls: type) -> dict[str, str]:
    """Return what stands below each assignment in a class and in those it inherits from, the oldest first."""
    docs: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if ancestor.__module__.split(".")[0] in ("hwsim", "models", "lamforge"):
            body = ast.parse(inspect.getsource(sys.modules[ancestor.__module__])).body
            own = (node.body for node in body if isinstance(node, ast.ClassDef) and node.name == ancestor.__name__)
            docs |= docs_of(next(own, []))
    return docs


def docs_of(body: Sequence[ast.stmt]) -> dict[str, str]:
    """Return the text below each assignment; one text may stand below several and is for all of them."""
    docs: dict[str, str] = {}
    waiting: list[str] = []
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            waiting += [target.id for target in targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs |= dict.fromkeys(waiting, " ".join(inspect.cleandoc(node.value.value).split()))
            waiting = []
        else:
            waiting = []
    return docs


def write_page(page: str) -> None:
    """Write a page to the file that the command line names, or to standard output."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page)
    else:
        sys.stdout.write(page)
