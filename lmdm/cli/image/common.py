"""Options that several actions share, and what they say at the end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli.options import whole
from lmdm.errors import InputError

if TYPE_CHECKING:
    import torch

    from lmdm.image.autoencoder import RepresentationAutoencoder
    from lmdm.image.backbones.protocol import VisionBackbone


def numbers(text: str) -> tuple[int, ...]:
    """argparse type of a list such as 0,3,6,9."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of numbers such as 0,3,6,9"
        ) from None


def add_images(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """--images and --workers."""
    parser.add_argument(
        "--images",
        type=Path,
        required=required,
        metavar="DIR",
        help="JPEG, PNG and WebP files, at any depth; the first folder below is the class",
    )
    parser.add_argument(
        "--workers", type=whole(0, 128), default=0, metavar="N", help="processes that decode (0)"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model."""
    parser.add_argument(
        "--model", type=Path, required=True, metavar="RUN", help="a folder that `fit` made"
    )


def add_device(parser: argparse.ArgumentParser, batch: int = 32) -> None:
    """--device, --precision and --batch."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--precision", choices=("no", "bf16", "fp16"), default="no", help="mixed precision (no)"
    )
    parser.add_argument(
        "--batch",
        type=whole(1, 65536),
        default=batch,
        metavar="N",
        help=f"pictures at once ({batch})",
    )


def load_model(
    run: Path, device: torch.device
) -> tuple[RepresentationAutoencoder, VisionBackbone, str]:
    """The autoencoder of a run on a device, its backbone, and the hash of its weights."""
    from lmdm.image.model_folder import WEIGHTS, load_autoencoder
    from lmdm.weights import sha256

    if not run.is_dir():
        raise InputError(f"there is no run {run}; fit one with: lmdm image decq fit --out {run}")
    folder = run / "autoencoder"
    autoencoder, backbone = load_autoencoder(folder)
    backbone.to(device)
    return autoencoder.to(device), backbone, sha256(folder / WEIGHTS)


def say_skipped(skipped: Mapping[str, str], total: int, where: Path, quiet: bool) -> None:
    """Tells of the files that were skipped, and where they are listed."""
    if skipped and not quiet:
        print(f"skipped {len(skipped)} of {total} files; they are listed in {where}")
        for name, why in list(skipped.items())[:5]:
            print(f"  {name}: {why}")


def report(
    options: argparse.Namespace, figures: Mapping[str, Any], say: Callable[[], None]
) -> None:
    """One JSON object, or what `say` prints."""
    if options.json:
        print(json.dumps(figures))
    else:
        say()
