"""Several ways of saying in words what a piece sounds like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.recipes.starter.palette import Instrument

STYLE_WORDS: dict[str, tuple[str, ...]] = {
    "four-on-the-floor": (
        "electronic dance track",
        "house",
        "four-on-the-floor club track",
        "dance music",
    ),
    "ambient": (
        "ambient",
        "calm ambient soundscape",
        "slow atmospheric music",
        "meditative ambient",
    ),
    "ballad": ("ballad", "slow emotional ballad", "tender ballad", "soft pop ballad"),
    "jazz trio": ("jazz", "swinging jazz combo", "jazz trio", "acoustic jazz, walking bass"),
    "string ensemble": (
        "string ensemble",
        "classical strings",
        "chamber music for strings",
        "cinematic strings",
    ),
    "chiptune": (
        "chiptune",
        "8-bit video game music",
        "retro game soundtrack",
        "synth pop, chiptune style",
    ),
    "breakbeat": ("breakbeat", "funky breakbeat", "broken beat groove", "hip hop breakbeat"),
    "solo piano": (
        "solo piano",
        "solo piano improvisation",
        "solo piano piece",
        "expressive piano music",
    ),
    "guitar folk": (
        "acoustic folk",
        "folk guitar",
        "fingerpicked folk tune",
        "acoustic guitar music",
    ),
    "mallets": (
        "mallet percussion",
        "minimal music for marimba and vibraphone",
        "mallet ensemble",
        "light percussive pattern music",
    ),
    "art song": (
        "art song, classical",
        "romantic song arrangement",
        "classical lied",
        "nineteenth-century song",
    ),
    "classical arrangement": (
        "classical music",
        "classical piece",
        "chamber music arrangement",
        "classical quartet arrangement",
    ),
    "string quartet": (
        "string quartet",
        "classical chamber music",
        "classical quartet",
        "chamber music",
    ),
}


def tempo_word(bpm: float) -> str:
    """Slow, moderate or fast."""
    return "slow" if bpm < 84 else "mid-tempo" if bpm < 118 else "fast"


def joined(names: Sequence[str]) -> str:
    """Names as a spoken list."""
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else ", ".join(unique[:-1]) + " and " + unique[-1]


def describe(
    style: str,
    instruments: Sequence[Instrument],
    bpm: float,
    key: str,
    generator: np.random.Generator,
) -> list[str]:
    """Six captions for an arranged piece, from terse to full."""
    words = list(generator.permutation(STYLE_WORDS[style]))
    names = [instrument.name for instrument in instruments]
    lead = str(generator.choice(names))
    mood = (
        "dark"
        if key.split()[1] in ("minor", "phrygian")
        else "warm"
        if "dorian" in key
        else "bright"
    )
    return [
        str(words[0]),
        f"{words[1]} with {lead}, {bpm:.0f} bpm",
        f"{words[2]}, {mood}, {tempo_word(bpm)}",
        f"{joined(names)}, {words[3]}",
        f"{tempo_word(bpm)} {words[0]} in {key}, {joined(names)}",
        f"{mood} {words[1]}, {lead}",
    ]


def describe_player(
    instrument: Instrument,
    manners: Sequence[str],
    others: Sequence[Instrument],
    bpm: float,
    generator: np.random.Generator,
) -> list[str]:
    """Six captions for a piece played by one hand-held instrument, maybe over drums and bass."""
    name, family = instrument.name, instrument.family
    adjective = str(generator.choice(["simple", "free", "improvised", "clean", "dry"]))
    return [
        name,
        f"{name} {'improvisation' if not others else 'over a groove'}",
        f"a solo {name} improvisation" if not others else f"{name}, {joined(list(manners))}",
        f"{family}, {adjective}, {tempo_word(bpm)}",
        f"{adjective} {name} playing {joined(list(manners))}",
        f"solo {name}"
        if not others
        else f"{name} with {joined([o.name for o in others])}, {bpm:.0f} bpm",
    ]


def describe_rest(instruments: Sequence[Instrument], bpm: float, key: str) -> list[str]:
    """Captions for the part of a band that goes with a musician's playing."""
    names = joined([instrument.name for instrument in instruments])
    return [
        names,
        f"{names} accompaniment",
        f"{tempo_word(bpm)} backing of {names}, {bpm:.0f} bpm",
        f"{names} in {key}",
    ]
