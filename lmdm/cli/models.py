"""`lmdm models`: which models there are, and what is in one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lmdm.cli import options as shared
from lmdm.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommands."""
    actions = parser.add_subparsers(dest="action", metavar="list|info", required=True)
    listing = actions.add_parser("list", help="the known models")
    shared.add_json(listing)
    info = actions.add_parser("info", help="shapes, parameters and hash of one model")
    info.add_argument("model", nargs="?", default="starter", help="a known model or a folder")
    info.add_argument("--tensors", action="store_true", help="name and shape of every tensor")
    shared.add_json(info)


def run(options: argparse.Namespace) -> int:
    """Prints the list or the description."""
    if options.action == "list":
        return _list(options.json)
    return _info(options)


def _list(as_json: bool) -> int:
    from lmdm.checkpoints import known_models

    rows = [
        {"name": name, "folder": str(folder), "complete": (folder / "config.json").exists()}
        for name, folder in known_models().items()
    ]
    if as_json:
        print(json.dumps(rows))
    else:
        for row in rows:
            note = "" if row["complete"] else "  (not trained yet: no config.json)"
            print(f"{row['name']:<16} {row['folder']}{note}")
    return 0


def _info(options: argparse.Namespace) -> int:
    facts = describe(options.model)
    if options.json:
        print(json.dumps(facts))
        return 0
    for key, value in facts.items():
        if key in ("dit", "codec", "stream", "tensors"):
            continue
        print(f"{key:<16} {value}")
    for part in ("dit", "codec", "stream"):
        settings = ", ".join(f"{name} {value}" for name, value in facts[part].items())
        print(f"{part:<16} {settings}")
    if options.tensors:
        for file, tensors in facts["tensors"].items():
            for name, (dtype, shape) in tensors.items():
                print(f"{file}  {name}  {dtype} {shape}")
    return 0


def describe(path_or_name: str) -> dict[str, Any]:
    """Facts about a model, read from its files' headers; loads no weights.

    Raises:
        InputError: the model is unknown, or a file of it is missing or damaged.
    """
    from lmdm.checkpoints import WEIGHTS, find, read_config
    from lmdm.weights import read_header, sha256

    folder = find(path_or_name)
    config = read_config(folder)
    files = [name for name in WEIGHTS if (folder / name).exists()]
    if not files:
        raise InputError(f"{folder} has no weights; it lacks {' and '.join(WEIGHTS)}")
    headers = {name: read_header(folder / name) for name in files}
    parameters = {name: sum(_size(t.shape) for t in headers[name].values()) for name in files}
    return {
        "name": config.get("name") or folder.name,
        "folder": str(folder.resolve()),
        "sha256": sha256(folder / "config.json", *(folder / name for name in files)),
        "parameters": sum(parameters.values()),
        **{f"{Path(name).stem} parameters": count for name, count in parameters.items()},
        "bytes": sum((folder / name).stat().st_size for name in files),
        "controls": config["conditioning"].get("controls", []),
        "text": (config.get("text") or {}).get("encoder"),
        "dit": config.get("dit") or {},
        "codec": config["codec"],
        "stream": config["stream"],
        "tensors": {
            file: {name: [t.dtype, list(t.shape)] for name, t in header.items()}
            for file, header in headers.items()
        },
    }


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
