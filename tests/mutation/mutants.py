"""The mutants of a source: the same text with one operator, comparison, number or name of an extreme changed."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Mutant", "mutants_of"]

_OTHER = {
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "//": "*",
    "%": "//",
    "**": "*",
    ">>": "<<",
    "<<": ">>",
    "&": "|",
    "|": "&",
    "^": "|",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "+=": "-=",
    "-=": "+=",
    "*=": "+=",
    "//=": "*=",
    ">>=": "<<=",
    "<<=": ">>=",
    "&=": "|=",
    "|=": "&=",
    "^=": "|=",
    "and": "or",
    "or": "and",
    "not": "",
    "min": "max",
    "max": "min",
    "True": "False",
    "False": "True",
    "break": "continue",
    "continue": "break",
}
"""What stands in a mutant's place of each word; of whole numbers the next one does."""
_Place = tuple[int, int]


class Mutant(NamedTuple):
    """One change: where it is (line from 1, column from 0), and what is there before and after."""

    line: int
    column: int
    old: str
    new: str

    def applied(self, source: str) -> str:
        """Return the source with the change made."""
        lines = source.splitlines(keepends=True)
        text = lines[self.line - 1]
        assert text.startswith(self.old, self.column)
        lines[self.line - 1] = text[: self.column] + self.new + text[self.column + len(self.old) :]
        return "".join(lines)

    def shown(self, source: str) -> str:
        """Return the change as one line of text."""
        return f"{self.line}:{self.column} {self.old} -> {self.new or 'nothing'}   {source.splitlines()[self.line - 1].strip()}"


def mutants_of(source: str) -> list[Mutant]:
    """Return the mutants of a source that Python compiles to something else, in order.

    Annotations, decorators, imports, docstrings and `__all__` are left as they are: no program's result depends on them.
    """
    tree = ast.parse(source)
    left = list(_left_out(tree))
    same, found = ast.dump(tree), []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        new = _replacement(token)
        if new is None or any(begin <= token.start < end for begin, end in left):
            continue
        mutant = Mutant(*token.start, token.string, new)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                text = mutant.applied(source)
                compile(text, "mutant", "exec", dont_inherit=True)
        except SyntaxError:
            continue
        if ast.dump(ast.parse(text)) != same:
            found.append(mutant)
    return found


def _replacement(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NUMBER and token.string.isdigit():
        return str(int(token.string) + 1)
    return _OTHER.get(token.string) if token.type in (tokenize.OP, tokenize.NAME) else None


def _left_out(tree: ast.Module) -> Iterator[tuple[_Place, _Place]]:
    """Yield where no mutants are made: the first place and the one behind the last."""
    for node in ast.walk(tree):
        nodes: list[ast.AST] = []
        if isinstance(node, ast.Import | ast.ImportFrom):
            nodes.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += [*node.decorator_list, *([node.returns] if node.returns else [])]
        if isinstance(node, ast.ClassDef):
            nodes += node.decorator_list
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            nodes.append(node.annotation)
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            nodes.append(node)
        for each in nodes:
            assert isinstance(each, ast.expr | ast.stmt)
            yield (each.lineno, each.col_offset), (each.end_lineno or 0, each.end_col_offset or 0)
