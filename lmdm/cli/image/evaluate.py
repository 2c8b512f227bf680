"""`lmdm image decq evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lmdm.cli.image.common import add_device, add_images, add_model, load_model, report, say_skipped
from lmdm.cli.options import add_json, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_model(parser)
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="baselines, such as an RAE",
    )
    add_images(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="report and pictures"
    )
    parser.add_argument(
        "--samples", type=whole(0, 10**6), default=0, metavar="N", help="generated, for Fréchet (0)"
    )
    parser.add_argument("--steps", type=whole(1, 1000), default=50, metavar="N", help="Euler (50)")
    add_device(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Writes report.json, report.png and a grid a model."""
    from lmdm.config import write_json
    from lmdm.image.evaluation import plot
    from lmdm.image.run import accelerator_for

    accelerator = accelerator_for(options.device, options.precision)
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for run_folder in [options.model, *options.against]:
        name = run_folder.name if run_folder.name not in found else str(run_folder)
        with accelerator.autocast():
            found[name], skipped = _evaluate(options, run_folder, name, accelerator.device)
    totals = [entry["cost"]["flops"]["total"] for entry in found.values()]
    for entry, total in zip(found.values(), totals, strict=True):
        entry["cost"]["over_last"] = total / totals[-1] - 1
    plot(found, options.out / "report.png")
    figures = {"images": str(options.images), "skipped": skipped, "models": found}
    write_json(options.out / "report.json", figures)
    files = len(skipped) + next(iter(found.values()))["pictures"]
    say_skipped(skipped, files, options.out / "report.json", options.json)
    report(options, figures, lambda: _say(found, options.out))
    return 0


def _evaluate(
    options: argparse.Namespace, run_folder: Path, name: str, device: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    from lmdm.image.dataset import prepare
    from lmdm.image.evaluation import cost, evaluate_autoencoder, evaluate_generator
    from lmdm.image.grids import grid, save_image
    from lmdm.image.losses import judge_for
    from lmdm.image.model_folder import load_generator
    from lmdm.image.outputs import SHOWN, reconstruction_rows

    autoencoder, backbone, _ = load_model(run_folder, device)
    resolution = autoencoder.config.resolution
    images = prepare(
        options.images, resolution, options.out / f"pictures-{resolution}", options.workers
    )
    judge = judge_for(backbone, resolution).to(device)
    figures = {"pictures": len(images), "judge": judge.name, "queries": autoencoder.config.queries}
    figures |= evaluate_autoencoder(autoencoder, backbone, judge, images, device, options.batch)
    figures["cost"] = cost(autoencoder, backbone)
    count = min(SHOWN, len(images))
    rows = [index * len(images) // count for index in range(count)]
    shown = reconstruction_rows(autoencoder, backbone, images.batch(rows).to(device))
    save_image(grid(shown), options.out / f"{name}.png".replace("/", "_"))
    if options.samples > 1:
        home = run_folder / "autoencoder"
        dit, statistics, about = load_generator(run_folder / "generator", autoencoder, home)
        figures |= evaluate_generator(
            dit.to(device),
            statistics.to(device),
            autoencoder,
            judge,
            images,
            float(about["shift"]),
            options.samples,
            options.steps,
            device,
            options.batch,
        )
    return figures, images.skipped


def _say(found: dict[str, Any], out: Path) -> None:
    names = ("psnr", "ssim", "perceptual", "psnr_shuffle", "psnr_zero", "psnr_mean")
    for model, entry in found.items():
        print(model)
        for name in names:
            if name in entry:
                print(f"  {name:<26} {entry[name]['mean']:.4f} ± {entry[name]['deviation']:.4f}")
        for name in ("frechet_reconstructions", "frechet_generated"):
            if name in entry:
                print(f"  {name:<26} {entry[name]:.3f}")
        for name in ("linear_probe", "linear_probe_with_queries"):
            if name in entry:
                print(f"  {name:<26} {entry[name]['mean']:.4f} ± {entry[name]['error']:.4f}")
        flops, over = entry["cost"]["flops"]["total"] / 1e6, entry["cost"]["over_last"]
        print(f"  {'operations a picture':<26} {flops:.1f} M ({over:+.1%} over the last model)")
    print(f"written: {out / 'report.json'}, {out / 'report.png'}, and a grid a model")
