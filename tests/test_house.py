"""The rules of the house: which part may import which, and what may stand in a file."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
LAYERS = {
    0: {"core"},
    1: {"data", "nn", "objectives"},
    2: {"engine"},
    3: {"estimators"},
    4: {
        "diagnose",
        "explain",
        "robust",
        "ensemble",
        "compress",
        "deploy",
        "audit",
        "pretrain",
        "repair",
        "rl",
        "transfer",
        "tuning",
    },
    5: {"lab", "report"},
    6: {"cli", "testing"},
}
LAYER = {part: level for level, parts in LAYERS.items() for part in parts}
APART = (1, 4)  # parts of these layers never import each other
CONCRETE = {"glia.estimators.classifier", "glia.estimators.regressor", "glia.estimators.perceptron"}
LAZY = {"glia", "glia.core.optional"}  # besides glia.cli: imports inside functions are their purpose
HEAVY = {"torch", "sklearn", "scipy", "pandas", "matplotlib"}


def name_of(path, root=SRC):
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@cache
def sources(root=SRC):
    return {name_of(path, root): path for path in sorted((root / "glia").rglob("*.py"))}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path, modules):
    """Yield (module of glia that is imported, the imported name or "", statement, in a function, for types only)."""

    def visit(node, inside, typing_only):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, "", child, inside, typing_only
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    whole = f"{child.module}.{alias.name}"
                    target, name = (whole, "") if whole in modules else (child.module or ".", alias.name)
                    yield target, name, child, inside, typing_only
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from visit(child, inside or function, typing_only or types)

    yield from visit(tree(path), False, False)


def part_of(module):
    return module.split(".")[1] if "." in module else ""


def layer_of(module):
    """Return the layer; top modules (``glia``, ``glia.__main__`` and other files beside the parts) stand above all."""
    return LAYER.get(part_of(module), 7)


def offences(root=SRC):
    """Return every import that breaks a rule, as readable lines."""
    modules, found = sources(root), []
    for module, path in modules.items():
        for target, name, node, inside, _ in imports(path, modules):
            where = f"{path.relative_to(root)}:{node.lineno}"
            if inside and module not in LAZY and part_of(module) != "cli":
                found.append(f"{where}: import inside a function")
            if getattr(node, "level", 0):
                found.append(f"{where}: relative import")
            if target.split(".")[0] != "glia" or (target, name) == ("glia", "__version__"):
                continue
            part, other = part_of(module), part_of(target)
            if other == "testing" and part != "testing":
                found.append(f"{where}: {part or module} imports testing")
            elif layer_of(target) > layer_of(module) and part != other:
                found.append(f"{where}: {part} imports {other or name}, which is above it")
            elif part != other and layer_of(target) == layer_of(module) and layer_of(module) in APART:
                found.append(f"{where}: {part} imports its sibling {other}")
            elif layer_of(module) == 4 and (target in CONCRETE or name in {"Classifier", "Regressor", "Perceptron"}):
                found.append(f"{where}: {part} imports a concrete estimator instead of taking a Predictor")
    return found


def cycles(root=SRC):
    """Return the modules that can be reached from themselves; type-checking imports do not run and do not count."""
    modules = sources(root)
    edges = {
        module: {target for target, _, _, inside, types in imports(path, modules) if not (inside or types)}
        & set(modules)
        for module, path in modules.items()
    }
    while leaves := {module for module, targets in edges.items() if not targets}:
        edges = {module: targets - leaves for module, targets in edges.items() if module not in leaves}
    return sorted(edges)


def test_files_are_short_and_free_of_asserts():
    long = {name: n for name, path in sources().items() if (n := len(path.read_text().splitlines())) > 500}
    asserts = [
        f"{name}:{node.lineno}"
        for name, path in sources().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert (long, asserts) == ({}, [])
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def test_parts_import_only_what_is_below_them():
    assert offences() == []


def test_there_is_no_cycle():
    assert cycles() == []


def test_every_part_has_a_layer():
    parts = {part_of(module) for module in sources() if module.count(".") >= 1}
    files = {path.stem for path in (SRC / "glia").glob("*.py")}
    assert parts - files <= set(LAYER)


BROKEN = {
    "up": ("glia/core/x.py", "from glia.engine import loop", "core imports engine, which is above it"),
    "siblings below": ("glia/data/x.py", "import glia.nn.mlp", "data imports its sibling nn"),
    "siblings above": ("glia/explain/x.py", "from glia.robust import fgsm", "explain imports its sibling robust"),
    "types too": ("glia/nn/x.py", "if TYPE_CHECKING:\n    import glia.cli", "nn imports cli, which is above it"),
    "concrete": ("glia/audit/x.py", "from glia.estimators import Classifier", "audit imports a concrete estimator"),
    "testing": ("glia/cli/x.py", "from glia.testing import nets", "cli imports testing"),
    "top": ("glia/report/x.py", "from glia import Classifier", "report imports Classifier, which is above it"),
    "inside": ("glia/nn/x.py", "def f():\n    import json", "import inside a function"),
    "relative": ("glia/nn/x.py", "from . import mlp", "relative import"),
}


@pytest.mark.parametrize("case", list(BROKEN))
def test_each_rule_catches_its_offence(tmp_path, case):
    file, text, message = BROKEN[case]
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert [message in line for line in offences(tmp_path)] == [True]


def test_a_cycle_is_caught_and_what_is_allowed_is_allowed(tmp_path):
    for file, text in {
        "glia/__init__.py": "def __getattr__(name):\n    from glia.estimators import Classifier",
        "glia/cli/fit.py": "def fit():\n    from glia.engine import loop",
        "glia/engine/loop.py": "from glia.data import table\nfrom glia.engine import state",
        "glia/engine/record.py": "from glia import __version__",
        "glia/engine/state.py": "if TYPE_CHECKING:\n    from glia.engine import loop",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert offences(tmp_path) == cycles(tmp_path) == []
    (tmp_path / "glia/engine/state.py").write_text("from glia.engine import loop\n\n")
    sources.cache_clear(), tree.cache_clear()
    assert cycles(tmp_path) == ["glia.engine.loop", "glia.engine.state"]


@pytest.mark.parametrize(
    "command", ["import glia", "from glia.cli.main import main; sys.argv[1:] = ['--help']; main()"]
)
def test_starting_up_leaves_the_heavy_packages_alone(command):
    listed = f"import atexit, sys; atexit.register(lambda: print('LOADED', *({HEAVY!r} & set(sys.modules)))); "
    done = subprocess.run([sys.executable, "-c", listed + command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


def test_training_and_loading_do_without_torchs_compiler(tmp_path):
    """Its import would take a third of the time in which a small table is fitted."""
    work = f"""
import sys
import glia
from glia.data import bundled
frame, path = bundled.load("iris"), {str(tmp_path / "m.glia")!r}
for members in (1, 4):
    glia.save(glia.fit(frame, "species", members=members, epochs=2), path)
    glia.load(path).predict(frame.drop("species"))
print("LOADED", *({{"torch._dynamo"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
