"""`lmdm safety memorization light`: what a model ordinarily plays, measured into a light."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from lmdm.safety.memorization.light import Threshold

MOST_CAPTIONS = 200  # of the corpus, as prompts of ordinary playing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    shared.add_model(parser)
    parser.add_argument(
        "--latents",
        type=Path,
        metavar="DIR",
        help="the encoded training set (lmdm train encode), to find near passages in",
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="ordinary prompts, one a line (its captions)"
    )
    parser.add_argument(
        "--steps", type=shared.whole(1, 64), nargs="+", metavar="K", help="(the model's own)"
    )
    parser.add_argument(
        "--guidance", type=shared.number(0, 20), nargs="+", default=[2.5], metavar="G", help="(2.5)"
    )
    parser.add_argument(
        "--performances", type=shared.whole(4, 10_000), default=32, help="of each setting (32)"
    )
    parser.add_argument(
        "--seconds", type=shared.number(10, 3600), default=40.0, help="of each performance (40)"
    )
    parser.add_argument(
        "--rate", type=shared.number(0.0001, 0.5), default=0.01, help="false alarms aimed at (0.01)"
    )
    parser.add_argument(
        "--no-updates", action="store_true", help="only look for near passages (needs --latents)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".safetensors")
    parser.set_defaults(out_suffixes=(".safetensors",))
    shared.add_shard(parser)
    shared.add_json(parser)


def calibrate_light(options: argparse.Namespace) -> dict[str, Any]:
    """Plays, measures, writes the light; what there is to say of it."""
    import torch

    from lmdm.checkpoints import load
    from lmdm.live.engine import torch_threads
    from lmdm.safety.memorization.light import Light
    from lmdm.safety.memorization.ordinary import (
        Performance,
        Playing,
        found_share,
        nearness,
        performances,
        update_witness,
    )
    from lmdm.safety.memorization.passages import Passages

    if options.no_updates and options.latents is None:
        raise InputError("--no-updates leaves only near passages: give --latents DIR")
    torch.set_num_threads(torch_threads(options.threads))
    model = load(options.model, precision=options.precision)
    prompts, pieces = _corpus(options)
    passages = Passages.of(pieces) if pieces else None
    beside = options.out.with_name(f"{options.out.name}.performances")
    shard, made = shared.shard_of(options), 0
    witnesses = []
    first: list[Performance] = []
    second: list[Performance] = []
    for steps in options.steps or [model.stream_config.steps]:
        for guidance in options.guidance:
            playing = Playing(prompts, steps, guidance, options.performances, options.seconds)
            found = performances(model, playing, beside / f"{steps}-{guidance:g}", shard=shard)
            if not shard.whole:
                made += len(found)
                continue
            if not options.no_updates:
                setting = playing.setting(model)
                witnesses.append(update_witness(found, setting, model, options.rate))
            middle = len(found) // 2
            first, second = first + found[:middle], second + found[middle:]
    if not shard.whole:
        return shard.said(made, "performances")
    near = None
    if passages is not None:
        near = nearness([*first, *second], passages, model, options.rate)
    Light(model.sha256, tuple(witnesses), passages, near).save(options.out)
    report: dict[str, Any] = {"light": str(options.out), "model": model.sha256}
    for witness in witnesses:
        setting = witness.region.setting
        name = f"updates, {setting['steps']} steps, guidance {setting['guidance']:g}"
        report[name] = _words(witness.threshold)
    if passages is not None and near is not None:
        report["passages"] = f"{len(passages.prints)} of {len(passages.pieces)} pieces"
        report["nearness"] = _words(near)
        report["found"] = f"{found_share(pieces, passages, near.value):.3f} of disturbed passages"
    return report


def _words(threshold: Threshold) -> str:
    low, high = threshold.interval
    return (
        f"above {threshold.value:.3f}; lit for {100 * threshold.false_rate:.1f} % of ordinary "
        f"playing (95 %: {100 * low:.1f} to {100 * high:.1f}), {threshold.minutes:.1f} min of "
        f"{threshold.performances} performances"
    )


def _corpus(
    options: argparse.Namespace,
) -> tuple[tuple[str, ...], list[tuple[str, Tensor]]]:
    """Ordinary prompts, and (name, latents [C, T]) of the corpus if one is given."""
    import numpy as np
    import torch

    from lmdm.safety.memorization.runs import read_prompts

    prompts = tuple(read_prompts(options.prompts)) if options.prompts is not None else ()
    if options.latents is None:
        if not prompts:
            raise InputError("give --latents DIR, or ordinary prompts with --prompts FILE")
        return prompts, []

    from training.data.pieces import load_pieces
    from training.data.shards import read_manifest

    manifest = read_manifest(options.latents)
    pieces = load_pieces(manifest, manifest.split("train"))
    if not prompts:
        captions = sorted({text for piece in pieces for text in piece.facts["captions"]})
        chosen = np.random.default_rng(0).permutation(len(captions))[:MOST_CAPTIONS]
        prompts = tuple(captions[index] for index in chosen)
        if not prompts:
            raise InputError(f"{options.latents} has no captions; give --prompts FILE")
    return prompts, [
        (str(each.facts["name"]), torch.from_numpy(each.latents.astype(np.float32)))
        for each in pieces
    ]
