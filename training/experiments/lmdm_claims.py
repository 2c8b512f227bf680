"""The claims of Live Music Diffusion Models (arXiv 2605.22717), tried small.

    python -m training.experiments.lmdm_claims OUT --latents DIR [--model M] [--minutes 9]

(a) ARC-Forcing flattens drift; (b) few steps after are as good as 50 before; (c) encoder-decoder
against block-causal; (d) a primed start against a cold one. `--model` is ARC-Forced as it is;
without it a small network is trained from nothing on encoded pieces first (stage 1 with both
masks). Rollouts follow the labels and captions of held-out pieces; they are judged in latent space,
where no evaluator's taste enters, beside the real latents of the same pieces.

Each call works for at most `--minutes` and goes on where the last one stopped; the report is
written when everything is there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from lmdm.config import write_json
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.weights import write_beside
from training.arc_forcing.train import arc_forcing
from training.data.pieces import Piece, load_pieces
from training.data.shards import read_manifest
from training.evaluate.drift import by_window, latent_frechet, slope_per_minute
from training.evaluate.rollouts import Variant, kept
from training.finetune.train import finetune

SIZES = ("context_frames=24", "block_frames=8", "frames=96")
STAGE_1 = (
    "network.fresh=true", "network.feedforward_multiplier=2", *SIZES,
    'controls=["chord", "loudness", "drums"]', 'strategy="parallel-blocks"',
    "encoder_decoder_share=0.4", "copies=4",
    "ema=0.995", "optimizer.learning_rate=2e-3", "optimizer.schedule=cosine",
    "engine.batch_size=12", "engine.microbatch=12", "engine.validate_steps=150",
)  # fmt: skip
STAGE_2 = (
    "discriminator.warmup_steps=40", "discriminator.head_dim=32",
    "discriminator.warmup.learning_rate=5e-4", "discriminator.optimizer.learning_rate=1e-4",
    "optimizer.learning_rate=5e-5", "ema=0.95", "engine.log_steps=2", "rollout.grid_steps=4",
)  # fmt: skip
STAGE_2_SMALL = (
    "rollout.blocks=8", "rollout.context_frames=24", "rollout.block_frames=8",
    "engine.batch_size=6", "engine.microbatch=6",
)  # fmt: skip
FORCED = ("block-causal", "encoder-decoder")  # streams that can be
WINDOW_SECONDS = 10.0
MANY_STEPS_SECONDS = 20.0  # of rollouts of more than eight steps, which cost so much more
REFERENCE_FRAMES = 50_000  # at most, evenly taken from all training latents


def rows(forced: Sequence[str]) -> list[Variant]:
    """Ping-pong without guidance, before and after; before with plain guidance; many steps.

    forced: the streams that were ARC-Forced. In this order, so that an experiment that is cut short
    has answered most.
    """

    def both(steps: int, primed: bool = True) -> list[Variant]:
        return [
            Variant(stage, strategy, "ping-pong", steps, 1.0, primed)
            for strategy, stage in product(forced, ("before", "after"))
        ]

    def guided(sampler: str, steps: int, strategies: Sequence[str] = FORCED) -> list[Variant]:
        return [Variant("before", s, sampler, steps, Controls.guidance, True) for s in strategies]

    return [
        *both(4),
        *guided("ping-pong", 4),
        *both(2),
        *guided("ping-pong", 2),
        *guided("euler", 50),
        *both(4, primed=False),
        *both(8),
        *both(1),
        *guided("euler", 4, ("outpainting", *FORCED)),
    ]


@torch.no_grad()
def roll(model: Model, row: Variant, piece: Piece, seconds: float, seed: int) -> tuple[Any, float]:
    """Latents [C, T] along a piece's labels, which begin anew at its end; and CPU ms a block."""
    config = replace(model.stream_config, strategy=row.strategy, sampler=row.sampler)
    config = replace(config, guided=row.guidance != 1.0)
    stream = BlockStream(model.dit, config, seed=seed)
    size, context = config.block_frames, config.context_frames
    conditioning = model.conditioning
    assert conditioning is not None

    def features(start: int, frames: int) -> torch.Tensor:
        values = {n: v for n, v in piece.controls(start, frames).items() if n in conditioning.names}
        return torch.from_numpy(conditioning.features(values, frames))

    if row.primed:
        latents = torch.from_numpy(piece.latents[:, :context].astype(np.float32))
        stream.prime(latents, features(0, context))
    assert model.text_encoder is not None
    text = torch.from_numpy(np.array(model.text_encoder.encode(piece.facts["captions"][0])))
    blocks = []
    usable = (piece.frames - context) // size
    begun = time.process_time()
    for number in range(round(seconds * piece.frame_rate / size)):
        start = context + number % usable * size
        conditions = BlockConditions(text, features(start, size), guidance=row.guidance)
        blocks.append(stream.next_block(conditions, steps=row.steps))
    taken = 1000 * (time.process_time() - begun) / len(blocks)
    return torch.cat(blocks, dim=1).numpy(), taken


