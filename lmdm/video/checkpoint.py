"""Folders of the small video models: config.json and weights.safetensors, read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from lmdm.errors import InputError
from lmdm.weights import load_into, save_module, write_beside

FORMAT = "lmdm-video"
VERSION = 1
TRAINED_BY = {
    "base": "lmdm video base train --out DIR",
    "ring": "lmdm video worldkv train --out DIR",
    "vit": "lmdm video bernini train-vit --out DIR",
    "planner": "lmdm video bernini train-planner --out DIR",
    "renderer": "lmdm video bernini train-renderer --out DIR",
}
SHIPPED = Path(__file__).parent / "starter"

Network = TypeVar("Network", bound=nn.Module)


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """The network's settings, from the config.json of a folder of this kind.

    Raises:
        InputError: there is no such folder, or it is of another format, version or kind.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is no video model: it has no config.json") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read as JSON: {problem}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f'{path} does not say "format": "{FORMAT}"; it is no small video model')
    if config.get("version") != VERSION:
        raise InputError(f"{path} is of version {config.get('version')!r}, not {VERSION}")
    if config.get("kind") != kind:
        raise InputError(f"{folder} holds a {config.get('kind')!r}; a {kind!r} is needed here")
    if not isinstance(config.get("network"), dict):
        raise InputError(f"{path} lacks the part 'network'")
    return config["network"]


def load(folder: Path, kind: str, build: Callable[[dict[str, Any]], Network]) -> Network:
    """The trained network of a folder, in evaluation mode. `build` makes it from its settings.

    Raises:
        InputError: a damaged or foreign folder.
    """
    settings = read_config(folder, kind)
    try:
        with torch.random.fork_rng(devices=[]):
            network = build(settings)
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as problem:
        raise InputError(f"{folder / 'config.json'}: network: {problem}") from None
    load_into(network, folder / "weights.safetensors")
    return network.eval()


def save(
    folder: Path, kind: str, network: nn.Module, settings: Mapping[str, Any], *, half: bool = True
) -> None:
    """Writes a folder that `load` reads, config.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    save_module(network, folder / "weights.safetensors", half=half)
    document = {"format": FORMAT, "version": VERSION, "kind": kind, "network": dict(settings)}
    text = json.dumps(document, indent=2) + "\n"
    write_beside(folder / "config.json", lambda part: part.write_text(text, encoding="utf-8"))


def shipped_or(folder: Path | None, name: str) -> Path:
    """The folder that was given, or the one of that name that comes with the program.

    Raises:
        InputError: none was given, and none comes along.
    """
    if folder is not None:
        return folder
    if not (SHIPPED / name / "config.json").exists():
        raise InputError(
            f"no trained {name} comes with this program: train one ({TRAINED_BY[name]}), and name "
            "its folder"
        )
    return SHIPPED / name
