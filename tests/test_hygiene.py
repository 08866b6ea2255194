"""The rules of design section 7 that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mmdet3d_plugin"
SOURCES = sorted(p for folder in (PACKAGE, ROOT / "tools") for p in folder.rglob("*.py"))
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_ARGUMENTS, MAX_FILE_BYTES = 400, 60, 12, 500_000
STREAM_OWNER = PACKAGE / "models" / "occupancy_model.py"  # the one module that keeps state between calls


def tracked_files() -> list[Path]:
    output = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if output.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in output.stdout.split("\0") if name and (ROOT / name).is_file()]


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def test_no_tracked_build_products_or_large_files():
    bad = []
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if re.search(r"\.(pyc|so|o|pth|egg-info)$|__pycache__|ipynb_checkpoints|^work_dirs/", name):
            bad.append(name)
        if path.stat().st_size > MAX_FILE_BYTES and not name.startswith("tests/golden/"):
            bad.append(f"{name}: {path.stat().st_size} bytes")
    assert not bad


def test_files_are_short():
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > MAX_FILE_LINES}
    assert not long


def test_functions_are_short():
    long = []
    for path in SOURCES:
        for node in functions(parse(path)):
            docstring = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1 - (len(docstring.splitlines()) if docstring else 0)
            if lines > MAX_FUNCTION_LINES:
                long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} ({lines})")
    assert not long


def test_constructors_take_few_arguments():
    wide = []
    for path in SOURCES:
        for node in functions(parse(path)):
            if node.name == "__init__":
                count = len(node.args.posonlyargs) + len(node.args.args) + len(node.args.kwonlyargs) - 1
                if count > MAX_ARGUMENTS:
                    wide.append(f"{path.relative_to(ROOT)}:{node.lineno} ({count})")
    assert not wide


def test_models_keep_no_state_outside_constructors():
    bad = []
    for path in sorted((PACKAGE / "models").rglob("*.py")):
        if path == STREAM_OWNER:
            continue
        for function in functions(parse(path)):
            if function.name in ("__init__", "__post_init__", "__init_subclass__"):
                continue
            for node in ast.walk(function):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, (ast.AugAssign, ast.AnnAssign))
                    else []
                )
                for target in targets:
                    if (
                        isinstance(target, ast.Attribute)
                        and isinstance(target.value, ast.Name)
                        and target.value.id == "self"
                    ):
                        bad.append(f"{path.relative_to(ROOT)}:{node.lineno} self.{target.attr}")
    assert not bad


def test_package_has_no_prints_debuggers_or_absolute_paths():
    bad = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(parse(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("print", "breakpoint")
            ):
                bad.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.func.id}()")
            if isinstance(node, (ast.Import, ast.ImportFrom)) and any(a.name in ("pdb", "IPython") for a in node.names):
                bad.append(f"{path.relative_to(ROOT)}:{node.lineno} debugger import")
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.match(r"/(home|root|tmp|mnt|work)/", node.value)
            ):
                bad.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.value!r}")
    assert not bad


def test_registered_classes_take_no_kwargs():
    bad = []
    for path in SOURCES:
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.ClassDef) or not any(
                "register_module" in ast.dump(d) for d in node.decorator_list
            ):
                continue
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == "__init__" and function.args.kwarg:
                    bad.append(f"{path.relative_to(ROOT)}:{function.lineno} {node.name}")
    assert not bad


def test_no_exception_is_swallowed():
    bad = []
    for path in SOURCES:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or (
                    isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
                )
                empty = all(isinstance(s, ast.Pass) for s in node.body)
                reraises = any(isinstance(s, ast.Raise) for s in ast.walk(node))
                if empty or (broad and not reraises):
                    bad.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not bad


@pytest.mark.parametrize(
    "op", sorted(p.name for p in (PACKAGE / "ops").iterdir() if p.is_dir() and p.name != "__pycache__")
)
def test_every_op_is_complete(op):
    folder = PACKAGE / "ops" / op
    for needed in (
        folder / "__init__.py",
        folder / "reference.py",
        folder / "kernel.py",
        ROOT / "tests" / "ops" / f"test_{op}.py",
        ROOT / "benchmarks" / f"bench_{op}.py",
    ):
        assert needed.is_file(), f"op {op} lacks {needed.relative_to(ROOT)}"
    signatures = {}
    for name in ("reference.py", "kernel.py"):
        for node in parse(folder / name).body:
            if isinstance(node, ast.FunctionDef) and node.name == op:
                signatures[name] = [a.arg for a in node.args.args + node.args.kwonlyargs]
    assert len(signatures) == 2, f"op {op}: `def {op}` must be in reference.py and kernel.py"
    assert signatures["reference.py"] == signatures["kernel.py"]


def _public(path: Path) -> list[ast.FunctionDef | ast.ClassDef]:
    return [
        node
        for node in parse(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]


def test_public_names_have_docstrings():
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in _public(path)
        if not ast.get_docstring(node) and not any("overload" in ast.dump(d) for d in node.decorator_list)
    ]
    assert not missing


def test_makefile_and_readme_agree():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 200
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", readme))
    assert {"demo", "test"} <= named <= targets
