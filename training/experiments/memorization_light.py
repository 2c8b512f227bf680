"""Do the witnesses of the memorization light see planted duplicates? (docs/safety.md)

    python -m training.experiments.memorization_light OUT --latents DIR [--starter] [--steps N]

A corpus with planted duplicates (`planted_corpus`) is learnt by a small network from nothing, or by
a copy of the starter; then every prompt is played, cold and primed with the beginning of its own
passage. What copies is told apart at full resolution, by other means than the light's: the distance
of the latents themselves, at every offset, from every passage of the corpus.

Each call works for at most `--minutes` and goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from lmdm.config import write_json
from lmdm.errors import InputError
from lmdm.safety.memorization.block_updates import BlockUpdates, stream_setting
from lmdm.safety.memorization.evaluation import separation
from lmdm.safety.memorization.light import UPDATE_FRAMES, block_score
from lmdm.safety.memorization.ordinary import passage_track
from lmdm.safety.memorization.passages import WINDOW_FRAMES, Passages
from lmdm.safety.memorization.region import calibrate
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.weights import write_beside
from training.data.pieces import Piece, load_pieces
from training.data.shards import read_manifest
from training.experiments.planted_corpus import CorpusConfig, write_corpus
from training.finetune.train import finetune

TRAINING = (
    'strategy="parallel-blocks"', "context_frames=96", "block_frames=4", "frames=104",
    "dropout.text=0.05", "optimizer.schedule=cosine", "optimizer.warmup_steps=20",
    "engine.validate_steps=0",
)  # fmt: skip
SMALL = (
    "network.fresh=true", "network.dim=128", "network.depth=4", "network.heads=4",
    "network.feedforward_multiplier=2", "controls=[]", "optimizer.learning_rate=2e-3",
    "engine.steps=1500", "engine.batch_size=8", "engine.microbatch=8",
)  # fmt: skip
STARTER = (
    "optimizer.learning_rate=6e-4", "engine.steps=250", "engine.batch_size=4",
    "engine.microbatch=4", 'engine.precision="bf16"',
)  # fmt: skip
BLOCKS = 48  # 9 s of the starter
COPY = 0.35  # relative squared distance of a window that counts as a copy; unrelated ones have 1
KINDS = ("memorised", "matched", "single", "normal")


@dataclass(frozen=True)
class Roll:
    """One prompt played: latents [C, T], norms of every block's steps [B, K, 3]."""

    kind: str
    caption: str
    latents: Tensor
    norms: Tensor
    text: Tensor  # [B, K] ‖v_c - v_∅‖


@torch.inference_mode()
def played(model: Model, piece: Piece, primed: bool, guidance: float, seed: int) -> dict[str, Any]:
    """Latents and statistics of one prompt; primed with the first half of its passage."""
    stream = BlockStream(model.dit, model.stream_config, seed)
    if primed:
        stream.prime(torch.from_numpy(piece.latents[:, :WINDOW_FRAMES].astype(np.float32)))
    assert model.text_encoder is not None
    tokens = torch.from_numpy(np.array(model.text_encoder.encode(piece.facts["captions"][0])))
    updates = BlockUpdates()
    blocks, norms, text = [], [], []
    for _ in range(BLOCKS):
        conditions = BlockConditions(tokens, guidance=guidance)
        blocks.append(stream.next_block(conditions, after_step=updates))
        conditional, taken = updates.text_conditional(), updates.taken(guidance)
        assert conditional is not None and taken is not None
        text.append(conditional)
        norms.append(taken)
    return {"latents": torch.cat(blocks, 1), "norms": torch.stack(norms), "text": torch.stack(text)}


def copied(latents: Tensor, windows: Tensor) -> float:
    """Share of a roll's windows that lie within COPY of some window [N, C * n] of the corpus.

    Both in units of the corpus's spread, about its mean.

    The squared distance is relative to the two windows' own sizes, so that it is 1 where they have
    nothing in common.
    """
    own = latents.unfold(1, WINDOW_FRAMES, 8).permute(1, 0, 2).flatten(1)
    size = own.square().sum(1)[:, None] + windows.square().sum(1)
    distance = 1.0 - 2.0 * own @ windows.T / size
    return float((distance.amin(dim=1) < COPY).float().mean())


