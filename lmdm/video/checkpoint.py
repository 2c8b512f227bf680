"""Folders of the small video models: config.json and weights.safetensors, read strictly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from lmdm.config import read_json, write_json
from lmdm.errors import InputError
from lmdm.weights import load_into, save_module

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT = "lmdm-video"
VERSION = 1
WEIGHTS = "weights.safetensors"
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
    if not path.exists():
        raise InputError(
            f"{folder} is no video model: it has no config.json; train one: {TRAINED_BY[kind]}"
        )
    config = read_json(path)
    if config.get("format") != FORMAT:
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
    load_into(network, folder / WEIGHTS)
    return network.eval()


def load_weights(network: nn.Module, folder: Path, kind: str) -> None:
    """Fills a network of the same sizes from a folder, to train it further.

    Raises:
        InputError: a damaged or foreign folder, or a network of other sizes.
    """
    read_config(folder, kind)
    load_into(network, folder / WEIGHTS)


def save(folder: Path, kind: str, network: nn.Module, config: DataclassInstance) -> None:
    """Writes a folder that `load` reads, weights in 16 bits, config.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    save_module(network, folder / WEIGHTS, half=True)
    about = {"format": FORMAT, "version": VERSION, "kind": kind, "network": asdict(config)}
    write_json(folder / "config.json", about)


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
