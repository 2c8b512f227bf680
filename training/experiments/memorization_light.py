"""Does the memorization light see planted duplicates that a model replays? (docs/safety.md)

    python -m training.experiments.memorization_light OUT --latents DIR [--starter] [--steps N]

A corpus with planted duplicates (`planted_corpus`) is learnt by a small network from nothing, or by
a copy of the starter; then every prompt is played from silence, and prompts of pieces that were
left out, which make the light. What copies is told at full resolution, by other means than the
light's: the distance of the latents themselves to the prompt's own passage, at every offset.

Each call works for at most `--minutes` and goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product
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
from lmdm.safety.memorization.light import CHECK_FRAMES, UPDATE_FRAMES
from lmdm.safety.memorization.ordinary import (
    Performance,
    nearness,
    passage_track,
    update_track,
    update_witness,
)
from lmdm.safety.memorization.passages import WINDOW_FRAMES, Passages
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.weights import write_beside
from training.data.pieces import Piece, load_pieces
from training.data.shards import read_manifest
from training.experiments.planted_corpus import HELD_OUT, KINDS, CorpusConfig, write_corpus
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
BANDS = (0.15, 0.25, 0.35)  # of a window's relative squared distance; unrelated ones have 1
UNSEEN = "unseen"  # prompts of pieces that the corpus does not have
UNSEEN_PROMPTS = 16
RATE = 0.01  # share of the time that unseen prompts may light the light


@dataclass(frozen=True)
class Roll:
    """One prompt played: latents [C, T], norms of every block's steps [B, K, 3]."""

    kind: str
    caption: str
    performance: Performance
    text: Tensor  # [B, K] ‖v_c - v_∅‖


@torch.inference_mode()
def played(model: Model, caption: str, guidance: float, seed: int) -> dict[str, Tensor]:
    """Latents and statistics of one prompt, from silence."""
    stream = BlockStream(model.dit, model.stream_config, seed)
    assert model.text_encoder is not None
    tokens = torch.from_numpy(np.array(model.text_encoder.encode(caption)))
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


def distances(latents: Tensor, passages: Sequence[Tensor]) -> Tensor:
    """How far the light's looks into a roll are from the nearest window of the passages, [looks].

    latents, passages: [C, T] in units of the corpus's spread, about its mean. The squared distance
    is relative to the two windows' own sizes, so that it is 1 where they have nothing in common.
    """
    windows = torch.cat([_windows(passage, 1) for passage in passages])
    looks = _windows(latents, CHECK_FRAMES)
    size = looks.square().sum(1)[:, None] + windows.square().sum(1)
    return (1.0 - 2.0 * looks @ windows.T / size).amin(dim=1)


def _windows(latents: Tensor, hop: int) -> Tensor:
    return latents.unfold(1, WINDOW_FRAMES, hop).permute(1, 0, 2).flatten(1)