def measure(rolls: list[Roll], pieces: list[Piece], setting: Any) -> dict[str, Any]:
    """AUC of each witness between rolls that copy and rolls that do not, and copy rates."""
    unique = {(p.facts["name"], p.frames): p for p in pieces}
    named = [
        (name, torch.from_numpy(p.latents.astype(np.float32))) for (name, _), p in unique.items()
    ]
    passages = Passages.of(named)
    mean, spread = passages.mean[:, None], passages.spread[:, None]
    windows = torch.cat([
        ((latents - mean) / spread).unfold(1, WINDOW_FRAMES, 1).permute(1, 0, 2).flatten(1)
        for _, latents in named
    ])  # fmt: skip
    shares = [copied((roll.latents - mean) / spread, windows) for roll in rolls]
    first = UPDATE_FRAMES // 4 // 2
    usual = [roll for roll, share in zip(rolls, shares, strict=True) if share == 0.0]
    if len(usual) < 8:
        raise InputError(f"only {len(usual)} rolls copy nothing: train less, or plant less")
    region = calibrate([norms for roll in usual[::2] for norms in roll.norms[first:]], setting)
    judged = {id(roll) for roll in usual[::2]}
    witnesses: dict[str, dict[bool, dict[str, list[float]]]] = {
        name: {True: {}, False: {}} for name in ("updates", "passages", "text-conditional norm")
    }
    for roll, share in zip(rolls, shares, strict=True):
        if id(roll) in judged or 0.0 < share < 0.5:
            continue  # they made the region, or are neither one nor the other
        scores = {
            "updates": float(np.mean([block_score(region, norms) for norms in roll.norms[first:]])),
            "passages": float(np.mean(passage_track(passages, roll.latents))),
            "text-conditional norm": float(roll.text[first:].mean()),
        }
        for name, score in scores.items():
            witnesses[name][share >= 0.5].setdefault(roll.caption, []).append(score)
    found = {}
    for name, sides in witnesses.items():
        yes, no = ({k: np.array(v) for k, v in sides[side].items()} for side in (True, False))
        found[name] = asdict(separation(yes, no))
    rate = {
        kind: round(
            float(np.mean([s for r, s in zip(rolls, shares, strict=True) if r.kind == kind])), 3
        )
        for kind in KINDS
    }
    return {"separation": found, "copied share": rate, "rolls": len(rolls)}


def run(options: argparse.Namespace) -> dict[str, Any] | None:
    """Corpus, training, rolls, figures; None if time ran out before."""
    until = time.monotonic() + 60 * options.minutes
    out: Path = options.out
    corpus = out / "corpus"
    if not (corpus / "manifest.json").exists():
        write_corpus(options.latents, corpus, CorpusConfig())
    settings = [f'latents="{corpus}"', 'model="starter"', *TRAINING]
    settings += STARTER if options.starter else SMALL
    settings += [f"engine.steps={options.steps}"] if options.steps else []
    if not finetune(out / "training", None, settings, options.minutes)["done"]:
        return None
    model = load(out / "training" / "model")
    manifest = read_manifest(corpus)
    pieces = load_pieces(manifest, manifest.entries)
    chosen = {(p.facts["kind"], p.facts["captions"][0]): p for p in pieces}
    rolls = []
    (out / "rolls").mkdir(exist_ok=True)
    cases = [(s, primed, key) for s in range(options.seeds) for primed in (0, 1) for key in chosen]
    for number, (_, primed, key) in enumerate(tqdm(cases, unit="roll")):
        path = out / "rolls" / f"{number:04d}.safetensors"
        if not path.exists():
            if time.monotonic() > until:
                return None
            tensors = played(model, chosen[key], bool(primed), options.guidance, number)
            write_beside(path, lambda part, made=tensors: save_file(made, part))  # type: ignore[misc]
        held = load_file(path)
        rolls.append(Roll(key[0], key[1], held["latents"], held["norms"], held["text"]))
    setting = stream_setting(model, model.stream_config.steps, options.guidance)
    report = {"guidance": options.guidance, **measure(rolls, pieces, setting)}
    write_json(out / "report.json", report)
    return report


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--latents", type=Path, required=True, help="what train encode wrote")
    parser.add_argument("--starter", action="store_true", help="fine-tune a copy of the starter")
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--seeds", type=int, default=2, help="rolls of every prompt and start")
    parser.add_argument("--steps", type=int, help="of training (250 of the starter, 1500 else)")
    parser.add_argument("--minutes", type=float, default=1e9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        report = run(options)
    except InputError as problem:
        print(f"memorization_light: {problem}", file=sys.stderr)
        return 2
    print("not done yet; the same command goes on" if report is None else json.dumps(report))
    return 1 if report is None else 0


if __name__ == "__main__":
    sys.exit(main())
