"""`lmdm image decq reconstruct`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmdm.cli.image.common import add_device, add_images, add_model, load_model, report, say_skipped
from lmdm.cli.options import add_json, add_shard, shard_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_model(parser)
    add_images(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_device(parser)
    add_shard(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the pictures that are not there yet, grid.png and report.json."""
    from lmdm.config import write_json
    from lmdm.image.outputs import claim, reconstruct_folder
    from lmdm.image.run import accelerator_for

    shard = shard_of(options)
    accelerator = accelerator_for(options.device, options.precision)
    device = accelerator.device
    autoencoder, backbone, autoencoder_hash = load_model(options.model, device)
    images = str(options.images.resolve())
    claim(options.out, {"autoencoder_sha256": autoencoder_hash, "images": images}, shard)
    with accelerator.autocast():
        made, skipped = reconstruct_folder(
            options.images,
            options.out,
            autoencoder,
            backbone,
            device,
            options.batch,
            options.workers,
            shard,
        )
    if not shard.whole:
        said = shard.said(made, "pictures")
        report(options, said, lambda: print(*(f"{key} {said[key]}" for key in said), sep="\n"))
        return 0
    where = options.out / "report.json"
    figures = {"made": made, "skipped": skipped, "grid": str(options.out / "grid.png")}
    write_json(where, figures)
    say_skipped(skipped, made + len(skipped), where, options.json)
    report(options, figures, lambda: print(f"{made} pictures; look at {figures['grid']}"))
    return 0
