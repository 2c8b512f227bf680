"""The arranger: a form, its harmony, and players who go through it section by section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.recipes.starter import parts as play
from training.recipes.starter.captions import describe
from training.recipes.starter.harmony import Chord, Key, progression, random_key
from training.recipes.starter.palette import INSTRUMENTS
from training.recipes.starter.parts import GROOVES, Bars, Motif, motif
from training.recipes.starter.score import ChordSpan, Part, Score

Generator = np.random.Generator
# (section, energy): the form is repeated or cut to the length wanted.
FORM = (
    ("intro", 0.35),
    ("verse", 0.6),
    ("chorus", 0.95),
    ("verse", 0.65),
    ("chorus", 1.0),
    ("outro", 0.3),
)
SHORT_FORM = (("intro", 0.35), ("verse", 0.6), ("chorus", 0.95), ("outro", 0.3))


@dataclass(frozen=True)
class Style:
    """The ranges a style draws from. `size` is the number of notes in a chord."""

    name: str
    bpm: tuple[float, float]
    modes: tuple[str, ...]
    kind: str
    size: int
    swing: tuple[float, float]
    arrange: Callable[[Band], None]


class Band:
    """A piece being arranged: its sections, themes and parts."""

    def __init__(self, style: Style, generator: Generator) -> None:
        self.generator = generator
        self.style = style
        self.bpm = float(round(generator.uniform(*style.bpm)))
        self.key: Key = random_key(generator, style.modes)
        waltz = style.name in ("ballad", "solo piano", "guitar folk", "string ensemble")
        self.beats = 3 if waltz and generator.random() < 0.25 else 4
        self.sections = self._sections()
        self.theme: Motif = motif(generator, self.beats, float(generator.uniform(0.2, 0.9)))
        self.hook: Motif = motif(generator, self.beats, float(generator.uniform(0.3, 1.0)))
        self.parts: list[Part] = []

    def _sections(self) -> list[tuple[str, Bars]]:
        generator, style = self.generator, self.style
        wanted = float(generator.uniform(45.0, 68.0))
        total = max(8, int(wanted * self.bpm / 60 / self.beats))
        form = FORM if total >= 28 else SHORT_FORM
        verse = progression(generator, self.key, style.kind, style.size)
        chorus = progression(generator, self.key, style.kind, style.size)
        share = total / len(form)
        sections, first = [], 0
        for index, (name, energy) in enumerate(form):
            last = (
                total
                if index == len(form) - 1
                else max(first + 2, 2 * round(share * (index + 1) / 2))
            )
            chords = chorus if name == "chorus" else verse
            if last > first:
                sections.append((name, Bars(first, last, self.beats, tuple(chords), energy)))
            first = last
        return sections

    def part(self, name: str, level_db: float = 0.0) -> Part:
        """A new part for the instrument called `name`."""
        part = Part(INSTRUMENTS[name], level_db)
        self.parts.append(part)
        return part

    def choose(self, *names: str) -> str:
        """One of the names, at random."""
        return str(self.generator.choice(names))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.generator.random() < probability)

    def groove(self, kind: str) -> dict[int, str]:
        """One of the grooves of a kind."""
        return GROOVES[kind][int(self.generator.integers(len(GROOVES[kind])))]

    def add_drums(self, kit: str, kind: str, level_db: float = 0.0, quietest: float = 0.5) -> None:
        """Drums in every section at least as energetic as `quietest`."""
        part, groove = self.part(kit, level_db), self.groove(kind)
        for name, bars in self.sections:
            if bars.energy >= quietest:
                play.drums(part, bars, groove, self.generator, fill=name in ("verse", "chorus"))

    def add_bass(
        self, name: str, manner: str, level_db: float = 0.0, quietest: float = 0.4
    ) -> None:
        """A bass line in every section at least as energetic as `quietest`."""
        part = self.part(name, level_db)
        for _, bars in self.sections:
            if bars.energy >= quietest:
                play.bass(part, bars, manner, self.generator)

    def add_pad(self, name: str, level_db: float, centre: int = 60) -> None:
        """Held chords throughout."""
        part = self.part(name, level_db)
        held: list[int] | None = None
        for _, bars in self.sections:
            held = play.comping(
                part,
                bars,
                (0.0,),
                centre,
                60 + 25 * bars.energy,
                self.generator,
                legato=True,
                previous=held,
            )

    def add_comping(
        self,
        name: str,
        rhythms: tuple[tuple[float, ...], ...],
        level_db: float,
        centre: int = 60,
        rolled: float = 0.0,
    ) -> None:
        """Struck chords throughout, one rhythm a section."""
        part = self.part(name, level_db)
        held: list[int] | None = None
        for _, bars in self.sections:
            rhythm = rhythms[int(self.generator.integers(len(rhythms)))]
            held = play.comping(
                part,
                bars,
                rhythm,
                centre,
                58 + 34 * bars.energy,
                self.generator,
                rolled=rolled,
                previous=held,
            )

    def add_arpeggio(
        self,
        name: str,
        step: float,
        level_db: float,
        centre: int = 62,
        *,
        pedal: bool = False,
        quietest: float = 0.0,
    ) -> None:
        """Broken chords in every section at least as energetic as `quietest`."""
        part = self.part(name, level_db)
        for _, bars in self.sections:
            if bars.energy >= quietest:
                play.arpeggio(
                    part,
                    bars,
                    step,
                    centre,
                    56 + 34 * bars.energy,
                    self.generator,
                    pedal=pedal,
                    span=int(self.generator.integers(3, 8)),
                )

    def add_melody(self, name: str, register: int, level_db: float, quietest: float = 0.5) -> None:
        """The theme in verses and the hook in choruses."""
        part = self.part(name, level_db)
        for section, bars in self.sections:
            if bars.energy >= quietest:
                theme = self.hook if section == "chorus" else self.theme
                play.melody(
                    part, bars, self.key, theme, register, 74 + 26 * bars.energy, self.generator
                )

    def score(self) -> Score:
        """The finished score; parts that never played are left out."""
        heard = [part for part in self.parts if part.notes]
        spans = []
        for _, bars in self.sections:
            for bar in range(bars.first, bars.last):
                chord: Chord = bars.chord(bar)
                spans.append(ChordSpan(bars.start(bar), bars.start(bar + 1), chord.pitch_classes))
        names = [part.instrument for part in heard]
        return Score(
            style=self.style.name,
            bpm=self.bpm,
            key=self.key.name,
            beats_per_bar=self.beats,
            parts=heard,
            chords=spans,
            captions=describe(self.style.name, names, self.bpm, self.key.name, self.generator),
            swing=float(self.generator.uniform(*self.style.swing)),
            looseness=0.3 if self.style.name in ("four-on-the-floor", "chiptune") else 1.0,
            sections=[(name, bars.start(bars.first)) for name, bars in self.sections],
        )
