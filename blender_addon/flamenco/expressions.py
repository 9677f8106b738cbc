"""Expressions that a job type uses to take a setting's value from the scene.

They come from the Server, so they get a small part of Python, walked node by node and never compiled: reading
attributes and items, arithmetic, comparisons, ``x if y else z``, f-strings, and calls of the few functions below.
No call reaches what the add-on did not offer, nothing is assigned, and results stay small.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any

LONGEST_SOURCE = 1000
LONGEST_TEXT = 10_000
LARGEST_NUMBER = 2**63
HIDDEN_PREFIXES = ("_", "bl_", "rna_")
"""Python's and Blender's inner workings."""
HIDDEN_NAMES = frozenset({"window_managers", "id_data"})
"""What leads to add-on properties and the clipboard, which are not part of the file that is sent."""
TEXT_METHODS = frozenset(
    {"capitalize", "endswith", "isdigit", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace"}
    | {"rpartition", "rsplit", "rstrip", "split", "startswith", "strip", "title", "upper"}
)
_FORMAT = re.compile(r"[<>^+-]?0?\d{0,3},?(\.\d{1,2})?[dfgsexX%]?")


class BadExpression(ValueError):
    """An expression that was refused or failed; the message says why."""


@dataclass(frozen=True)
class Function:
    """A function that expressions may call; any other callable cannot be reached."""

    call: Callable[..., Any]


def _rounded(number: float, digits: int = 0) -> float:
    """Round, to digits that do not make a power of ten which fills the memory."""
    if not 0 <= digits <= 15:
        raise BadExpression("may round to 0 to 15 digits only")
    return round(number, digits) if digits else round(number)


FUNCTIONS: dict[str, Function] = {
    name: Function(function)
    for name, function in (
        *(("str", str), ("int", int), ("float", float), ("bool", bool), ("len", len)),
        *(("min", min), ("max", max), ("abs", abs), ("round", _rounded), ("sorted", sorted), ("Path", PurePath)),
    )
}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_NUMBERS_ONLY = (ast.Mult, ast.Mod)
"""On texts these make huge results of small expressions."""
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


def evaluate(source: str, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression, in which ``names`` and ``FUNCTIONS`` are known. Raises BadExpression."""
    try:
        return _Walk({**FUNCTIONS, **names}).value(_parsed(source))
    except BadExpression:
        raise
    except RecursionError as error:
        raise BadExpression("is nested too deeply") from error
    except Exception as error:  # what is read is Blender's, and any getter of it may raise anything
        raise BadExpression(f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=256)
def _parsed(source: str) -> ast.expr:
    if len(source) > LONGEST_SOURCE:
        raise BadExpression(f"is longer than {LONGEST_SOURCE} characters")
    try:
        return ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise BadExpression("is not a Python expression") from error


class _Walk:
    """Computes one expression; a method per kind of node, and a kind without a method is refused."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def value(self, node: ast.AST) -> Any:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise BadExpression(f"uses {type(node).__name__}, which is not allowed here")
        return _small(method(node))

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self._names:
            raise BadExpression(f"uses the unknown name {node.id}")
        return self._names[node.id]

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if node.attr.startswith(HIDDEN_PREFIXES) or node.attr in HIDDEN_NAMES:
            raise BadExpression(f"may not read .{node.attr}")
        if isinstance(owner, str):
            return self._text_method(owner, node.attr)
        found = getattr(owner, node.attr)
        if callable(found) and not isinstance(found, Function):
            raise BadExpression(f"may not use the function .{node.attr}")
        return found

    def _text_method(self, text: str, name: str) -> Function:
        if name not in TEXT_METHODS:
            raise BadExpression(f"may not use the method .{name} of a text")
        return Function(getattr(text, name))

    def _call(self, node: ast.Call) -> Any:
        function = self.value(node.func)
        if not isinstance(function, Function):
            raise BadExpression("calls something that is not a function offered here")
        if node.keywords:
            raise BadExpression("may not use keyword arguments")
        return function.call(*(self.value(argument) for argument in node.args))

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value)[self.value(node.slice)]

    def _slice(self, node: ast.Slice) -> slice:
        return slice(*(part and self.value(part) for part in (node.lower, node.upper, node.step)))

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if type(node.op) not in _BINARY:
            raise BadExpression(f"uses {type(node.op).__name__}, which is not allowed here")
        if isinstance(node.op, _NUMBERS_ONLY) and not (_is_number(left) and _is_number(right)):
            raise BadExpression("may use * and % with numbers only")
        return _BINARY[type(node.op)](left, right)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if type(node.op) not in _UNARY:
            raise BadExpression(f"uses {type(node.op).__name__}, which is not allowed here")
        return _UNARY[type(node.op)](self.value(node.operand))

    def _boolop(self, node: ast.BoolOp) -> Any:
        stops_at = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self.value(part)
            if bool(value) is stops_at:
                break
        return value

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for compared, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(right_node)
            if not _COMPARE[type(compared)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _tuple(self, node: "ast.Tuple | ast.List | ast.Set") -> "tuple[Any, ...]":
        return tuple(self.value(item) for item in node.elts)

    _list = _set = _tuple

    def _joinedstr(self, node: ast.JoinedStr) -> str:
        return "".join(self.value(part) for part in node.values)

    def _formattedvalue(self, node: ast.FormattedValue) -> str:
        spec = self.value(node.format_spec) if node.format_spec else ""
        if not _FORMAT.fullmatch(spec) or node.conversion != -1:
            raise BadExpression("uses a format that is not allowed here")
        value = self.value(node.value)
        return format(value, spec) if isinstance(value, (str, int, float)) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _small(value: Any) -> Any:
    if isinstance(value, (str, bytes, tuple, list)) and len(value) > LONGEST_TEXT:
        raise BadExpression("makes a text that is too long")
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise BadExpression("makes a number that is too large")
    return value
