"""The modules of generated Verilog: their text, the modules they instantiate, and which of them are the same."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping

__all__ = ["Module", "modules_of"]

_MODULE = re.compile(r"^(?:\(\*[^\n]*\*\)\n)?module (\\\S+|\w+) ?(?:#\(.*?^\) )?\(.*?^endmodule\n", re.M | re.S)
_INSTANCE = re.compile(r"^  (?:\(\*.*?\*\) )?(\\\S+|[A-Za-z_][\w$]*) +(?:(\\\S+|[A-Za-z_][\w$]*) +\(|#\()", re.M)
_PORT = re.compile(r"^  (?:input|output)\b[^;]*;\n", re.M)
_IDENTIFIER = re.compile(r'"[^"]*"|\\\S+ |[A-Za-z_][\w$]*')
_KEYWORDS = frozenset(
    {
        "module",
        "endmodule",
        "input",
        "output",
        "inout",
        "wire",
        "reg",
        "signed",
        "assign",
        "always",
        "initial",
        "begin",
        "end",
        "if",
        "else",
        "case",
        "casez",
        "endcase",
        "default",
        "posedge",
        "negedge",
        "parameter",
        "localparam",
        "integer",
        "for",
        "generate",
        "endgenerate",
        "genvar",
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Module:
    """One Verilog module."""

    name: str
    text: str
    children: tuple[tuple[str, str], ...]
    """(module, instance) of what it instantiates of the modules given; vendor cells are not among them."""

    @property
    def stub(self) -> str:
        """The module as a black box: its ports alone."""
        header = self.text[: self.text.index(");\n") + 3]
        return f"(* blackbox *)\n{header}{''.join(_PORT.findall(self.text))}endmodule\n"

    @property
    def form(self) -> str:
        """Digest of the text with names counted in the order in which they appear.

        Modules that differ in names alone, as copies of one circuit do, have the same.
        """
        numbers: dict[str, str] = {}

        def number(match: re.Match[str]) -> str:
            word = match.group().strip()
            return word if word in _KEYWORDS or word[0] == '"' else numbers.setdefault(word, f"n{len(numbers)}")

        return hashlib.sha256(_IDENTIFIER.sub(number, self.text).encode()).hexdigest()


def modules_of(texts: Iterable[str]) -> Mapping[str, Module]:
    """Return the modules of Verilog texts by name."""
    found = {match.group(1): match.group() for text in texts for match in _MODULE.finditer(text)}
    modules = {}
    for name, text in found.items():
        instances = (match.groups() for match in _INSTANCE.finditer(text))
        children = tuple((kind, instance or kind) for kind, instance in instances if kind in found)
        modules[name] = Module(name=name, text=text, children=children)
    return modules
