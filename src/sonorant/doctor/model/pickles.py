"""Reading pickles as data: what they hold, what they would import and call. None of it is imported or called.

Python's pickle is a program for a small machine (pickletools documents each instruction). This one runs it
with calls left undone: a call is a value that names its function. PyTorch's checkpoints are such programs.
"""

from __future__ import annotations

import pickletools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MOST = 20_000_000
"""instructions that are read"""


@dataclass(frozen=True, slots=True)
class Global:
    """Something that would be imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Call:
    """A call, or an object made in another way, that is not made here."""

    function: Any
    arguments: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """A value that lies elsewhere, under this id: a tensor's storage."""

    id: Any


class _Mark:
    pass


@dataclass(slots=True)
class Pickle:
    """What a pickle holds."""

    value: Any
    imports: list[Global]
    """in order"""


class BrokenPickle(ValueError):
    """It ends early, or is none."""

    def __init__(self, why: str, imports: Sequence[Global] = ()) -> None:
        super().__init__(why)
        self.imports = tuple(imports)
        """before it broke: whoever loads it runs those"""


def read(stream: BinaryIO) -> Pickle:
    """The pickle at the stream's place, which is then behind it. Raises BrokenPickle."""
    machine = _Machine()
    count = 0
    try:
        for instruction, argument, _ in pickletools.genops(stream):
            machine.do(instruction.name, argument)
            count += 1
            if count > MOST:
                raise BrokenPickle(f"it has more than {MOST} instructions")
    except BrokenPickle as error:
        raise BrokenPickle(str(error), machine.imports) from error
    except Exception as error:  # whatever pickletools or a program made for the purpose runs into
        raise BrokenPickle(f"{type(error).__name__}: {error}", machine.imports) from error
    return Pickle(machine.stack[-1] if machine.stack else None, machine.imports)


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.imports: list[Global] = []

    def do(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(argument)])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(argument)] = self.stack[-1]
        else:
            method = getattr(self, f"_{name.lower()}", None)
            if method is not None:
                method(argument)
            elif name not in ("PROTO", "FRAME", "STOP"):
                raise BrokenPickle(f"an instruction {name}")

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _mark(self, _: Any) -> None:
        self.stack.append(_Mark)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._imported(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        # what is no text was put together at run time: then there is no telling what it is
        self._imported(module if isinstance(module, str) else "?", name if isinstance(name, str) else "?")

    def _imported(self, module: str, name: str) -> None:
        self.imports.append(Global(module, name))
        self.stack.append(self.imports[-1])

    def _ext1(self, argument: int) -> None:
        self._imported("copyreg", f"extension {argument}")

    _ext2 = _ext4 = _ext1

    def _inst(self, argument: str) -> None:
        arguments = tuple(self._since_mark())
        self._global(argument)
        self.stack.append(Call(self.stack.pop(), arguments))

    def _obj(self, _: Any) -> None:
        function, *arguments = self._since_mark()
        self.stack.append(Call(function, tuple(arguments)))

    def _reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        empty = function in (Global("collections", "OrderedDict"),) and arguments == ()
        self.stack.append({} if empty else Call(function, arguments))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        keywords, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.stack.append(Call(function, (arguments, keywords)))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state

    def _persid(self, argument: Any) -> None:
        self.stack.append(Persistent(argument))

    def _binpersid(self, _: Any) -> None:
        self.stack.append(Persistent(self.stack.pop()))

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self._last(1)

    def _tuple2(self, _: Any) -> None:
        self._last(2)

    def _tuple3(self, _: Any) -> None:
        self._last(3)

    def _list(self, _: Any) -> None:
        self.stack.append(list(self._since_mark()))

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        values = self._since_mark()
        self.stack.append({})
        self._into(values, pairs=True)

    def _append(self, _: Any) -> None:
        self._into([self.stack.pop()], pairs=False)

    def _appends(self, _: Any) -> None:
        self._into(self._since_mark(), pairs=False)

    _additems = _appends

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._into([key, value], pairs=True)

    def _setitems(self, _: Any) -> None:
        self._into(self._since_mark(), pairs=True)

    def _next_buffer(self, _: Any) -> None:
        self.stack.append(b"")

    def _readonly_buffer(self, _: Any) -> None:
        pass

    def _since_mark(self) -> list[Any]:
        at = len(self.stack) - 1 - self.stack[::-1].index(_Mark)
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def _last(self, count: int) -> None:
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(values)

    def _into(self, values: list[Any], *, pairs: bool) -> None:
        target = self.stack[-1]
        if isinstance(target, dict) and pairs:
            for key, value in zip(values[::2], values[1::2], strict=True):
                target[key if isinstance(key, str | int) else repr(type(key))] = value
        elif isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Call):
            target.items.extend(values)


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
