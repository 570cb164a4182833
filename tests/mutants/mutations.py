"""The small faults that a file can have: each replaces one piece of its source by another."""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div}
OPPOSITES = {
    **{"min": "max", "max": "min", "any": "all", "all": "any", "argmin": "argmax", "argmax": "argmin"},
    **{"floor": "ceil", "ceil": "floor", "minimum": "maximum", "maximum": "minimum", "sum": "mean", "mean": "sum"},
}
DROPPED = ("sorted", "abs", "round", "reversed")  # calls that leave their one argument when lost
SILENT = ("logger", "warnings", "logging")  # what is said to the user decides nothing


class Mutation(NamedTuple):
    """One fault: `kind`, the line it is on (from 1), and bytes `start` to `stop` of the source, replaced by `text`."""

    kind: str
    line: int
    start: int
    stop: int
    text: str

    def applied(self, source: str) -> str:
        """Returns the source with the fault."""
        whole = source.encode()
        return (whole[: self.start] + self.text.encode() + whole[self.stop :]).decode()


def mutations(source: str) -> list[Mutation]:
    """Returns every fault that can be put into a source, in order; docstrings, annotations and messages have none."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, kind, new in _faults(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[node.end_lineno - 1] + node.end_col_offset
        text = new if isinstance(new, str) else ast.unparse(new)
        if isinstance(node, ast.expr) and isinstance(new, ast.BinOp | ast.BoolOp | ast.Compare | ast.IfExp):
            text = f"({text})"
        found.append(Mutation(kind, node.lineno, start, stop, text))
    return sorted(found, key=lambda fault: (fault.start, fault.stop, fault.kind, fault.text))


def _faults(node: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST | str]]:
    """Yields (node, kind, what stands in its place) below a node."""
    for rule in _RULES.get(type(node), ()):
        for kind, new in rule(node):
            yield node, kind, new
    for child in _children(node):
        yield from _faults(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what decides something: no annotation, no message of an error, no call that only tells the user."""
    passed_over: set[int] = set()
    if isinstance(node, ast.Raise):
        return
    if isinstance(node, ast.AnnAssign):
        passed_over.add(id(node.annotation))
    if isinstance(node, ast.arg):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        passed_over |= {id(node.returns), *map(id, node.decorator_list)}
    if isinstance(node, ast.ClassDef):
        passed_over |= set(map(id, [*node.bases, *node.decorator_list]))
    for child in ast.iter_child_nodes(node):
        if id(child) not in passed_over and not (isinstance(child, ast.Expr) and _is_silent(child.value)):
            yield child


def _is_silent(value: ast.expr) -> bool:
    """Whether an expression statement is a docstring or speaks to the user only."""
    name = value.func if isinstance(value, ast.Call) else None
    base = name.value if isinstance(name, ast.Attribute) else name
    return isinstance(value, ast.Constant) or (isinstance(base, ast.Name) and base.id in (*SILENT, "print"))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """Returns a copy of a node with other fields."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _compare(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    first = COMPARISONS[type(node.ops[0])]()
    yield "comparison", _with(node, ops=[first, *node.ops[1:]])


def _boolean(node: ast.BoolOp) -> Iterator[tuple[str, ast.AST]]:
    for index in range(len(node.values)):
        left = node.values[:index] + node.values[index + 1 :]
        yield "condition dropped", left[0] if len(left) == 1 else _with(node, values=left)
    yield "and, or", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _negation(node: ast.UnaryOp) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield "sign", node.operand


def _arithmetic(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    texts = [side for side in (node.left, node.right) if isinstance(side, ast.JoinedStr | ast.List | ast.Tuple)]
    texts += [s for s in (node.left, node.right) if isinstance(s, ast.Constant) and isinstance(s.value, str | bytes)]
    if type(node.op) in OPERATORS and not texts:
        yield "operator", _with(node, op=OPERATORS[type(node.op)]())


def _constant(node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.value, bool):
        yield "constant", ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield "off by one", ast.Constant(node.value + 1)
    elif isinstance(node.value, float):
        yield "constant", ast.Constant(2 * node.value or 1.0)


def _keyword(node: ast.keyword) -> Iterator[tuple[str, str]]:
    if node.arg in ("axis", "dim") and isinstance(node.value, ast.Constant | ast.UnaryOp):
        yield "axis", f"{node.arg}={'1' if ast.unparse(node.value) == '0' else '0'}"


def _call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in OPPOSITES:
        other = OPPOSITES[name]
        whole = isinstance(node.func, ast.Name)
        if not whole or other not in ("mean",):
            yield "opposite", _with(node, func=ast.Name(other) if whole else _with(node.func, attr=other))
    lost = name in DROPPED or "normal" in name
    if lost and node.args and not isinstance(node.args[0], ast.Starred):
        yield "call lost", node.args[0]


def _statement(node: ast.Expr) -> Iterator[tuple[str, str]]:
    if isinstance(node.value, ast.Call | ast.Await) and not _is_silent(node.value):
        yield "statement skipped", "pass"


def _branch(node: ast.IfExp) -> Iterator[tuple[str, ast.AST]]:
    yield "branch", node.body
    yield "branch", node.orelse


def _unpacking(node: ast.Assign) -> Iterator[tuple[str, str]]:
    (target, *more) = node.targets
    if not more and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        names = [ast.unparse(part) for part in target.elts]
        if not any(name.startswith("*") for name in names) and "_" not in names:
            yield "swapped", f"{names[1]}, {names[0]} = {ast.unparse(node.value)}"


def _increment(node: ast.AugAssign) -> Iterator[tuple[str, str | ast.AST]]:
    if type(node.op) in OPERATORS and not isinstance(node.value, ast.List | ast.ListComp | ast.JoinedStr):
        yield "operator", _with(node, op=OPERATORS[type(node.op)]())
    yield "statement skipped", "pass"


def _guard(node: ast.If) -> Iterator[tuple[str, str]]:
    """An `if` that leaves or raises, gone: only where nothing else hangs on it, so that one line stands for it."""
    leaves = isinstance(node.body[-1], ast.Return | ast.Continue | ast.Break | ast.Raise)
    if leaves and not node.orelse and len(node.body) == 1:
        yield "guard lost", "pass"


Rule = Callable[..., Iterator[tuple[str, "str | ast.AST"]]]
_RULES: dict[type, tuple[Rule, ...]] = {
    ast.Compare: (_compare,),
    ast.BoolOp: (_boolean,),
    ast.UnaryOp: (_negation,),
    ast.BinOp: (_arithmetic,),
    ast.Constant: (_constant,),
    ast.keyword: (_keyword,),
    ast.Call: (_call,),
    ast.Expr: (_statement,),
    ast.IfExp: (_branch,),
    ast.Assign: (_unpacking,),
    ast.AugAssign: (_increment,),
    ast.If: (_guard,),
}
