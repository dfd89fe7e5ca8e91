"""Which names of a notebook hold something observed: what a claim has to depend on.

The rule, cell by cell in their order: a value is observed if it comes from the lab, a command or the network, or is
computed from such a value; what is computed from literals alone is not. So

    hits = k.pod("client").get("http://web")      observed: `k` comes from lab.start()
    expected = {"web-1": 0.5}                     not observed
    learn.claim("…", len(hits) == 10)             depends on an observation
    learn.claim("…", expected["web-1"] == 0.5)    does not

It sees data flow, not truth: it finds claims that cannot fail whatever the lab does, not those that are badly chosen.
"""

from __future__ import annotations

import ast

# Calling into these is looking at the world; labkit.learn and labkit.show only talk about it.
OBSERVERS = frozenset({"labkit", "subprocess", "socket", "requests", "urllib", "http", "httpx", "kubernetes", "dns"})
_TALKERS = frozenset({"labkit.learn", "labkit.show", "labkit.errors", "labkit.api", "labkit.net"})
_MAGICS = frozenset({"get_ipython"})  # `!command` and `%magic` become calls of it


class Observations:
    """The names that are observed so far; `follow` the statements in the order in which they run."""

    def __init__(self) -> None:
        self.observed: set[str] = set()
        self._observers: set[str] = set(_MAGICS)

    def follow(self, statement: ast.stmt) -> None:
        """Take in what one statement of a cell does to the names."""
        self._statement(statement, certain=True)

    def depends(self, expression: ast.expr) -> bool:
        """Whether the value comes from an observation."""
        for node in ast.walk(expression):
            if isinstance(node, ast.Name) and node.id in self.observed:
                return True
            if isinstance(node, ast.Call) and _root(node.func) in self._observers:
                return True
        return False

    def _statement(self, node: ast.stmt, certain: bool) -> None:
        """`certain`: the statement runs for sure, so that a plain value given to a name makes it plain again."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Assign():
                for target in node.targets:
                    self._bind(target, self.depends(node.value), certain)
            case ast.AnnAssign(value=ast.expr() as value):
                self._bind(node.target, self.depends(value), certain)
            case ast.AugAssign():
                self._bind(node.target, self.depends(node.value), certain=False)
            case ast.Expr():
                self._fill(node.value)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
            case ast.For() | ast.AsyncFor():
                self._bind(node.target, self.depends(node.iter), certain=False)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    if item.optional_vars:
                        self._bind(item.optional_vars, self.depends(item.context_expr), certain)
            case ast.Delete():
                for target in node.targets:
                    self._bind(target, observed=False, certain=certain)
        self._walrus(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._blocks(node, certain and isinstance(node, ast.With | ast.AsyncWith))

    def _blocks(self, node: ast.stmt, certain: bool) -> None:
        for name in ("body", "orelse", "finalbody"):
            for inner in getattr(node, name, []):
                self._statement(inner, certain)
        for handler in getattr(node, "handlers", []):
            if handler.name:  # what is raised tells what happened: observed where the tried code looks at the world
                tried = ast.Module(body=node.body, type_ignores=[])  # type: ignore[attr-defined]
                if any(self.depends(e) for e in ast.walk(tried) if isinstance(e, ast.expr)):
                    self.observed.add(handler.name)
            for inner in handler.body:
                self._statement(inner, certain=False)
        for case in getattr(node, "cases", []):
            for inner in case.body:
                self._statement(inner, certain=False)

    def _bind(self, target: ast.expr, observed: bool, certain: bool) -> None:
        if isinstance(target, ast.Name):
            if observed:
                self.observed.add(target.id)
            elif certain:
                self.observed.discard(target.id)
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._bind(element, observed, certain)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, observed, certain)
        elif observed and (name := _root(target)):
            self.observed.add(name)  # found["x"] = … and found.x = … fill what they belong to

    def _fill(self, value: ast.expr) -> None:
        """`rows.append(observed)` makes `rows` observed."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            arguments = [*value.args, *(keyword.value for keyword in value.keywords)]
            name = _root(value.func)
            if name and name not in self._observers and any(self.depends(argument) for argument in arguments):
                self.observed.add(name)

    def _walrus(self, node: ast.stmt) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr) and self.depends(inner.value):
                self.observed.add(inner.target.id)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """A function observes if anything in it does; one that only computes passes on what it is given."""
        inside = Observations()
        inside.observed = self.observed - {
            argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)
        }
        inside._observers = set(self._observers)
        for statement in node.body:
            inside._statement(statement, certain=False)
        if any(inside.depends(e) for statement in node.body for e in ast.walk(statement) if isinstance(e, ast.expr)):
            self._observers.add(node.name)
        else:
            self._observers.discard(node.name)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            origin = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            talks = any(origin == talker or origin.startswith(f"{talker}.") for talker in _TALKERS)
            if origin.split(".")[0] in OBSERVERS and not talks:
                self._observers.add(name)
            else:
                self._observers.discard(name)


def _root(node: ast.expr) -> str:
    """The name at the bottom of a.b[c].d(…); empty where there is none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
