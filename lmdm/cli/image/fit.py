"""`lmdm image decq fit`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lmdm.cli.image.common import add_images, numbers, report, say_skipped
from lmdm.cli.options import add_json, number, whole
from lmdm.errors import InputError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from lmdm.image.presets import Preset

Config = TypeVar("Config")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options. What is not given is the preset's."""
    add_images(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--stage", choices=("1", "2", "both"), default="both")
    parser.add_argument("--preset", choices=("small", "paper"), default="small")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--minutes", type=number(0, 1e6), metavar="M", help="stop after; go on later"
    )
    parser.add_argument("--checkpoint-every", type=whole(1, 10**7), default=200, metavar="STEPS")
    add_json(parser)

    both = parser.add_argument_group("optimisation of the stage that is fitted (of both, if both)")
    both.add_argument("--steps", type=whole(1, 10**8), metavar="N")
    both.add_argument("--batch", type=whole(1, 65536), metavar="N", help="pictures a process")
    both.add_argument("--learning-rate", type=number(1e-8, 0.9), metavar="LR")
    both.add_argument("--ema", type=number(0, 0.99999), metavar="D", help="decay of the average")
    both.add_argument("--seed", type=whole(0, 2**31 - 1), metavar="S")
    both.add_argument("--precision", choices=("no", "bf16", "fp16"), help="mixed precision")

    first = parser.add_argument_group("stage 1")
    first.add_argument(
        "--backbone",
        metavar="B",
        help="small-vit, efficientnet-lite0, a DINOv2 or SigLIP folder, or a hub id (small-vit)",
    )
    first.add_argument("--backbone-size", type=whole(8, 4096), metavar="PIXELS", help="it looks at")
    first.add_argument(
        "--resolution", type=whole(16, 4096), metavar="PIXELS", help="of the pictures"
    )
    first.add_argument("--queries", type=whole(0, 4096), metavar="Q", help="0 is a plain RAE (8)")
    first.add_argument(
        "--taps", type=numbers, metavar="L,L,...", help="layers read; 0 is the embedding (quarters)"
    )
    first.add_argument("--read", choices=("intermediate", "last-layer", "nothing"))
    first.add_argument("--gate", action="store_true", default=None, help="gated reading")
    first.add_argument("--self-attention", action="store_true", default=None, help="among queries")
    for name in ("decoder-dim", "decoder-depth", "decoder-heads", "condenser-multiplier"):
        first.add_argument(f"--{name}", type=whole(1, 65536), metavar="N")
    first.add_argument("--noise-tau", type=number(0, 10), metavar="T", help="on patch tokens")
    first.add_argument(
        "--query-noise-tau", type=number(0, 10), metavar="T", help="on detail tokens"
    )
    first.add_argument(
        "--perceptual", type=number(0, 1000), metavar="W", help="weight of that loss"
    )
    first.add_argument(
        "--adversarial", type=number(0, 1000), metavar="W", help="weight of that loss"
    )
    first.add_argument("--no-flip", dest="flip", action="store_false", default=None)

    second = parser.add_argument_group("stage 2")
    for name in ("dim", "depth", "heads", "head-dim", "head-depth", "head-heads"):
        second.add_argument(f"--{name}", type=whole(1, 65536), metavar="N")
    second.add_argument("--class-dropout", type=number(0, 1), metavar="P")
    second.add_argument("--query-weight", type=number(0, 1000), metavar="W", help="in the loss (1)")
    second.add_argument("--shift", type=number(0, 1000), metavar="S", help="0: of the dimensions")


def given(config: Config, options: argparse.Namespace) -> Config:
    """A configuration with the options that were given in its place."""
    values = {
        name: getattr(options, name)
        for name in config.__dataclass_fields__  # type: ignore[attr-defined]
        if getattr(options, name, None) is not None
    }
    return replace(config, **values)  # type: ignore[type-var]


