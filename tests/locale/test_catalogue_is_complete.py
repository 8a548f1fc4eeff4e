"""Every sentence that the code can say to a user has a Chinese entry, and every entry is said somewhere.

The code is read, not run: `Texts` follows what is passed to the errors of our tree, through conditions,
concatenations, variables, and small functions that make the error or the sentence.
"""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from pydantic_core._pydantic_core import list_all_errors
from typer.main import get_command

import sonorant
from sonorant import errors
from sonorant.cli import app
from sonorant.locale import FILLING, HOLE

SOURCE = Path(sonorant.__file__).parent
TABLES: dict[str, dict[str, str]] = tomllib.loads((SOURCE / "locale" / "zh.toml").read_text("utf-8"))
OURS = TABLES.keys() - {"pydantic", "starlette", "typer"}
"""the others hold what those packages say"""

RAISED = {n for n, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
PASSED_ON = {"ValueError", "Unmended", "Refused"}
"""exceptions whose text becomes the `why` of an error"""
SOURCES = {"SourceFailed": 0, "_BrokenOff": 0, "_skip": 1, "Copy": 0, "Unpack": 0}
"""what says why a source could not deliver, and which argument does; the source's name may come before it"""
SAID = {
    "translated": 0, "localized": 0, "Fault": 1, "truncated": 1, "damaged": 1, "Suggestion": 0,
    "Note": 0, "Case": 0, "report": 1, "watch": 1, "untimed": 2,
}  # fmt: skip
"""functions, and which of their arguments is a sentence"""
FOUND = {"Finding", "Evidence"}
"""what else says what, why and remedy, or what is held against it, all by name"""


def bare(template: str) -> str:
    """A template with nameless holes, as it is compared."""
    return re.sub(r"(?<![.])[.]$", "", HOLE.sub("{}", template))


def spoken(text: str) -> bool:
    """Whether it has words outside its holes, and is no command line to be copied."""
    return bool(re.search("[a-z]", text.replace("{}", ""))) and not text.startswith("sonorant ")


class Texts:
    """The templates of sentences, and of fragments that fill their holes, in one module."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text("utf-8"))
        self.sentences: set[str] = set()
        self.fragments: set[str] = set()
        """what an expression inside a hole can be"""
        self.reasons: set[str] = set()
        """why a source could not deliver"""
        self._parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self._functions = {
            node.name: node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        self._calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        for call in self._calls:
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            if name in SOURCES:
                self.reasons |= self._of(call.args[SOURCES[name]])
            elif name in RAISED | FOUND:
                words = {word.arg: word.value for word in call.keywords}
                for expression in [
                    *(call.args[:1] if name in RAISED else ()),
                    *(words[k] for k in ("what", "why", "remedy", "objection") if k in words),
                ]:
                    self.sentences |= self._of(expression)
            elif name == "confined":  # what failures say is done
                titles = [word.value for word in call.keywords if word.arg == "title"]
                self.fragments |= set().union(*map(self._of, titles))
            elif name in PASSED_ON | SAID.keys() and len(call.args) > (place := SAID.get(name, 0)):
                self.sentences |= self._of(call.args[place])

    def _of(self, node: ast.expr | None, seen: frozenset[ast.AST] = frozenset()) -> set[str]:
        """The sentences that an expression can be."""
        if node is None or node in seen:
            return set()
        seen |= {node}
        match node:
            case ast.Constant(value=str(text)):
                return {text} - {""}
            case ast.JoinedStr(values=values):
                return self._filled(values, seen)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                both = product(self._of(left, seen) or {""}, self._of(right, seen) or {""})
                return {"".join(pair) for pair in both} - {""}
            case ast.IfExp(body=body, orelse=other):
                return self._of(body, seen) | self._of(other, seen)
            case ast.BoolOp(op=ast.Or(), values=values):
                return set().union(*(self._of(value, seen) for value in values))
            case ast.Call(func=ast.Attribute(value=ast.Constant(value="; "), attr="join"), args=[parts]):
                return set().union(*(self._of(part, seen) for part in self._elements(parts)))
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                returns = [n for n in ast.walk(self._functions[name]) if isinstance(n, ast.Return)]
                return set().union(*(self._of(n.value, seen) for n in returns))
            case ast.Name(id=name):
                return set().union(*(self._of(value, seen) for value in self._values(node, name)))
        return set()

    def _filled(self, values: list[ast.expr], seen: frozenset[ast.AST]) -> set[str]:
        text = ""
        for value in values:
            if isinstance(value, ast.Constant):
                text += str(value.value)
            elif isinstance(value, ast.FormattedValue):
                text += "{}"
                inside = self._of(value.value, seen)
                if isinstance(value.value, ast.Name):  # single words there are names of fields and elements
                    inside = {text for text in inside if " " in text}
                if isinstance(value.value, ast.IfExp | ast.BoolOp | ast.Name):
                    self.fragments |= {text for text in inside if spoken(text)}
        return {text}

    def _elements(self, node: ast.expr) -> Iterator[ast.expr]:
        """What a list holds that is joined into one text."""
        match node:
            case ast.List(elts=elements):
                for element in elements:
                    yield from (
                        self._elements(element.value) if isinstance(element, ast.Starred) else (element,)
                    )
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                yield element
            case ast.Name(id=name):
                for value in self._values(node, name):
                    yield from self._elements(value)
                yield from (c.args[0] for c in self._calls if ast.unparse(c.func) == f"{name}.append")

    def _values(self, node: ast.AST, name: str) -> Iterator[ast.expr]:
        """What a variable is set to in its function, or a parameter in the calls of that function."""
        while node in self._parents and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node = self._parents[node]
        constants = [one for one in self.tree.body if isinstance(one, ast.Assign)]
        for inner in [*ast.walk(node), *constants]:
            match inner:
                case ast.Assign(targets=[ast.Name(id=to)], value=value) if to == name:
                    yield value
                case ast.NamedExpr(target=ast.Name(id=to), value=value) if to == name:
                    yield value
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    yield from (v for n, v in zip(names, values, strict=True) if ast.unparse(n) == name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args) if arg.arg != "self"]
            for call in self._calls:
                if node.name == ast.unparse(call.func).removeprefix("self."):
                    given = dict(zip(names, call.args, strict=False))
                    given |= {word.arg: word.value for word in call.keywords if word.arg}
                    if name in given:
                        yield given[name]


MODULES = [Texts(path) for path in sorted(SOURCE.rglob("*.py"))]


def entries(tables: frozenset[str] | set[str] = frozenset(TABLES)) -> set[str]:
    return {bare(english) for table in tables for english in TABLES[table]}


def test_the_reader_finds_what_is_said() -> None:
    """It follows helpers, conditions, lists of reasons and parameters: one known text of each kind."""
    said = set().union(*(module.sentences for module in MODULES))
    assert {
        "The audio is longer than {} seconds",
        "No {} model is served here",
        "It is truncated: it has {} of {} bytes",
        "The offline switch is on",
        "the key {} is missing",
        "{} is not a setting; known here: {}",
        "The field {} is wrong: {}.",
        "true or false is expected",
    } <= said
    assert "only its own, which has no name" in set().union(*(module.fragments for module in MODULES))
    assert "was silent for {} s" in set().union(*(module.reasons for module in MODULES))


def test_every_sentence_has_an_entry() -> None:
    said = set().union(*(module.sentences for module in MODULES))
    assert {text for text in said if spoken(text) and bare(text) not in entries()} == set()


def test_what_fills_a_hole_has_an_entry_that_fills_holes() -> None:
    filling = entries(FILLING)
    said = set().union(*(module.fragments for module in MODULES))
    assert {text for text in said if spoken(text) and bare(text) not in filling} == set()
    said = set().union(*(module.reasons for module in MODULES))
    unknown = {text for text in said if spoken(text) and not {bare(text), "{} " + bare(text)} & filling}
    # "refused with {}; {}": each half has its entry
    assert {
        text for text in unknown if not all("{} " + part in filling for part in text.split("; {}")[:1])
    } == set()


def helps() -> Iterator[str]:
    """Every help text of the command line, as it is in the code."""
    names = {"cpu", *(card.stem for card in (SOURCE / "catalogue" / "cards").glob("*.toml"))}
    commands = [get_command(app)]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        yield command.help or ""
        for param in command.params:
            yield getattr(param, "help", None) or ""
            default = getattr(param, "show_default", None)
            if isinstance(default, str) and not set(default.split()) <= names and not default[0].isdigit():
                yield default


def test_every_help_text_has_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert {text for text in helps() if text and bare(text) not in entries({"help"})} == set()


def test_no_entry_is_dead() -> None:
    """Each is a template or a string somewhere in the code."""
    there: set[str] = set()
    for module in MODULES:
        there |= {"{} " + reason for reason in module.reasons} | module.sentences | module.reasons
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                there.add(inspect.cleandoc(node.value))
                there.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                there.add("".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values))
    assert entries(OURS) - {bare(text) for text in there} == set()


@pytest.mark.parametrize("table", TABLES)
def test_a_translation_has_the_holes_of_its_sentence(table: str) -> None:
    for english, chinese in TABLES[table].items():
        holes = HOLE.findall(english)
        assert "{}" not in english or table == "typer", f"{english}: a hole without a name is never filled"
        assert len(holes) == len(set(holes)), f"{english}: two holes have one name"
        wanted = {hole for hole in holes if hole not in ("expected_plural", "field_type")}
        assert set(HOLE.findall(chinese)) == wanted, english
        assert bare(english) == HOLE.sub("{}", english), f"{english}: full stops are left out"
        assert not chinese.endswith("。"), f"{chinese}: full stops are left out"


def test_no_two_entries_are_the_same_sentence() -> None:
    names = [bare(english) for table in TABLES.values() for english in table]
    assert {name for name in names if names.count(name) > 1} == set()


def test_entries_for_pydantic_are_its_own_templates() -> None:
    assert TABLES["pydantic"].keys() <= {error["message_template_python"] for error in list_all_errors()}
