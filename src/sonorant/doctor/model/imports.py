"""What the imports of a pickle mean: known data, foreign classes, or a program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sonorant.doctor.model.finding import ERROR, Finding, Subject, some
from sonorant.doctor.model.pickles import Global

_DATA = re.compile(
    r"collections\.(OrderedDict|defaultdict|Counter|deque)"
    r"|torch\.(\w+Storage|Size|device|dtype|Tensor|BFloat16Tensor|float\d*|bfloat16|half|double|int\d*|uint8|bool"
    r"|long|short|qint8|quint8|qint32|per_tensor_affine|per_channel_affine|strided|contiguous_format|serialization"
    r"\._get_layout)"
    r"|torch\.storage\.(Untyped|Typed)Storage"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.nn\.parameter\.(Parameter|Buffer)"
    r"|numpy\.(core|_core)\.multiarray\.(_reconstruct|scalar)|numpy\.(ndarray|dtype)|numpy\.dtypes\.\w+"
    r"|numpy\._core\.numeric\._frombuffer|numpy\.core\.numeric\._frombuffer"
    r"|(builtins|__builtin__)\.(set|frozenset|slice|complex|bytearray|bytes|int|float|str|bool|list|dict|tuple"
    r"|object|range)"
    r"|_codecs\.encode|copyreg\._reconstructor|copy_reg\._reconstructor"
)
"""what torch.load(weights_only=True) takes (torch/_weights_only_unpickler.py), and plain values"""
_PROGRAMS = re.compile(
    r"(os|posix|nt|ntpath|posixpath|subprocess|sys|shutil|socket|runpy|pty|importlib|ctypes|_ctypes|webbrowser|code"
    r"|codeop|pickle|_pickle|cloudpickle|dill|marshal|operator|_operator|pip|asyncio"
    r"|multiprocessing|threading|_thread|urllib|http|ftplib|smtplib|requests|httpx|tempfile|io|_io|commands|pdb|bdb"
    r"|timeit|cProfile|profile|trace|doctest|inspect|gc|signal|atexit|platform|ensurepip|venv|zipimport|pkgutil"
    r"|site|builtins|__builtin__|pydoc|idlelib|torch\.(hub|jit|load|ops|utils|distributed|package|serialization)"
    r"|numpy\.(testing|load|f2py|distutils|lib|ctypeslib)|\?|copyreg)(\..*)?"
)
"""modules whose functions run programs, or with which one can be put together"""

_PARTS = {
    "os", "posix", "nt", "sys", "subprocess", "builtins", "__builtins__", "importlib", "system", "popen",
    "eval", "exec", "getattr", "__import__", "__globals__", "__class__", "__dict__", "__subclasses__",
}  # fmt: skip
"""parts of a name by which it reaches through a harmless module: torch.os.system"""


def programs(imports: Iterable[Global]) -> list[str]:
    """Those that run something, or with which that can be put together."""
    return [
        name
        for name in dict.fromkeys(map(str, imports))
        if not _DATA.fullmatch(name) and (_PROGRAMS.fullmatch(name) or _PARTS & {*name.split(".")})
    ]


def judged(subject: Subject, imports: Sequence[Global], *, whole: bool = True) -> Iterator[Finding]:
    """At most one finding. Of a pickle that is not `whole` only what it runs before it breaks off."""
    strange = [name for name in dict.fromkeys(map(str, imports)) if not _DATA.fullmatch(name)]
    if run := programs(imports):
        yield Finding(
            "pickle-runs-code",
            ERROR,
            what=f"Loading it would run code: {some(run)}",
            why="A pickle is a program, and this one calls functions that no weights need",
            remedy="Do not load it with anything, and tell where it came from; get the model as safetensors",
            where=subject.name,
        )
    elif strange and whole:
        yield Finding(
            "pickle-needs-code",
            ERROR,
            what=f"Loading it would import {some(strange)}",
            why="A whole object was saved rather than its weights, so that its code is needed to read it",
            remedy="Where you trust it, load it once with its own project and save model.state_dict() alone, "
            "as safetensors; nothing here runs code that a file names",
            where=subject.name,
        )
