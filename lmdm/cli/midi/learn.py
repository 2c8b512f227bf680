"""Learning a controller: listen until it is clear what moved, and how it says so."""

from __future__ import annotations

from audio_io.controllers import Source, Turn
from audio_io.encoders import RELATIVE, guess
from lmdm.live.messages import SetMapping
from lmdm.live.targets import target_of

QUIET_SECONDS = 0.4  # after the last movement, what is known so far is taken
DOUBT_SECONDS = 1.5  # the same for an encoder turned one way only
ENOUGH, MOST_TURNS = 3, 64
_RANK = ("nrpn", "rpn", "cc14", "cc", "bend", "pressure", "note", "program")  # finest first


class Learning:
    """Waits for one target's controller.

    The first source that is surely moved wins, the finer of two that move together (a 14-bit pair
    also sounds like two plain controllers).

    Threads: none; the owner locks.
    """

    def __init__(self, target: str) -> None:
        """Raises InputError if there is no such target."""
        self.target = target_of(target).name
        self._turns: list[Turn] = []
        self._at = float("inf")

    def hear(self, turns: tuple[Turn, ...], now: float) -> SetMapping | None:
        """The mapping, once it is sure; `now` in s."""
        fresh = [t for t in turns if t.fine and (t.source.kind != "note" or t.value > 0.0)]
        if not fresh:
            return None
        self._at = now
        self._turns = (self._turns + fresh)[-MOST_TURNS:]
        mapping, sure = self._judged()
        return mapping if sure else None

    def due(self, now: float) -> SetMapping | None:
        """The mapping, once the controller has been quiet for a while."""
        if not self._turns:
            return None
        mapping, _ = self._judged()
        wait = DOUBT_SECONDS if mapping.encoding in RELATIVE else QUIET_SECONDS
        return mapping if now - self._at >= wait else None

    def _judged(self) -> tuple[SetMapping, bool]:
        kind = min((turn.source.kind for turn in self._turns), key=_RANK.index)
        source = next(each.source for each in reversed(self._turns) if each.source.kind == kind)
        turns = [turn for turn in self._turns if turn.source == source]
        if kind in ("note", "program"):
            return learnt(source, self.target, "trigger"), True
        if any(turn.steps for turn in turns):
            return learnt(source, self.target, "relative-signed"), True
        if kind != "cc":
            moved = len({turn.value for turn in turns}) > 1
            return learnt(source, self.target, "absolute"), moved and len(turns) >= ENOUGH
        encoding, sure = guess([turn.raw for turn in turns])
        button = encoding == "toggle"  # else the lower half of a pair may still follow
        return learnt(source, self.target, encoding), sure and (button or len(turns) >= ENOUGH)


def learnt(source: Source, target: str, encoding: str) -> SetMapping:
    """The mapping that a learnt movement makes.

    A button on a switch toggles it; a spring wheel or key jumps, since it always returns.
    """
    shape = target_of(target).shape
    if shape == "trigger" or source.kind == "program":
        encoding = "trigger"
    elif shape == "switch" and (source.kind == "note" or encoding == "toggle"):
        encoding = "toggle"
    elif encoding in ("toggle", "trigger"):
        encoding = "absolute"
    springs = source.kind in ("bend", "note", "pressure", "program")
    takeover = "jump" if springs or encoding != "absolute" else "pickup"
    return SetMapping(str(source), target, takeover=takeover, encoding=encoding)
