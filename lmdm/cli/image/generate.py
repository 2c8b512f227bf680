"""`lmdm image decq generate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmdm.cli.image.common import add_device, add_model, load_model, report
from lmdm.cli.options import add_json, number, whole
from lmdm.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_model(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=whole(1, 10**7), default=64, metavar="N")
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), default=1, metavar="S")
    parser.add_argument("--steps", type=whole(1, 1000), default=50, metavar="N", help="Euler (50)")
    parser.add_argument("--class", dest="class_name", metavar="NAME", help="of all; else in turn")
    parser.add_argument(
        "--guidance", type=number(0, 100), default=1.0, metavar="G", help="1 is none"
    )
    parser.add_argument(
        "--guide", type=Path, metavar="RUN", help="guided away from this weaker run (AutoGuidance)"
    )
    parser.add_argument(
        "--without-queries",
        type=Path,
        metavar="RAE",
        help="drop the detail tokens; decode the patch tokens with this run's plain RAE",
    )
    add_device(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the pictures that are not there yet, and grid.png."""
    from lmdm.image.model_folder import load_generator
    from lmdm.image.outputs import claim, generate_folder, spread_labels
    from lmdm.image.run import accelerator_for
    from lmdm.weights import sha256

    accelerator = accelerator_for(options.device, options.precision)
    device = accelerator.device
    autoencoder, backbone, autoencoder_hash = load_model(options.model, device)
    home = options.model / "autoencoder"
    dit, statistics, about = load_generator(options.model / "generator", autoencoder, home)
    guide = None
    if options.guide is not None:
        guide = load_generator(options.guide / "generator", autoencoder, home)[0].to(device)
    decoder = autoencoder
    if options.without_queries is not None:
        decoder, other, _ = load_model(options.without_queries, device)
        if decoder.config.queries:
            raise InputError(f"{options.without_queries} has queries; give a run of --queries 0")
        if other.fingerprint != backbone.fingerprint or decoder.grid != autoencoder.grid:
            raise InputError(f"{options.without_queries} reads other patch tokens than this run's")
    classes: list[str] = about["classes"]
    if options.class_name is not None and options.class_name not in classes:
        raise InputError(
            f"there is no class {options.class_name!r}; there are {', '.join(classes)}"
        )
    chosen = None if options.class_name is None else classes.index(options.class_name)
    made_by = {
        "generator_sha256": sha256(options.model / "generator" / "model.safetensors"),
        "autoencoder_sha256": autoencoder_hash,
        "seed": options.seed,
        "steps": options.steps,
        "class": options.class_name,
        "guidance": options.guidance,
        "guide": None if options.guide is None else str(options.guide.resolve()),
        "without_queries": options.without_queries is not None,
    }
    claim(options.out, made_by)
    labels = spread_labels(options.count, len(classes), chosen)
    with accelerator.autocast():
        generate_folder(
            options.out,
            options.count,
            dit.to(device),
            statistics.to(device),
            decoder,
            labels,
            options.seed,
            options.steps,
            float(about["shift"]),
            options.guidance,
            guide,
            options.batch,
            device,
        )
    figures = made_by | {"made": options.count, "grid": str(options.out / "grid.png")}
    report(options, figures, lambda: print(f"{options.count} pictures; look at {figures['grid']}"))
    return 0
