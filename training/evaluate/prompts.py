"""Does an instrument's name sound like it? A probe of families, trained on real renders.

python -m training.evaluate.prompts MODEL --pieces DIR --latents DIR [--out FILE]

The probe is a logistic regression on an embedding (musicnn, where it is installed) of solo pieces
of the training split. It then names the family of held-out real solos, of the same after the
codec, and of the model asked for each instrument by name, playing the notes of a held-out solo.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from lmdm.errors import InputError
from training.data.pieces import Piece
from training.evaluate.asking import SETTLING, played, sound_of
from training.evaluate.controls import held_out_latents
from training.evaluate.embedding import Embedding, best_embedding
from training.evaluate.judgement import tell
from training.recipes.starter.palette import INSTRUMENTS

SAMPLE_RATE, FRAME = 44100, 2048
START = 10.0  # s into a piece
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Solo:
    """A rendered piece of one pitched instrument."""

    folder: Path
    family: str
    split: str

    def sound(self, seconds: float) -> Array:
        """Some seconds from its middle [S, 2]."""
        return np.asarray(
            soundfile.read(
                self.folder / "mix.flac",
                dtype="float32",
                always_2d=True,
                start=round(START * SAMPLE_RATE),
                frames=round(seconds * SAMPLE_RATE),
            )[0]
        )


def solos(root: Path) -> list[Solo]:
    """All of a folder of rendered pieces, in order of name.

    Raises:
        InputError: there is none.
    """
    found = []
    for path in sorted(root.glob("*/piece.json")):
        piece = json.loads(path.read_text(encoding="utf-8"))
        families = [stem["family"] for stem in piece["stems"]]
        if len(families) == 1 and families[0] != "drums":
            found.append(Solo(path.parent, families[0], piece["split"]))
    if not found:
        raise InputError(f"{root} holds no rendered piece of one instrument")
    return found


class FamilyProbe:
    """Names the instrument family of a sound."""

    def __init__(self, embedding: Embedding, known: Sequence[Solo], seconds: float) -> None:
        self._embedding = embedding
        vectors, families = [], []
        for solo in tqdm(known, desc="probe", disable=not sys.stderr.isatty()):
            found = embedding.embed(solo.sound(seconds), SAMPLE_RATE)[0]
            vectors.append(found)
            families += [solo.family] * len(found)
        self._classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
        )
        self._classifier.fit(np.concatenate(vectors), families)
        self.families = [str(name) for name in self._classifier.classes_]

    def family(self, sound: Array) -> str:
        """The family with the highest mean log-probability over the sound's patches."""
        vectors = self._embedding.embed(sound, SAMPLE_RATE)[0]
        return self.families[int(self._classifier.predict_log_proba(vectors).mean(axis=0).argmax())]


def evaluate(
    model: Model, known: Sequence[Solo], notes: Sequence[Piece], seconds: float, guidance: float
) -> dict[str, Any]:
    """Accuracies and what was taken for what.

    known: solos, of all splits. notes: encoded held-out pieces whose notes the model plays.
    """
    probe = FamilyProbe(best_embedding(), [s for s in known if s.split == "train"], seconds)
    frames = round((seconds + SETTLING) * SAMPLE_RATE / FRAME)
    real = [
        (solo.family, probe.family(solo.sound(seconds)))
        for solo in known
        if solo.split != "train" and solo.family in probe.families
    ]
    coded = [
        (
            str(piece.facts["stems"][0]["family"]),
            probe.family(sound_of(model, piece.latents[:, :frames])),
        )
        for piece in notes
    ]
    asked = []
    wanted = [i for i in INSTRUMENTS.values() if i.family in probe.families]
    for index, instrument in enumerate(tqdm(wanted, disable=not sys.stderr.isatty())):
        known_values = notes[index % len(notes)].controls(0, frames)
        values = {n: v for n, v in known_values.items() if n in ("notes", "beat")}
        sound = played(model, instrument.name, values, frames, index, guidance)
        heard = probe.family(sound[round(SETTLING * SAMPLE_RATE) :])
        asked.append((instrument.family, heard, instrument.name))

    def accuracy(pairs: Sequence[tuple[str, ...]]) -> float:
        return round(float(np.mean([pair[0] == pair[1] for pair in pairs])), 3)

    return {
        "model": model.name,
        "sha256": model.sha256,
        "families": len(probe.families),
        "chance": round(1 / len(probe.families), 3),
        "real": {"sounds": len(real), "accuracy": accuracy(real)},
        "codec": {"sounds": len(coded), "accuracy": accuracy(coded)},
        "model_asked": {"sounds": len(asked), "accuracy": accuracy(asked)},
        "heard_as": {name: heard for _, heard, name in asked},
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="instrument families of prompts, by a probe")
    parser.add_argument("model", help="model name or folder")
    parser.add_argument("--pieces", type=Path, required=True, help="rendered pieces")
    parser.add_argument("--latents", type=Path, required=True, help="the same, encoded")
    parser.add_argument("--probe-pieces", type=int, default=200, help="solos the probe learns from")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    frames = round((options.seconds + SETTLING) * SAMPLE_RATE / FRAME)

    def judge() -> dict[str, Any]:
        found = solos(options.pieces)
        known = [s for s in found if s.split == "train"][: options.probe_pieces]
        known += [s for s in found if s.split != "train"]
        held = held_out_latents(options.latents, 10**6, frames)
        notes = [piece for piece in held if len(piece.facts["stems"]) == 1]
        if not notes:
            raise InputError(f"{options.latents} holds no held-out piece of one instrument")
        return evaluate(load(options.model), known, notes, options.seconds, options.guidance)

    tell(judge, options.out)


if __name__ == "__main__":
    main()
