"""How closely the generated beat follows a MIDI clock, and how it was measured.

A MIDI clock holds 120 bpm, rises to 128 and holds again, its ticks shaken as cables shake them. The
whole way of a tick is walked in virtual time, so that the machine's speed does not matter: ticks
become events at their arrival, `ClockInput` filters them, `ClockFollower` corrects the session's
clock, and each block hears what was known one commit horizon before it sounds. Then a beat tracker
that knows nothing of all this listens to the sound. Beside the ramp stands the same music at a
steady 120 bpm that needs no following: what the model and the tracker do by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmdm.live.controls import Controls

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

SAMPLE_RATE = 44100
LOW_BPM, HIGH_BPM = 120.0, 128.0
HOLD_SECONDS = 8.0  # at either end of the ramp
HORIZON_SECONDS = 0.35  # from a correction to the first sound it changes
LOOK_SECONDS = 0.05  # between two looks at the clock, as in a performance
LEAD_IN_SECONDS = 4.0  # of music that is not judged: the model finds into the beat
TOLERANCE_MS = 35.0


def measure(
    model: Model, ramp_seconds: float, jitter: float, takes: int, prompt: str
) -> dict[str, Any]:
    """Both rows, over `takes` seeds each.

    within: share of the clock's beats with a tracked beat within 35 ms; median_ms, p95_ms: distance
    of the nearest tracked beat; clock_worst_ms: of the session's own clock from the true one.
    """
    seconds = ramp_seconds + 2 * HOLD_SECONDS
    curves = {
        "steady 120 bpm, by itself": (Truth(lambda _: LOW_BPM, seconds), False),
        "120 to 128 bpm, followed": (Truth(ramp(ramp_seconds), seconds), True),
    }
    rows = []
    for name, (truth, follow) in curves.items():
        plays = [play(model, truth, follow, jitter, seed, prompt) for seed in range(takes)]
        apart = np.concatenate([distances(each.sound, truth) for each in plays])
        rows.append(
            {
                "name": name,
                "within": round(float((apart <= TOLERANCE_MS).mean()), 4),
                "median_ms": round(float(np.median(apart)), 2),
                "p95_ms": round(float(np.percentile(apart, 95)), 2),
                "clock_worst_ms": round(max(each.clock_worst_ms for each in plays), 2),
                "corrections": sum(each.corrections for each in plays),
                "beats": len(apart),
            }
        )
    return {"rows": rows, "jitter_ms": 1000.0 * jitter, "ramp_seconds": ramp_seconds}


class Truth:
    """A tempo curve and the beats that follow from it."""

    def __init__(self, bpm: Callable[[float], float], seconds: float) -> None:
        self.times = np.arange(0.0, seconds, 0.0005)
        rates = np.array([bpm(time) for time in self.times]) / 60.0
        self.beats = np.concatenate(([0.0], np.cumsum(rates[:-1]) * 0.0005))
        self.seconds = seconds

    def beat(self, at: float) -> float:
        """Position in beats at a time in s."""
        return float(np.interp(at, self.times, self.beats))

    def time(self, beat: float) -> float:
        """When a beat is, in s."""
        return float(np.interp(beat, self.beats, self.times))


def ramp(seconds: float, begin: float = HOLD_SECONDS) -> Callable[[float], float]:
    """The tempo that rises for `seconds` from a time on."""

    def bpm(at: float) -> float:
        share = min(1.0, max(0.0, (at - begin) / seconds))
        return LOW_BPM + (HIGH_BPM - LOW_BPM) * share

    return bpm


@dataclass(frozen=True)
class Play:
    """One take: the sound [n, 2], how far the session's clock was out, corrections sent."""

    sound: np.ndarray
    clock_worst_ms: float
    corrections: int


def play(model: Model, truth: Truth, follow: bool, jitter: float, seed: int, prompt: str) -> Play:
    """Lets a session play along with a shaken MIDI clock, in virtual time."""
    from audio_io.clock_input import TICKS, ClockInput
    from audio_io.midi_events import Clock
    from lmdm.cli.stage.clock_follower import ClockFollower
    from lmdm.live.messages import SetClock
    from lmdm.live.session import Session

    controls = Controls(prompts=((prompt, 1.0),), bpm=LOW_BPM, drums=True, seed=seed)
    session = Session(model, controls)
    clock = ClockInput()
    follower = ClockFollower(clock)
    draw = np.random.default_rng(seed)
    exact = [truth.time(tick / TICKS) for tick in range(int(truth.beats[-1] * TICKS))]
    shaken = np.maximum.accumulate(np.array(exact) + draw.normal(0.0, jitter, len(exact)))
    ticks, looked, corrections, worst = 0, 0.0, 0, 0.0
    pieces: list[np.ndarray] = []
    while session.position < truth.seconds * SAMPLE_RATE:
        known = session.position / SAMPLE_RATE - HORIZON_SECONDS
        while follow and looked + LOOK_SECONDS <= known:
            looked += LOOK_SECONDS
            while ticks < len(shaken) and shaken[ticks] <= looked:
                clock.feed(Clock(float(shaken[ticks])))
                ticks += 1
            for message in follower.due(looked):
                assert isinstance(message, SetClock)
                heard = round(looked * SAMPLE_RATE)
                session.apply(SetClock(message.bpm, message.beat, heard))
                corrections += 1
        at = session.position
        pieces.append(session.next_block().pcm)
        if at > LEAD_IN_SECONDS * SAMPLE_RATE:
            apart = session.clock.beat(at) - truth.beat(at / SAMPLE_RATE)
            worst = max(worst, abs(apart) * 60_000.0 / session.clock.bpm(at))
    return Play(np.concatenate(pieces), worst, corrections)


def distances(sound: np.ndarray, truth: Truth) -> np.ndarray:
    """From each of the clock's beats to the nearest that the tracker hears, in ms.

    The tracker (Ellis, 2007) is `training.evaluate.beats`; it is given the mean tempo and no phase.
    """
    from training.evaluate.beats import onset_strength, track

    seconds = min(truth.seconds, len(sound) / SAMPLE_RATE)
    tempo = 60.0 * truth.beat(seconds) / seconds
    found = track(onset_strength(sound), tempo)
    last = int(truth.beat(seconds - 1.0))
    given = np.array([truth.time(n) for n in range(int(truth.beat(LEAD_IN_SECONDS)), last)])
    return np.asarray(1000.0 * np.abs(found[None, :] - given[:, None]).min(axis=1))
