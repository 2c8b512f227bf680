"""Does an instrument's name sound like it? A probe of families, trained on real renders.

The probe is a logistic regression on an embedding (musicnn, where it is installed) of solo pieces
of the training split. It then names the family of held-out real solos, of the same after the
codec, and of the model asked for each instrument by name, playing the notes of a held-out solo.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from lmdm.checkpoints import Model
from lmdm.errors import InputError
from training.data.shards import Manifest
from training.evaluate.asking import SETTLING, played
from training.evaluate.codec import sound_of
from training.evaluate.embedding import Embedding
from training.evaluate.sources import held_out_latents
from training.recipes.starter.palette import INSTRUMENTS

SAMPLE_RATE, FRAME = 44100, 2048
START, SECONDS = 10.0, 8.0  # of a piece
PROBE_SOLOS = 200  # that the probe learns from, at most
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
        for solo in tqdm(known, desc="probe"):
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
    model: Model, embedding: Embedding, source: Path, manifest: Manifest
) -> dict[str, Any]:
    """Accuracies and what was taken for what.

    source: rendered pieces, of all splits. manifest: the same encoded; the model plays the notes of
    its held-out solos.

    Raises:
        InputError: there are no solos among the pieces.
    """
    found = solos(source)
    train = [solo for solo in found if solo.split == "train"][:PROBE_SOLOS]
    probe = FamilyProbe(embedding, train, SECONDS)
    known = [solo for solo in found if solo.split != "train"]
    frames = round((SECONDS + SETTLING) * SAMPLE_RATE / FRAME)
    held = held_out_latents(manifest, len(manifest.entries), frames)
    notes = [piece for piece in held if len(piece.facts["stems"]) == 1]
    if not notes:
        raise InputError(f"{manifest.location} holds no held-out piece of one instrument")
    real = [
        (solo.family, probe.family(solo.sound(SECONDS)))
        for solo in known
        if solo.family in probe.families
    ]
    coded = [
        (
            str(piece.facts["stems"][0]["family"]),
            probe.family(sound_of(model.codec, piece.latents[:, :frames])),
        )
        for piece in notes
    ]
    asked = []
    wanted = [i for i in INSTRUMENTS.values() if i.family in probe.families]
    for index, instrument in enumerate(tqdm(wanted, desc="prompts")):
        known_values = notes[index % len(notes)].controls(0, frames)
        values = {n: v for n, v in known_values.items() if n in ("notes", "beat")}
        sound = played(model, instrument.name, values, frames, index)
        heard = probe.family(sound[round(SETTLING * SAMPLE_RATE) :])
        asked.append((instrument.family, heard, instrument.name))

    def accuracy(pairs: Sequence[tuple[str, ...]]) -> float:
        return round(float(np.mean([pair[0] == pair[1] for pair in pairs])), 3)

    return {
        "families": len(probe.families),
        "chance": round(1 / len(probe.families), 3),
        "real": {"sounds": len(real), "accuracy": accuracy(real)},
        "codec": {"sounds": len(coded), "accuracy": accuracy(coded)},
        "model_asked": {"sounds": len(asked), "accuracy": accuracy(asked)},
        "heard_as": {name: heard for _, heard, name in asked},
    }