def measure(
    model: Model, rolls: Sequence[Roll], pieces: Sequence[Piece], setting: dict[str, Any]
) -> dict[str, Any]:
    """What was copied, what the light says of it, and how well each witness tells it from others.

    The light is made of the unseen prompts' rolls; its own rates of false alarms are by halves.
    """
    unique = {(p.facts["name"], p.frames): p for p in pieces}.values()
    named = [(p.facts["name"], torch.from_numpy(p.latents.astype(np.float32))) for p in unique]
    passages = Passages.of(named)
    own: dict[str, list[Tensor]] = {}
    for piece, (_, latents) in zip(unique, named, strict=True):
        own.setdefault(piece.facts["captions"][-1], []).append(_scaled(latents, passages))
    by_kind = {kind: [r for r in rolls if r.kind == kind] for kind in (*KINDS, UNSEEN)}
    unseen = [roll.performance for roll in by_kind[UNSEEN]]
    updates = update_witness(unseen, setting, model, RATE)
    near = nearness(unseen, passages, model, RATE)
    block = model.stream_config.block_frames
    first = UPDATE_FRAMES // block  # before, there is less context than usual
    witnesses: dict[str, Callable[[Roll], list[float]]] = {
        "passages": lambda roll: passage_track(passages, roll.performance.latents),
        "updates": lambda roll: update_track(updates.region, roll.performance.norms[first:], block),
        "text-conditional norm": lambda roll: roll.text[first:].mean(dim=1).tolist(),
    }
    tracks = {
        name: {kind: [track(roll) for roll in some] for kind, some in by_kind.items()}
        for name, track in witnesses.items()
    }
    heard = {
        kind: [_scaled(roll.performance.latents, passages) for roll in some]
        for kind, some in by_kind.items()
    }
    anywhere = [passage for some in own.values() for passage in some]
    distance = torch.cat(
        [distances(each, anywhere) for some in heard.values() for each in some]
    ).numpy()
    lit = np.concatenate([t for some in tracks["passages"].values() for t in some]) > near.value
    return {
        "rolls": {kind: len(some) for kind, some in by_kind.items()},
        "copied": {
            kind: _mean(torch.cat([
                distances(latents, own[roll.caption]) < BANDS[-1]
                for roll, latents in zip(by_kind[kind], heard[kind], strict=True)
            ]).numpy())
            for kind in KINDS
        },
        "by distance": [
            {"from": low, "looks": int(here.sum()), "lit": _mean(lit[here])}
            for low, high in pairwise((0.0, *BANDS, 2.0))
            for here in [(distance >= low) & (distance < high)]
        ],
        "lit": {
            name: {kind: _mean(np.concatenate(each) > above) for kind, each in tracks[name].items()}
            for name, above in (("passages", near.value), ("updates", updates.threshold.value))
        },
        "false alarms": {"passages": asdict(near), "updates": asdict(updates.threshold)},
        "memorised against": {
            kind: {
                name: asdict(separation(
                    _by_prompt(by_kind["memorised"], found["memorised"]),
                    _by_prompt(by_kind[kind], found[kind]),
                ))
                for name, found in tracks.items()
            }
            for kind in (*KINDS[1:], UNSEEN)
        },
    }  # fmt: skip


def _scaled(latents: Tensor, passages: Passages) -> Tensor:
    return (latents - passages.mean[:, None]) / passages.spread[:, None]


def _mean(values: Any) -> float:
    return round(float(np.mean(values)), 3)


def _by_prompt(rolls: Sequence[Roll], tracks: Sequence[Sequence[float]]) -> dict[str, Any]:
    """caption -> the mean of each of its rolls."""
    found: dict[str, list[float]] = {}
    for roll, track in zip(rolls, tracks, strict=True):
        found.setdefault(roll.caption, []).append(float(np.mean(track)))
    return {caption: np.array(scores) for caption, scores in found.items()}


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
    asked = dict.fromkeys((p.facts["kind"], p.facts["captions"][-1]) for p in pieces)
    asked |= dict.fromkeys((UNSEEN, each) for each in _unseen(options.latents, corpus))
    rolls = []
    folder = out / f"rolls-guidance{options.guidance:g}"
    folder.mkdir(exist_ok=True)
    cases = list(product(range(options.seeds), asked))
    for number, (_, (kind, caption)) in enumerate(tqdm(cases, unit="roll")):
        path = folder / f"{number:04d}.safetensors"
        if not path.exists():
            if time.monotonic() > until:
                return None
            tensors = played(model, caption, options.guidance, number)
            write_beside(path, lambda part, made=tensors: save_file(made, part))  # type: ignore[misc]
        held = load_file(path)
        rolls.append(Roll(kind, caption, Performance(held["latents"], held["norms"]), held["text"]))
    setting = dict(stream_setting(model, model.stream_config.steps, options.guidance))
    report = {"guidance": options.guidance, **measure(model, rolls, pieces, setting)}
    write_json(out / f"report-guidance{options.guidance:g}.json", report)
    return report


def _unseen(latents: Path, corpus: Path) -> list[str]:
    """Captions of pieces that were left out of the corpus."""
    keys = set(json.loads((corpus / HELD_OUT).read_text()))
    manifest = read_manifest(latents)
    left_out = [entry for entry in manifest.split("train") if entry.key in keys][:UNSEEN_PROMPTS]
    return [piece.facts["captions"][-1] for piece in load_pieces(manifest, left_out)]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--latents", type=Path, required=True, help="what train encode wrote")
    parser.add_argument("--starter", action="store_true", help="fine-tune a copy of the starter")
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--seeds", type=int, default=4, help="rolls of every prompt (4)")
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
