"""From a MIDI key, or a fader, to the sound it changes, on real JACK cables.

The instrument plays into a JACK server of its own; what comes out of its port is recorded from the
cable, and every recorded sample is dated. Keys are sent over a MIDI cable at random times. Which
sample a key changes first is known exactly: the take's controls are played again with and without
that key, and the two are compared. So a latency is measured from the moment the key was sent to the
moment its first changed sample was on the cable.

Beside it, in the same run, stands the same instrument without a commit horizon (controls wait until
what was made ahead has played out), with the same lead.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmdm.cli.bench.latency import RATE
from lmdm.live.controls import Controls
from lmdm.live.messages import NoteOn, SetGain

if TYPE_CHECKING:
    from lmdm.checkpoints import Model
    from lmdm.cli.jack_server import JackServer
    from lmdm.cli.performance import Performance
    from lmdm.live.take import Take

AUDIBLE = 0.01  # of the sound's RMS around: a change of -40 dB is heard
SETTLE_SECONDS = 3.0  # of playing before the first key
PITCHES = (48, 52, 55, 60, 64, 67, 72, 76)
REACH_SECONDS = 2  # how far the sound is looked for on the cable
ALIKE = 0.9  # correlation from which two stretches of sound are the same
MOVED = 0.25  # of the level: the fader is heard to move
WINDOW = RATE // 500  # samples over which that is judged
INSTANT_ALLOWANCE_MS = 10.0  # beyond the device's buffer


@dataclass
class _Recording:
    """What was on the cable, with the moment each piece arrived."""

    pieces: list[np.ndarray] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # (time, samples so far)
    samples: int = 0

    def keep(self, pcm: np.ndarray) -> int:
        """The sink of the capture."""
        self.pieces.append(pcm.copy())
        self.samples += len(pcm)
        self.arrivals.append((time.perf_counter(), self.samples))
        return len(pcm)

    def begun(self) -> float:
        """The moment of sample 0: no piece can have arrived before it was on the cable."""
        return min(at - count / RATE for at, count in self.arrivals)


def measured(
    options: argparse.Namespace,
    jack: JackServer,
    model: Model,
    lead: float,
    rewinds: bool,
    folder: Path,
) -> dict[str, Any]:
    """One performance, measured."""
    from audio_io.input import Input
    from lmdm.cli.performance import BUFFER_MS, Performance, PerformanceSettings
    from lmdm.live.take import read_take

    performance = Performance(
        PerformanceSettings(
            model=options.model,
            controls=Controls(prompts=(("string ensemble", 1.0),), bpm=100.0, seed=options.seed),
            lead=lead,
            threads=options.threads,
            audio_device="system",
            take=folder,
            buffer_ms=options.buffer or BUFFER_MS,
            rewinds=rewinds,
        )
    )
    recording = _Recording()
    performance.open()
    capture = Input(recording.keep, "system", target_rate=RATE)
    try:
        performance.wait_playing()
        capture.start()
        sources, ends = jack.ports(":out_", 2), jack.ports(":in_", 2)
        for channel in range(2):
            jack.connect(f"system:capture_{channel + 1}", ends[channel], on=False)
            jack.connect(sources[channel], ends[channel])
        time.sleep(SETTLE_SECONDS)
        notes = _play_keys(jack, options.keys, random.Random(options.seed))
        gains = _move_fader(performance, max(6, options.keys // 3), random.Random(options.seed))
        time.sleep(1.0)
        last = performance.snapshot()
    finally:
        capture.close()
        figures = performance.close()
    take = read_take(folder)
    heard, changes = replayed(model, take)
    cable = Cable(np.concatenate(recording.pieces), heard, recording.begun())
    dated = zip(map(cable.moment, changes), notes, strict=False)
    note_ms = [1000.0 * (moment - sent) for moment, sent in dated if moment is not None]
    return {
        "lead": lead,
        "commit_horizon": rewinds,
        "note_ms": summary(note_ms),
        "instant_ms": summary([1000.0 * each for each in cable.gain_changes(gains)]),
        "instant_limit_ms": round(2000.0 * options.period / RATE + INSTANT_ALLOWANCE_MS, 1),
        "readout_ms": {"p50": last.latency["block"].p50, "p95": last.latency["block"].p95},
        "buffer_ms": round(last.buffer_ms, 1),
        "generation_ms": last.generation_ms,
        "real_time_factor": last.real_time_factor,
        "underruns": figures["underruns"],
    }


def _play_keys(jack: JackServer, keys: int, chance: random.Random) -> list[float]:
    """Strikes keys at random moments over a MIDI cable; returns when each was sent."""
    import rtmidi

    keyboard = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="lmdm bench")
    keyboard.open_virtual_port("keys")
    source = jack.ports("lmdm bench:")[0]
    inputs = [name for name in jack.ports("LMDM Live") if "watch" not in name]
    for name in inputs:
        jack.connect(source, name)
    time.sleep(0.3)
    sent = []
    for _ in range(keys):
        time.sleep(chance.uniform(0.5, 1.1))
        pitch = chance.choice(PITCHES)
        sent.append(time.perf_counter())
        keyboard.send_message([0x90, pitch, 100])
        time.sleep(chance.uniform(0.15, 0.3))
        keyboard.send_message([0x80, pitch, 0])
    keyboard.delete()
    return sent


def _move_fader(performance: Performance, moves: int, chance: random.Random) -> list[float]:
    """Moves the gain down and up by 12 dB at random moments; returns when each was sent."""
    sent = []
    for number in range(moves):
        time.sleep(chance.uniform(0.7, 1.0))
        sent.append(time.perf_counter())
        performance.send(SetGain(0.0 if number % 2 else -12.0))
    return sent


def replayed(model: Model, take: Take) -> tuple[np.ndarray, list[int]]:
    """What the output was given [n] (mono), and where in it each key of the take is first heard.

    A key's first change is where the sound with it and the sound without it part.
    """
    from lmdm.live.offline import heard_pieces
    from lmdm.live.session import Session

    session = Session(model, take.header.controls)
    controls = [each for each in take.controls if each.message.lane != "instant"]
    keys = [each for each in controls if isinstance(each.message, NoteOn)]
    length = (
        max([take.samples or 0, *(each.sample for each in controls)]) + 3 * session.block_samples
    )
    changes = []
    while session.position < length:
        block = [each for each in controls if session.position <= each.sample]
        now = [each for each in block if each.sample < session.position + session.block_samples]
        near = [
            each for each in block if each.sample < session.position + 3 * session.block_samples
        ]
        before = session.snapshot()
        for key in (each for each in now if each in keys):
            pair = []
            for without in (False, True):
                session.restore(before)
                for each in near:
                    if not (without and each is key):
                        session.apply(each.message, each.sample)
                pair.append(np.concatenate([session.next_block().pcm for _ in range(3)]))
            changes.append(int(before.state["emitted"]) + parting(*pair))
        session.restore(before)
        for each in now:
            session.apply(each.message, each.sample)
        session.next_block()
    pieces, samples = [], 0
    for piece in heard_pieces(Session(model, take.header.controls), take):
        pieces.append(piece)
        samples += len(piece)
        if samples >= take.start + (take.samples or 0):
            break
    return np.concatenate(pieces).mean(axis=1), [heard_at(take, each) for each in changes]


def parting(one: np.ndarray, other: np.ndarray) -> int:
    """The first sample from which two sounds [n, 2] are audibly apart; n if they never are."""
    level = float(np.sqrt(np.mean(np.square(one)))) + 1e-9
    apart = np.abs(one - other).max(axis=1) > AUDIBLE * level
    return int(np.argmax(apart)) if apart.any() else len(one)


def heard_at(take: Take, position: int) -> int:
    """The heard position of a stream position: the loops that filled holes before it are added."""
    for hold in take.holds:
        if hold.sample <= position:
            position += hold.samples
    return position


class Cable:
    """A recording of the output's cable, and where in it the stream's samples are.

    Threads: none.
    """

    def __init__(self, sound: np.ndarray, heard: np.ndarray, begun: float) -> None:
        """sound [n, 2] at the cable's rate, sample 0 at the moment `begun`; heard [m] mono."""
        import soxr

        self._sound = sound.mean(axis=1)
        self._heard = soxr.resample(heard.astype(np.float32), 44100, RATE, quality="VHQ")
        self._begun = begun
        self._offset = 0  # of the last place that was found

    def _found(self, place: int, length: int) -> int | None:
        """How far the cable lies behind the stream at `place`; None where a gap makes it unclear.

        The `length` samples before it are looked for near where the last ones were, since every
        underrun moves what follows.
        """
        from scipy.signal import fftconvolve

        start = max(0, place - length)
        wanted = self._heard[start:place]
        low = max(0, start + self._offset - RATE)
        within = self._sound[low : start + self._offset + length + REACH_SECONDS * RATE]
        if len(within) < len(wanted) or not len(wanted):
            return None
        products = fftconvolve(within, wanted[::-1], mode="valid")
        energy = fftconvolve(np.square(within), np.ones(len(wanted)), mode="valid")
        likeness = products / np.sqrt(np.maximum(energy, 1e-9) * np.square(wanted).sum() + 1e-12)
        best = int(np.argmax(likeness))
        if likeness[best] < ALIKE:
            return None
        self._offset = low + best - start
        return self._offset

    def moment(self, at: int) -> float | None:
        """When a heard position was on the cable, as `time.perf_counter()` has it.

        None where the sound has gaps just there; positions must not fall.
        """
        place = round(at * RATE / 44100)
        offset = self._found(place, RATE // 4)
        return None if offset is None else self._begun + (place + offset) / RATE

    def gain_changes(self, sent: list[float]) -> list[float]:
        """Seconds from each move of the fader to the sound it changed; silent places left out."""
        delays = []
        window = np.ones(WINDOW) / WINDOW
        for moment in sent:
            here = round((moment - self._begun) * RATE)
            offset = self._found(here - self._offset, RATE // 4)
            if offset is None:
                continue
            past = slice(here - RATE // 4, here)
            before = self._heard[past.start - offset : past.stop - offset]
            gain = float(before @ self._sound[past]) / float(before @ before + 1e-12)
            ahead = self._heard[here - offset : here - offset + RATE // 4]
            apart = self._sound[here : here + len(ahead)] - gain * ahead
            error = np.sqrt(np.convolve(np.square(apart), window, mode="valid"))
            level = np.sqrt(np.convolve(np.square(gain * ahead), window, mode="valid"))
            changed = error > MOVED * np.maximum(level, 0.3 * float(level.mean()))
            if changed.any():
                delays.append(float(np.argmax(changed) + WINDOW // 2) / RATE)
        return delays


def summary(milliseconds: list[float]) -> dict[str, float | int]:
    """Percentiles of latencies."""
    if not milliseconds:
        return {"p50": 0.0, "p95": 0.0, "worst": 0.0, "count": 0}
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return {
        "p50": round(float(p50), 1),
        "p95": round(float(p95), 1),
        "worst": round(max(milliseconds), 1),
        "count": len(milliseconds),
    }
