"""The laws of the house (DESIGN.md, section 1), read from the source.

Each law is a function from a module's syntax tree to the sentences that say where it is broken. The
first tests run the laws over the tree; the last one shows each of them a module that breaks it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lmdm", "ui", "audio_io", "training")
LONGEST_FILE = 500

HEAVY = {"torch", "transformers", "PyQt6", "onnxruntime", "tokenizers", "matplotlib", "accelerate"}
DEVICES = {"sounddevice", "rtmixer", "rtmidi"}
AUDIO_IO_KNOWS = ("lmdm.live.ring", "lmdm.live.messages", "lmdm.errors")
PURE = ("lmdm.stream", "lmdm.dit", "lmdm.codec", "lmdm.diffusion")
IMPURE_MODULES = {
    "os", "io", "sys", "pathlib", "shutil", "tempfile", "json", "logging", "socket", "subprocess",
    "threading", "multiprocessing", "concurrent", "asyncio", "queue", "time", "datetime", "random",
    "soundfile", "sounddevice", "safetensors", "platformdirs",
}  # fmt: skip
CONCURRENT = {"threading", "multiprocessing", "concurrent", "asyncio", "subprocess", "signal"}
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
DRAWS = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal",
    "multinomial", "bernoulli", "poisson", "normal_", "uniform_", "bernoulli_", "random_",
}  # fmt: skip
GLOBAL_STATE = {
    "manual_seed", "seed", "get_rng_state", "set_rng_state", "set_num_threads",
    "set_default_dtype", "set_default_device", "set_grad_enabled", "initial_seed",
}  # fmt: skip


def name_of(path: Path) -> str:
    """Dotted module name of a file of the tree."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """Dotted name -> syntax tree of every module of the product."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {name_of(path): ast.parse(path.read_text(), str(path)) for path in files}


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports(tree: ast.AST, top_level: bool = False) -> Iterator[str]:
    """Dotted names that a module imports; `from a import b` gives both a and a.b.

    top_level: only what runs when the module is imported, which leaves out functions and
    TYPE_CHECKING.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute in this house"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif top_level and _runs_later(node):
            continue
        else:
            yield from imports(node, top_level)


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def roots(tree: ast.AST) -> set[str]:
    """First parts of the names that a module imports anywhere."""
    return {name.partition(".")[0] for name in imports(tree)}


def loaded_with(module: str) -> set[str]:
    """Everything that importing a module imports: other packages by their first part."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:length]) for length in range(1, len(parts))]
        if name in modules():
            for each in imports(modules()[name], top_level=True):
                waiting.append(each if within(each, PACKAGES) else each.partition(".")[0])
    return seen


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Dotted callee (`torch.randn`, `generator.seed`, `open`) and call of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


# --- the laws ------------------------------------------------------------------------------------


def engine_knows_no_house(module: str, tree: ast.Module) -> list[str]:
    """Law 1: lmdm, but for its command line, imports nothing of ui, audio_io, training."""
    if not within(module, ("lmdm",)) or within(module, ("lmdm.cli",)):
        return []
    return [f"{module} imports {root}" for root in roots(tree) & {"ui", "audio_io", "training"}]


def audio_io_is_light(module: str, tree: ast.Module) -> list[str]:
    """Law 2: audio_io imports no torch, and of lmdm the ring, the messages and the errors only."""
    if not within(module, ("audio_io",)):
        return []
    known = {name for name in imports(tree) if within(name, ("lmdm",))}
    known = {name for name in known if not within(name, AUDIO_IO_KNOWS)} - {"lmdm", "lmdm.live"}
    foreign = known | (roots(tree) & (HEAVY | {"ui", "training"}))
    return [f"{module} imports {name}" for name in foreign]


def ui_opens_no_device(module: str, tree: ast.Module) -> list[str]:
    """Law 2: ui imports no torch and opens no device."""
    if not within(module, ("ui",)):
        return []
    foreign = roots(tree) & ({"torch", "onnxruntime", "audio_io", "training"} | DEVICES)
    return [f"{module} imports {name}" for name in foreign]


def the_core_is_pure(module: str, tree: ast.Module) -> list[str]:
    """Law 3: no I/O, thread, clock, global state, nor randomness without a generator."""
    if not within(module, PURE):
        return []
    broken = [f"{module} imports {name}" for name in roots(tree) & IMPURE_MODULES]
    broken += [f"{module} imports {name}" for name in imports(tree) if "numpy.random" in name]
    first_weights = {
        inner
        for callee, call in calls(tree)
        if callee == "nn.Parameter"
        for inner in ast.walk(call)
    }
    for callee, call in calls(tree):
        owner, _, last = callee.rpartition(".")
        if call in first_weights:
            continue  # as with nn.init: what a network is before it is trained or loaded
        given = any(keyword.arg == "generator" for keyword in call.keywords)
        if last in DRAWS and not owner.endswith("init") and not given:
            broken.append(f"{module}:{call.lineno} draws from {callee} without a generator")
        if last in GLOBAL_STATE and owner in ("torch", "torch.random", "random", "np.random"):
            broken.append(f"{module}:{call.lineno} touches global state with {callee}")
        if callee in ("open", "print", "input", "torch.load", "torch.save"):
            broken.append(f"{module}:{call.lineno} does I/O with {callee}")
    broken += [
        f"{module}:{node.lineno} has a global variable"
        for node in ast.walk(tree) if isinstance(node, ast.Global)
    ]  # fmt: skip
    return broken


