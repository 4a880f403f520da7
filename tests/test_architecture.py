"""The house keeps its order: who may import whom, how long things are, and which words are not used (design, 4)."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "schemas": set(),
    "rules": {"schemas"},
    "streams": {"rules", "schemas"},
    "connectors": {"schemas"},
    "sandbox": {"schemas"},
    "renkei": {"schemas", "rules", "streams", "connectors", "sandbox"},
}  # fmt: skip
"""Of our packages; each may import itself."""

ONLY_IN = {
    "faust": {"streams/faust_runtime.py", "streams/faust_agents.py"},
    "aiokafka": {"streams/by_number.py", "streams/faust_runtime.py", "streams/partition_log.py"},
    "kafka": {"connectors/kafka_io.py", "connectors/kafka_reading.py"},
    "requests": {"connectors/transport.py", "connectors/auth.py"},
}  # fmt: skip
"""Libraries that one file, or two, may import."""

IMPURE = {
    "aiohttp", "asyncio", "ftplib", "glob", "http", "httpx", "io", "multiprocessing", "os", "pathlib", "random",
    "requests", "secrets", "select", "shutil", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile",
    "threading", "time", "urllib3", "uuid",
}  # fmt: skip
"""What reads a clock, a file, a socket or chance: not for ``rules``."""

IN_MEMORY = {"schemas/contracts.py": {"io"}}
"""Of ``io`` only ``BytesIO``: the bytes of a message, as the Avro library wants them."""

IMPURE_CALLS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
BUILT_IN_IMPURE = {"open", "input", "print", "eval", "exec", "__import__", "breakpoint"}

FORBIDDEN_WORDS = {
    "process",
    "handle",
    "manage",
    "manager",
    "handler",
    "helper",
    "helpers",
    "util",
    "utils",
    "data",
    "info",
}

NAMED_BY_OTHERS = {"manager", "handle_RCPT", "handle_DATA", "data_type"}
"""A person's manager; what aiosmtpd calls; a field of Zoho's metadata; pydantic's FieldInfo."""

MODULE_LINES, TEST_LINES, FUNCTION_LINES = 400, 600, 40


@cache
def parsed(path: str) -> ast.Module:
    """The syntax tree of a module of ours."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def modules(*packages: str) -> list[str]:
    """The modules of these packages by path, from the root of the project."""
    found = (path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py"))
    return sorted(path.as_posix() for path in found if not _is_foreign(path))


def _is_foreign(path: Path) -> bool:
    """Built packages, and packages of strangers that tests install, keep their own order."""
    return "build" in path.parts or "__pycache__" in path.parts


OURS = modules(*MAY_IMPORT)
TESTS = modules("tests", "benchmarks")


def imported(path: str) -> Iterator[str]:
    """The modules that a module imports, also inside functions."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.module or ""


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{path} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name.partition(".")[0] in {*MAY_IMPORT, "tests", "benchmarks"} - allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    users = {path for path in OURS if any(name.partition(".")[0] == library for name in imported(path))}
    assert users <= ONLY_IN[library]


def test_the_pure_core_reads_no_clock_no_file_and_no_socket() -> None:
    wrong = [
        f"{path} imports {name}"
        for path in modules("rules", "schemas")
        for name in imported(path)
        if name.partition(".")[0] in IMPURE - IN_MEMORY.get(path, set())
    ]
    wrong += [
        f"{path}:{line} calls {call}" for path in modules("rules", "schemas") for line, call in _impure_calls(path)
    ]
    assert wrong == []


def test_the_stages_are_pure_too() -> None:
    stages = ["stage", "records", "relations", "journeys", "journeystate", "keystate", "flow"]
    paths = [f"streams/{name}.py" for name in stages]
    wrong = [f"{path} imports {name}" for path in paths for name in imported(path) if name.partition(".")[0] in IMPURE]
    wrong += [f"{path}:{line} calls {call}" for path in paths for line, call in _impure_calls(path)]
    assert wrong == []


def _impure_calls(path: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in BUILT_IN_IMPURE:
            yield node.lineno, called.id
        elif isinstance(called, ast.Attribute) and (_last_name(called.value), called.attr) in IMPURE_CALLS:
            yield node.lineno, f"{_last_name(called.value)}.{called.attr}"


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_no_module_is_longer_than_one_can_read() -> None:
    long = {path: _lines(path) for path in OURS if _lines(path) > MODULE_LINES}
    long |= {path: _lines(path) for path in TESTS if _lines(path) > TEST_LINES}
    assert long == {}


def _lines(path: str) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_no_function_is_longer_than_forty_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in [*OURS, *TESTS]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []


def test_every_package_says_what_lives_there() -> None:
    folders = {Path(path).parent for path in OURS}
    silent = [
        folder.as_posix()
        for folder in sorted(folders)
        if not (ROOT / folder / "__init__.py").exists()
        or not ast.get_docstring(parsed((folder / "__init__.py").as_posix()))
    ]
    assert silent == []


def test_every_module_says_what_lives_there() -> None:
    assert [path for path in [*OURS, *TESTS] if not ast.get_docstring(parsed(path))] == []


def test_no_module_of_ours_is_named_after_a_library() -> None:
    names = {Path(path).stem for path in OURS}
    assert not names & {"faust", "kafka", "requests", "avro", "lark", "liquid", "typer", "rich", "fastapi", "pydantic"}


def test_no_name_uses_a_word_that_says_nothing() -> None:
    wrong = [
        f"{path}:{line} {name}"
        for path in OURS
        for line, name in [(1, Path(path).stem), *_defined(path)]
        if name.lstrip("_") not in NAMED_BY_OTHERS and FORBIDDEN_WORDS & set(_words(name))
    ]
    assert wrong == []


def _defined(path: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(path)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.arg():
                yield node.lineno, node.arg


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower())