def run(options: argparse.Namespace) -> int:
    """Fits what was asked for, or goes on with it."""
    from lmdm.image.presets import PRESETS
    from lmdm.image.run import accelerator_for

    preset = PRESETS[options.preset]
    precision = options.precision or preset.optimization1.precision
    accelerator = accelerator_for(options.device, precision)
    figures: dict[str, Any] = {"run": str(options.out)}
    finished = True
    if options.stage in ("1", "both"):
        finished = _stage1(options, preset, accelerator, figures)
    if options.stage in ("2", "both") and finished:
        finished = _stage2(options, preset, accelerator, figures)
    figures["finished"] = finished

    def say() -> None:
        print(f"{options.out}: {'done' if finished else 'not finished; the same command goes on'}")

    if accelerator.is_main_process:
        report(options, figures, say)
    if accelerator.num_processes > 1:
        accelerator.end_training()
    return 0


def _stage1(
    options: argparse.Namespace, preset: Preset, accelerator: Accelerator, figures: dict[str, Any]
) -> bool:
    from lmdm.image.autoencoder import taps_for
    from lmdm.image.backbones import registry
    from lmdm.image.dataset import opened, prepare
    from lmdm.image.stage1 import Batches, fit_autoencoder

    name = options.backbone or preset.autoencoder.backbone
    local = Path(name).expanduser()
    name = str(local.resolve()) if local.is_dir() else name
    size = options.backbone_size or (options.resolution if name == "small-vit" else None)
    backbone = registry.load(name, size)
    config = replace(
        given(preset.autoencoder, options),
        backbone=name,
        backbone_size=backbone.image_size,
        backbone_fingerprint=backbone.fingerprint,
        resolution=options.resolution or preset.patch * backbone.grid,
        taps=options.taps or tuple(taps_for(backbone.depth)),
    )
    backbone.to(accelerator.device)
    folder = options.out / "pictures"
    if accelerator.is_main_process:
        images = prepare(options.images, config.resolution, folder, options.workers)
        skipped = images.skipped
        say_skipped(skipped, len(images) + len(skipped), folder / "pictures.json", options.json)
        figures |= {"pictures": len(images), "skipped": skipped}
    accelerator.wait_for_everyone()
    images = opened(folder)
    plan = given(preset.optimization1, options)
    stage = given(preset.stage1, options)
    batches = Batches(
        images, backbone, config.read_taps(backbone.depth), plan, stage.flip, accelerator
    )
    return fit_autoencoder(
        options.out / "autoencoder",
        config,
        stage,
        plan,
        backbone,
        batches,
        accelerator,
        options.minutes,
        options.checkpoint_every,
    )


def _stage2(
    options: argparse.Namespace, preset: Preset, accelerator: Accelerator, figures: dict[str, Any]
) -> bool:
    from lmdm.cli.image.common import load_model
    from lmdm.image.shards import encode_folder
    from lmdm.image.stage2 import fit_generator
    from lmdm.image.statistics import LatentStatistics

    autoencoder, backbone, autoencoder_hash = load_model(options.out, accelerator.device)
    plan = given(preset.optimization2, options)
    latents = encode_folder(
        options.images,
        options.out / "latents",
        autoencoder,
        backbone,
        autoencoder_hash,
        accelerator,
        batch=plan.batch,
        workers=options.workers,
    )
    classes = latents.index["classes"]
    config = replace(given(preset.generator, options), classes=len(classes))
    if len(latents) < 2:
        raise InputError(f"{options.images} has one picture that can be read; stage 2 needs two")
    statistics = LatentStatistics.of(
        latents.batches(),
        autoencoder.grid**2,
        autoencoder.config.queries,
        autoencoder.token_dim,
    )
    figures |= {"latents": len(latents), "classes": classes, "skipped": latents.skipped}
    return fit_generator(
        options.out / "generator",
        config,
        given(preset.stage2, options),
        plan,
        latents,
        latents.labels,
        statistics,
        autoencoder.grid,
        {"autoencoder_sha256": autoencoder_hash, "classes": classes},
        accelerator,
        options.minutes,
        options.checkpoint_every,
    )