def judge(clouds: list[NDArray[Any]], reference: NDArray[Any], rate: float) -> dict[str, Any]:
    """Fréchet distance to real latents by window, its slope, and the spread of the latents."""
    parts = by_window(clouds, round(WINDOW_SECONDS * rate))
    distances = [latent_frechet(part, reference) for part in parts]
    times = [(n + 0.5) * WINDOW_SECONDS for n in range(len(parts))]
    spread = [float(np.mean(part.std(axis=1) / reference.std(axis=1))) for part in parts]
    return {
        "fd": [round(value, 2) for value in distances],
        "fd_mean": round(float(np.mean(distances)), 2),
        "fd_first": round(distances[0], 2),
        "fd_last": round(distances[-1], 2),
        "slope_per_minute": round(slope_per_minute(times, distances), 2),
        "std_ratio_first": round(spread[0], 3),
        "std_ratio_last": round(spread[-1], 3),
    }


class Claims:
    """The whole experiment, in a folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.out, self.latents, self.seconds = options.out, options.latents, options.seconds
        self.seeds, self.pieces = options.seeds, options.pieces
        self.dim, self.depth = options.dim, options.depth
        self.forced, self.settings = tuple(options.forced), options.set
        self.model = options.model
        self._until = time.monotonic() + 60 * options.minutes
        self._loaded = cache(load)

    def _left(self) -> float:
        return max(0.0, (self._until - time.monotonic()) / 60)

    def train(self, steps: int, arc_steps: int) -> bool:
        """Both stages; whether they are done."""
        common = [f'latents="{self.latents}"', "engine.checkpoint_minutes=2"]
        forcing = [*common, *STAGE_2]
        if self.model is None:
            sizes = {"dim": self.dim, "depth": self.depth, "heads": self.dim // 32}
            network = [f"network.{name}={size}" for name, size in sizes.items()]
            settings = [*common, 'model="starter"', *network, *STAGE_1, f"engine.steps={steps}"]
            if not finetune(self.out / "stage1", None, settings, self._left())["done"]:
                return False
            forcing += STAGE_2_SMALL
        for name in self.forced:
            if self._left() <= 0:
                return False
            settings = [
                *forcing, f'model="{self._before}"', f'rollout.strategy="{name}"',
                f"engine.steps={arc_steps}", *self.settings,
            ]  # fmt: skip
            folder = self.out / f"stage2-{name}"
            if not arc_forcing(folder, None, settings, self._left())["done"]:
                return False
        return True

    @property
    def _before(self) -> str:
        return self.model or str(self.out / "stage1" / "model")

    def evaluate(self) -> tuple[dict[str, Any], int]:
        """Figures of the rows there are, and how many are missing because time ran out."""
        manifest = read_manifest(self.latents)
        held_out = [*manifest.split("test"), *manifest.split("validation")]
        pieces = load_pieces(manifest, held_out[: self.pieces])
        train = load_pieces(manifest, manifest.split("train"))
        rate = manifest.frame_rate
        reference = np.concatenate([p.latents for p in train], axis=1)
        reference = reference[:, :: -(-reference.shape[1] // REFERENCE_FRAMES)].astype(np.float64)
        figures: dict[str, Any] = {"held_out": [p.facts["name"] for p in pieces]}
        count = round(self.seconds * rate)
        real = [
            np.resize(p.latents.T.astype(np.float64), (count, len(p.latents))).T for p in pieces
        ]
        figures["real"] = judge(real, reference, rate)
        missing = 0
        for row in tqdm(rows(self.forced), desc="rows"):
            path = self.out / "rows" / f"{row.name}.json"
            if not path.exists() and self._left() <= 0:
                missing += 1
                continue
            figures[row.name] = kept(path, partial(self._row, row, pieces, reference, rate))
        return figures, missing

    def _row(
        self, row: Variant, pieces: Sequence[Piece], reference: NDArray[Any], rate: float
    ) -> dict[str, Any]:
        after = str(self.out / f"stage2-{row.strategy}" / "model")
        model = self._loaded(after if row.stage == "after" else self._before)
        many = row.steps > 8
        seconds = min(self.seconds, MANY_STEPS_SECONDS) if many else self.seconds
        found = [
            roll(model, row, piece, seconds, 100 * seed + index)
            for seed in range(self.seeds)
            for index, piece in enumerate(pieces)
        ]
        clouds = [latents.astype(np.float64) for latents, _ in found]
        milliseconds = round(float(np.median([taken for _, taken in found])), 2)
        return judge(clouds, reference, rate) | {"ms_per_block": milliseconds}


def table(figures: dict[str, Any], facts: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "| row | FD mean | FD first 10 s | FD last 10 s | slope a minute | std first | std last "
        "| ms a block |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in figures.items():
        if not isinstance(row, dict):
            continue
        lines.append(
            f"| {name} | {row['fd_mean']} | {row['fd_first']} | {row['fd_last']} "
            f"| {row['slope_per_minute']:+} | {row['std_ratio_first']} | {row['std_ratio_last']} "
            f"| {row.get('ms_per_block', '')} |"
        )
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"{told}\n\n" + "\n".join(lines) + "\n"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--model", help="that is ARC-Forced; else one is trained first")
    parser.add_argument("--forced", nargs="+", default=list(FORCED), choices=FORCED)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of stage 2")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--dim", type=int, default=128, help="of the network; heads have 32")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500, help="of stage 1")
    parser.add_argument("--arc-steps", type=int, default=160, help="of stage 2, warm-up included")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each rollout")
    parser.add_argument("--pieces", type=int, default=3, help="held-out pieces that are played")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        claims = Claims(options)
        if not claims.train(options.steps, options.arc_steps):
            print("not done yet; the same command goes on")
            return 1
        figures, missing = claims.evaluate()
    except InputError as problem:
        print(f"lmdm_claims: {problem}", file=sys.stderr)
        return 2
    facts = {
        "network": options.model or f"{options.depth} layers of {options.dim}",
        "stage 1 steps": "none" if options.model else options.steps,
        "stage 2 steps (warm-up, then discriminator and generator in turns)": options.arc_steps,
        "settings of stage 2": " ".join(options.set) or "the script's",
        "rollouts": f"{len(figures['held_out'])} held-out pieces x {options.seeds} seeds x "
        f"{options.seconds:g} s",
        "rows still missing": missing,
    }
    write_json(options.out / "report.json", {"facts": facts, "figures": figures})
    write_beside(options.out / "report.md", lambda part: part.write_text(table(figures, facts)))
    print(options.out / "report.md")
    if missing:
        print("not done yet; the same command goes on")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
