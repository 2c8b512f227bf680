"""`lmdm models`: which there are, what is in one; fetching, and converting to our own form."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.errors import InputError

if TYPE_CHECKING:
    from lmdm.formats.parts import Parts
    from training.data.shards import Entry

STRATEGIES = ("outpainting", "encoder-decoder", "block-causal")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommands."""
    actions = parser.add_subparsers(
        dest="action", metavar="list|info|fetch|styles|convert", required=True
    )
    listing = actions.add_parser("list", help="the known models")
    shared.add_json(listing)
    info = actions.add_parser("info", help="shapes, parameters and hash of one model")
    info.add_argument(
        "model",
        nargs="?",
        default="starter",
        help="a known model, a folder, a .safetensors file",
    )
    info.add_argument("--tensors", action="store_true", help="name and shape of every tensor")
    shared.add_json(info)
    fetch = actions.add_parser("fetch", help="a model of the Hugging Face hub, by owner/name")
    fetch.add_argument("name", help="such as stabilityai/stable-audio-open-small")
    fetch.add_argument("--out", type=Path, metavar="DIR", help="where to (the model folder)")
    shared.add_json(fetch)
    styles = actions.add_parser("styles", help="learns what SetStyle needs of a model folder")
    styles.add_argument("model", nargs="?", default="starter")
    styles.add_argument(
        "--latents",
        type=Path,
        required=True,
        metavar="DIR",
        help="music it was trained on, encoded by its codec (lmdm train encode)",
    )
    shared.add_json(styles)
    convert = actions.add_parser(
        "convert", help="a checkpoint of stable-audio-tools or diffusers into our own form"
    )
    convert.add_argument("model", help="a folder, or a .safetensors file")
    convert.add_argument("out", type=Path, help="the folder to write")
    convert.add_argument("--half", action="store_true", help="weights in 16 bits")
    convert.add_argument("--name", help="what to call it (the folder's name)")
    convert.add_argument("--strategy", choices=STRATEGIES, help="how it is streamed")
    convert.add_argument(
        "--block", type=shared.whole(1, 4096), metavar="N", help="latent frames a block"
    )
    convert.add_argument(
        "--context", type=shared.whole(1, 4096), metavar="N", help="latent frames of context"
    )
    convert.add_argument(
        "--steps", type=shared.whole(1, 64), metavar="K", help="denoising steps a block"
    )
    shared.add_json(convert)


def run(options: argparse.Namespace) -> int:
    """Prints the list or the description, fetches, or converts."""
    actions = {
        "list": _list, "info": _info, "fetch": _fetch, "styles": _styles, "convert": _convert
    }  # fmt: skip
    return actions[options.action](options)


def _styles(options: argparse.Namespace) -> int:
    """Writes the model's table of styles and tells how it does on pieces that it has not heard."""
    from lmdm.checkpoints import find, load_codec
    from lmdm.live.scenes import write_text
    from lmdm.live.style import FILE_NAME, Example, learnt, style_of
    from training.data.pieces import load_pieces
    from training.data.shards import read_manifest

    manifest = read_manifest(options.latents)
    channels = load_codec(options.model)[0].latent_channels
    if manifest.facts["latent_channels"] != channels:
        raise InputError(
            f"{options.latents} has {manifest.facts['latent_channels']} latent channels and the "
            f"model {options.model} {channels}: encode with this model's codec"
        )

    def examples(entries: tuple[Entry, ...]) -> list[Example]:
        return [
            Example(style_of(piece.facts), piece.facts["captions"], piece.latents)
            for piece in load_pieces(manifest, entries)
        ]

    table, styles = learnt(examples(manifest.split("train")))
    held_out = examples((*manifest.split("validation"), *manifest.split("test")))
    place = find(options.model)
    path = (place if place.is_dir() else place.parent) / FILE_NAME
    write_text(path, json.dumps(table.to_dict()))
    asked = [each for each in held_out if each.style in styles]
    ranks = [
        list(table.distances(each.latents).argsort()).index(styles.index(each.style))
        for each in asked
    ]
    report = {
        "file": str(path),
        "prompts": list(table.prompts),
        "held_out": len(asked),
        "right": sum(rank == 0 for rank in ranks),
        "among_three": sum(rank < 3 for rank in ranks),
    }
    if options.json:
        print(json.dumps(report))
    else:
        print(
            f"{path}: {len(table.prompts)} prompts; of {len(asked)} pieces held out "
            f"{report['right']} right, {report['among_three']} among the first three"
        )
    return 0


