"""A change of prompts that takes its time.

>>> glide = Glide((("piano", 1.0),), begin=8.0, beats=4.0)
>>> glide.weights((("choir", 1.0),), beat=9.0)
(('piano', 0.75), ('choir', 0.25))
>>> glide.weights((("choir", 1.0),), beat=12.0)
(('choir', 1.0),)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Glide:
    """From the weights at `begin` (a musical position in beats) to the present ones in `beats`."""

    source: Weighted = ()
    begin: float = 0.0
    beats: float = 0.0

    def share(self, beat: float) -> float:
        """How far it is, 0 to 1."""
        return min(1.0, max(0.0, (beat - self.begin) / self.beats)) if self.beats > 0.0 else 1.0

    def moved(self, beats: float) -> Glide:
        """The same at a musical position so many beats later: it goes on where the clock jumps."""
        return replace(self, begin=self.begin + beats)

    def weights(self, target: Weighted, beat: float) -> Weighted:
        """The weights at a musical position; no prompts at all are an empty one."""
        share = self.share(beat)
        if share >= 1.0:
            return target
        weighted: dict[str, float] = {}
        for prompts, part in ((self.source, 1.0 - share), (target, share)):
            for text, weight in prompts or (("", 1.0),):
                weighted[text] = weighted.get(text, 0.0) + part * weight
        return tuple((text, weight) for text, weight in weighted.items() if weight > 0.0)

    def to_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "source": [[text, weight] for text, weight in self.source],
            "begin": self.begin,
            "beats": self.beats,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Glide:
        """The glide of a JSON form made by `to_dict`."""
        source, begin, beats = values["source"], values["begin"], values["beats"]
        assert isinstance(source, list)
        assert isinstance(begin, float) and isinstance(beats, (int, float))
        return cls(tuple((str(text), float(weight)) for text, weight in source), begin, beats)
