"""Gives up quality before the sound runs out, and takes it back when there is time again.

It watches how much of its time the engine needs to make a block, how much sound lies ahead, and
whether a block took very long. It acts at once and lets go slowly, so that it does not swing to and
fro. What is given up first is heard least: the decoder's precision (where it has another), then
denoising steps, and last guidance, without which a sound nearly goes. Against single stalls of the
machine it has more sound made ahead, which costs nothing but work.

    >>> str(ladder(coarse=False)[3])
    '1/4 of the steps'
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

PRESSED_FACTOR = 0.9  # real-time factor above which the engine will fall behind
SLOW_FACTOR = 0.6  # above which a lead that is gone takes long to come back
LOW_SHARE = 0.4  # of the lead asked for: less is danger, if it lasts
LOW_SECONDS = 1.0  # a control takes back what lies ahead, which a quick engine soon makes anew
EASY_FACTOR = 0.55  # what a block would take with one level less must be below
FULL_SHARE = 0.8  # of the lead asked for: so much must be there again
HOLD_SECONDS = 0.7  # between two steps up: the first must show its effect
REST_SECONDS = 6.0  # of ease before a step down
STALL_SHARE = 0.4  # of the lead: a block that takes so long nearly lets the sound run out
DEEPER = 1.5  # the lead after a stall
DEEPEST = 2  # so often
CALM_SECONDS = 30.0  # without a stall, and the lead is taken back
UNGUIDED_COST = 0.55  # of a guided pass: half the rows
COARSE_COST = 0.8  # of a block whose sound is decoded exactly


@dataclass(frozen=True)
class Economy:
    """What one level gives up.

    steps: share of the denoising steps that is left. coarse: the decoder computes in bfloat16.
    """

    steps: float = 1.0
    guided: bool = True
    coarse: bool = False

    @property
    def cost(self) -> float:
        """Of a block, as a share of what it costs in full, roughly."""
        guided = 1.0 if self.guided else UNGUIDED_COST
        return self.steps * guided * (COARSE_COST if self.coarse else 1.0)

    def steps_of(self, steps: int) -> int:
        """Denoising steps a block, at least 1.

        >>> [Economy(share).steps_of(4) for share in (1.0, 0.75, 0.5, 0.25)]
        [4, 3, 2, 1]
        """
        return max(1, round(steps * self.steps))

    def __str__(self) -> str:
        said = ["decoder in 16 bits"] if self.coarse else []
        said += [f"{Fraction(self.steps)} of the steps"] if self.steps < 1.0 else []
        said += [] if self.guided else ["no guidance"]
        return ", ".join(said)


def ladder(coarse: bool) -> tuple[Economy, ...]:
    """The levels from 0, nothing, on. coarse: whether the model's decoder has another precision."""
    first = (Economy(), Economy(coarse=True)) if coarse else (Economy(),)
    shares = ((0.75, True), (0.5, True), (0.25, True), (0.25, False))
    return first + tuple(Economy(share, guided, coarse) for share, guided in shares)


class Governor:
    """Decides the level of economy and the lead.

    Threads: none; the engine calls it between blocks.
    """

    def __init__(self, levels: tuple[Economy, ...]) -> None:
        self._levels = levels
        self.on = True
        self.level = 0
        self.reason = ""  # in the musician's words; empty at level 0
        self.stall = 0.0  # seconds that the block took for which the lead was deepened
        self._deeper = 0  # how often the lead was deepened
        self._stalled_at = float("-inf")
        self._filled = False  # whether the lead was there once: before, nothing is in danger
        self._changed_at = float("-inf")
        self._eased_at: float | None = None
        self._low_since: float | None = None

    def lead(self, asked: float) -> float:
        """Seconds to make ahead where so many are asked for."""
        return asked * DEEPER**self._deeper

    def watch(self, now: float, taken: float, lead: float) -> None:
        """A block took `taken` seconds. lead: the seconds asked for."""
        if not self.on:
            self._deeper = 0
        elif self._filled and taken > STALL_SHARE * self.lead(lead):
            self._deeper = min(DEEPEST, self._deeper + 1)
            self._stalled_at, self.stall = now, taken
        elif self._deeper and now - self._stalled_at >= CALM_SECONDS:
            self._deeper, self._stalled_at = self._deeper - 1, now

    def decide(self, now: float, factor: float, ahead: float, lead: float) -> int:
        """The level for the next block.

        now: seconds of any clock. factor: time a block takes now / its duration. ahead, lead:
        seconds of sound that lie ahead, and that are asked for.
        """
        self._filled = self._filled or ahead >= FULL_SHARE * lead
        if not self.on:
            self.level, self.reason = 0, ""
            return 0
        low = self._filled and ahead < LOW_SHARE * lead and factor > SLOW_FACTOR
        self._low_since = (now if self._low_since is None else self._low_since) if low else None
        pressed = self._pressed(now, factor, ahead)
        if pressed:
            self._eased_at = None
            if self.level < len(self._levels) - 1 and now - self._changed_at >= HOLD_SECONDS:
                self.level, self._changed_at = self.level + 1, now
                self.reason = pressed
        elif self.level > 0:
            relief = self._levels[self.level].cost / self._levels[self.level - 1].cost
            easy = factor / relief < EASY_FACTOR and ahead >= FULL_SHARE * lead
            self._eased_at = (now if self._eased_at is None else self._eased_at) if easy else None
            if self._eased_at is not None and now - self._eased_at >= REST_SECONDS:
                self.level, self._changed_at, self._eased_at = self.level - 1, now, None
                if self.level == 0:
                    self.reason = ""
        return self.level

    def _pressed(self, now: float, factor: float, ahead: float) -> str:
        if factor > PRESSED_FACTOR:
            return f"the engine needs {100 * factor:.0f} % of its time"
        if self._low_since is not None and now - self._low_since >= LOW_SECONDS:
            return f"only {1000 * ahead:.0f} ms of sound are ready"
        return ""

    def words(self, lead: float) -> str:
        """What is given up, and why; empty when nothing is. lead: the seconds asked for."""
        said = [f"{self._levels[self.level]}: {self.reason}"] if self.level else []
        if self._deeper:
            ahead, taken = self.lead(lead), 1000 * self.stall
            said.append(f"{ahead:.1f} s made ahead, not {lead:.1f}: a block took {taken:.0f} ms")
        return "; ".join(said)