def _list(options: argparse.Namespace) -> int:
    from lmdm.checkpoints import is_model, known_models

    rows = [
        {"name": name, "folder": str(folder), "complete": is_model(folder)}
        for name, folder in known_models().items()
    ]
    if options.json:
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
        if key in ("dit", "codec", "stream", "tensors", "unused"):
            continue
        print(f"{key:<16} {value}")
    for part in ("dit", "codec", "stream"):
        settings = ", ".join(f"{name} {value}" for name, value in facts[part].items())
        print(f"{part:<16} {settings}")
    if facts["unused"]:
        print(f"{'unused':<16} {len(facts['unused'])} tensors that matter in training alone:")
        print("\n".join(f"{'':<16} {name}" for name in facts["unused"]))
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
    from lmdm.checkpoints import find, parts_of

    path = find(path_or_name)
    parts = parts_of(path)
    return _own_facts(path) if parts is None else _foreign_facts(parts)


def _own_facts(folder: Path) -> dict[str, Any]:
    from lmdm.formats.own import WEIGHTS, read_config, weights_of

    config = read_config(folder)
    files = [path for path in weights_of(folder) if path.exists()]
    if not files:
        raise InputError(f"{folder} has no weights; it lacks {' and '.join(WEIGHTS)}")
    return {
        "name": config.get("name") or folder.name,
        "folder": str(folder.resolve()),
        "form": "lmdm",
        **_weight_facts([folder / "config.json", *files]),
        "controls": config["conditioning"].get("controls", []),
        "text": (config.get("text") or {}).get("encoder"),
        "dit": config.get("dit") or {},
        "codec": config["codec"],
        "stream": config["stream"],
        "unused": [],
        "tensors": _tensors(files),
    }


def _foreign_facts(parts: Parts) -> dict[str, Any]:
    diffusers = (parts.folder / "model_index.json").exists()
    return {
        "name": parts.name,
        "folder": str(parts.folder.resolve()),
        "form": "diffusers" if diffusers else "stable-audio-tools",
        **_weight_facts(list(parts.files)),
        "controls": [],
        "text": parts.text["model"] if parts.text else None,
        "numbers": {
            name: [each.low, each.high] for name, each in parts.conditioner.numbers.items()
        },
        "dit": parts.dit.to_dict(),
        "codec": {"type": "oobleck"} | parts.codec.to_dict(),
        "stream": parts.stream.to_dict(),
        "unused": list(parts.unused),
        "tensors": _tensors(list(parts.weights)),
    }


def _weight_facts(files: list[Path]) -> dict[str, Any]:
    """Hash, numbers of parameters, bytes; `files` are configurations and weights."""
    from lmdm.weights import read_header, sha256

    weights = [path for path in files if path.suffix == ".safetensors"]
    counts = {
        path: sum(math.prod(tensor.shape) for tensor in read_header(path).values())
        for path in weights
    }
    return {
        "sha256": sha256(*files),
        "parameters": sum(counts.values()),
        **{f"{path.stem} parameters": count for path, count in counts.items()},
        "bytes": sum(path.stat().st_size for path in weights),
    }


def _tensors(files: list[Path]) -> dict[str, dict[str, list[Any]]]:
    from lmdm.weights import read_header

    return {
        path.name: {name: [t.dtype, list(t.shape)] for name, t in read_header(path).items()}
        for path in files
    }


def _fetch(options: argparse.Namespace) -> int:
    from lmdm.formats import hub

    if not hub.is_id(options.name):
        raise InputError(f"{options.name!r} is no owner/name of the hub")
    folder = hub.fetch(options.name, options.out)
    facts = describe(str(folder))
    if options.json:
        print(json.dumps({"folder": str(folder), "name": facts["name"]}))
    else:
        print(f"{options.name}: {folder}; play it with --model {folder}")
    return 0


def _convert(options: argparse.Namespace) -> int:
    from lmdm.checkpoints import convert

    asked = {
        "strategy": options.strategy,
        "block_frames": options.block,
        "context_frames": options.context,
        "steps": options.steps,
    }
    changes = {field: given for field, given in asked.items() if given is not None}

    def adapted(stream: Any) -> Any:
        block = changes.get("block_frames", stream.block_frames)
        context = changes.get("context_frames", stream.context_frames)
        context -= context % block if "context_frames" not in changes else 0
        window = max(1, context // block)
        return replace(stream, **(changes | {"context_frames": context, "window_blocks": window}))

    convert(options.model, options.out, adapted, name=options.name, half=options.half)
    facts = describe(str(options.out))
    if options.json:
        print(json.dumps({"folder": str(options.out), "sha256": facts["sha256"]}))
    else:
        print(f"{options.out}: {facts['parameters'] / 1e6:.1f} million parameters")
    return 0
