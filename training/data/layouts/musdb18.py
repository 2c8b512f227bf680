"""MUSDB18 as published: train/ and test/, each song a folder of WAVs (HQ) or one .stem.mp4.

    train/ARTIST - TITLE/{mixture,drums,bass,other,vocals}.wav
    train/ARTIST - TITLE.stem.mp4       five streams: mixture, drums, bass, other, vocals

The 14 validation songs of the `musdb` package's own split are held out of train.
"""

from __future__ import annotations

from pathlib import Path

from training.data.track import Stem, Track

NAME = "musdb18"
STEMS = ("drums", "bass", "other", "vocals")
LICENCE = "MUSDB18: academic use only, per song; see its own licence file"
VALIDATION = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)


def matches(root: Path) -> bool:
    """train/ or test/ with songs of one of the two forms."""
    return any(
        next((root / half).glob(pattern), None) is not None
        for half in ("train", "test")
        for pattern in ("*/mixture.wav", "*.stem.mp4")
    )


def tracks(root: Path, licence: str, skipped: dict[str, str]) -> list[Track]:  # noqa: ARG001
    """One track a song, with its four stems."""
    found = []
    for half in ("train", "test"):
        for path in sorted((root / half).glob("*/mixture.wav")):
            stems = tuple(
                Stem(name, path.with_name(f"{name}.wav"), name == "drums", name)
                for name in STEMS
                if path.with_name(f"{name}.wav").is_file()
            )
            found.append(_track(half, path.parent.name, path, stems, licence))
        for path in sorted((root / half).glob("*.stem.mp4")):
            stems = tuple(Stem(name, path, name == "drums", name) for name in STEMS)
            name = path.name.removesuffix(".stem.mp4")
            found.append(_track(half, name, path, stems, licence))
    return found


def _track(half: str, name: str, audio: Path, stems: tuple[Stem, ...], licence: str) -> Track:
    artist, _, title = name.partition(" - ")
    held_out = half == "train" and name in VALIDATION
    return Track(
        name=f"{half}/{name}",
        audio=audio,
        layout=NAME,
        split="validation" if held_out else half,
        licence=licence if licence != "unknown" else LICENCE,
        captions=("a song with drums, bass and vocals",),
        stems=stems,
        facts={"artist": artist, "title": title},
    )