def only_live_is_concurrent(module: str, tree: ast.Module) -> list[str]:
    """Law 4: of lmdm, processes, threads and deadlines are in live (and the command line)."""
    if not within(module, ("lmdm",)) or within(module, ("lmdm.live", "lmdm.cli")):
        return []
    return [f"{module} imports {name}" for name in roots(tree) & CONCURRENT]


def nothing_is_unpickled(module: str, tree: ast.Module) -> list[str]:
    """No pickle is loaded or written, whoever it is from."""
    broken = [f"{module} imports {name}" for name in roots(tree) & PICKLERS]
    for callee, call in calls(tree):
        if callee in ("torch.load", "torch.save", "torch.jit.load"):
            broken.append(f"{module}:{call.lineno} calls {callee}")
        if any(keyword.arg == "allow_pickle" for keyword in call.keywords):
            broken.append(f"{module}:{call.lineno} allows pickles in {callee}")
    return broken


LAWS: tuple[Callable[[str, ast.Module], list[str]], ...] = (
    engine_knows_no_house,
    audio_io_is_light,
    ui_opens_no_device,
    the_core_is_pure,
    only_live_is_concurrent,
    nothing_is_unpickled,
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Callable[[str, ast.Module], list[str]]) -> None:
    assert [broken for name, tree in modules().items() for broken in law(name, tree)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_there(package: str) -> None:
    assert (ROOT / package / "__init__.py").is_file()
    assert sum(within(name, (package,)) for name in modules()) > 1


def test_torch_free_modules_stay_so_through_what_they_import() -> None:
    """Law 2, transitively: audio_io, ui, the ring, the messages, and every `__init__`."""
    light = [name for name in modules() if within(name, ("audio_io", "ui"))]
    light += AUDIO_IO_KNOWS
    light += [name for name in modules() if (ROOT / Path(*name.split("."))).is_dir()]
    assert {name for name in light if "torch" in loaded_with(name)} == set()


def test_the_command_line_imports_heavy_packages_only_inside_commands() -> None:
    """Law 5, from the source: no module of the command line loads a heavy package by itself."""
    commands = [name for name in modules() if within(name, ("lmdm.cli",))]
    assert "lmdm.cli.main" in commands
    for name in commands:
        assert loaded_with(name) & (HEAVY | DEVICES) == set(), name


def test_help_loads_nothing_heavy() -> None:
    """Law 5, as it runs."""
    program = (
        "import sys\n"
        "from lmdm.cli.main import main\n"
        "sys.argv = ['lmdm', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        f"print('heavy:', *sorted(set({sorted(HEAVY | DEVICES)!r}) & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].strip() == "heavy:"


def test_no_file_is_too_long() -> None:
    files = [path for folder in (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


OF_THE_WHOLE = (("laws",), ("faults",), ("fuzz",), ("soak",))


def test_tests_mirror_the_tree() -> None:
    """tests/codec tests lmdm/codec, tests/ui tests ui; some folders test the whole."""
    folders = {
        path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")
    }
    homes = (ROOT, ROOT / "lmdm")
    strays = {
        str(folder) for folder in folders
        if folder.parts[:1] not in OF_THE_WHOLE
        and not any((home / folder).is_dir() for home in homes)
    }  # fmt: skip
    assert strays == set()


BROKEN = [
    (engine_knows_no_house, "lmdm.live.engine", "def start():\n    from audio_io import output"),
    (engine_knows_no_house, "lmdm.checkpoints", "import training.codec"),
    (audio_io_is_light, "audio_io.output", "import torch"),
    (audio_io_is_light, "audio_io.output", "from lmdm.live import engine"),
    (audio_io_is_light, "audio_io.output", "from lmdm.live.session import Session"),
    (ui_opens_no_device, "ui.stage", "import sounddevice as sd"),
    (the_core_is_pure, "lmdm.dit.model", "import time"),
    (the_core_is_pure, "lmdm.stream.noise", "import torch\nx = torch.randn(3)"),
    (the_core_is_pure, "lmdm.stream.noise", "x = y.normal_()"),
    (the_core_is_pure, "lmdm.codec.spectral", "torch.manual_seed(0)"),
    (the_core_is_pure, "lmdm.codec.spectral", "def f():\n    global table\n    table = 1"),
    (the_core_is_pure, "lmdm.diffusion.path", "open('x')"),
    (only_live_is_concurrent, "lmdm.conditioning.text", "from threading import Lock"),
    (nothing_is_unpickled, "training.codec", "import pickle"),
    (nothing_is_unpickled, "lmdm.weights", "import torch\ntorch.load('x')"),
    (nothing_is_unpickled, "training.encode", "np.load('x', allow_pickle=True)"),
]
KEPT = [
    (engine_knows_no_house, "lmdm.cli.live", "from audio_io import output"),
    (audio_io_is_light, "audio_io.output", "from lmdm.live.ring import AudioRing"),
    (the_core_is_pure, "lmdm.stream.noise", "x = torch.randn(3, generator=generator)"),
    (the_core_is_pure, "lmdm.dit.model", "nn.init.normal_(weight)"),
    (the_core_is_pure, "lmdm.dit.model", "self.w = nn.Parameter(torch.randn(3) / 3)"),
    (only_live_is_concurrent, "lmdm.live.engine", "import multiprocessing"),
]


@pytest.mark.parametrize(("law", "module", "source"), BROKEN)
def test_laws_see_a_breach(
    law: Callable[[str, ast.Module], list[str]], module: str, source: str
) -> None:
    assert law(module, ast.parse(source)) != []


@pytest.mark.parametrize(("law", "module", "source"), KEPT)
def test_laws_let_good_modules_pass(
    law: Callable[[str, ast.Module], list[str]], module: str, source: str
) -> None:
    assert law(module, ast.parse(source)) == []
