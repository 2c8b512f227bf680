"""`lmdm image decq encode`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmdm.cli.image.common import add_device, add_images, add_model, load_model, report, say_skipped
from lmdm.cli.options import add_json, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_model(parser)
    add_images(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the shards")
    parser.add_argument(
        "--shard", type=whole(1, 10**6), default=1024, metavar="N", help="files each"
    )
    parser.add_argument("--half", action="store_true", help="16-bit latents")
    add_device(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the shards that are not there yet, and index.json."""
    from lmdm.image.run import accelerator_for
    from lmdm.image.shards import INDEX, encode_folder

    accelerator = accelerator_for(options.device, options.precision)
    autoencoder, backbone, autoencoder_hash = load_model(options.model, accelerator.device)
    latents = encode_folder(
        options.images,
        options.out,
        autoencoder,
        backbone,
        autoencoder_hash,
        accelerator,
        options.batch,
        options.shard,
        options.half,
        options.workers,
    )
    if not accelerator.is_main_process:
        return 0
    total = len(latents) + len(latents.skipped)
    say_skipped(latents.skipped, total, options.out / INDEX, options.json)
    figures = {
        "encoded": len(latents),
        "skipped": latents.skipped,
        "shards": len(latents.index["shards"]),
        "patch_tokens": autoencoder.grid**2,
        "detail_tokens": autoencoder.config.queries,
        "channels": autoencoder.token_dim,
    }

    def say() -> None:
        print(
            f"{len(latents)} pictures in {figures['shards']} shards: {figures['patch_tokens']} "
            f"patch and {figures['detail_tokens']} detail tokens of {figures['channels']} channels"
        )

    report(options, figures, say)
    return 0
