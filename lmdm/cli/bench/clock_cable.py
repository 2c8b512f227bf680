"""How closely the generated beat follows a MIDI clock, in real time on JACK cables.

A MIDI clock of our own holds 120 bpm, rises to 128 and holds again; its ticks go over a MIDI cable
into the instrument, which follows. What the instrument plays is recorded from its audio cable,
every sample dated by the same clock that dates the ticks. A beat tracker that knows nothing of all
this listens to the recording, and its beats are compared with the moments at which the ticks of the
beats were sent: so all latencies, jitters and corrections of the machine are in the figure.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmdm.cli.bench.cable import Recording
from lmdm.cli.bench.clock_ramp import HIGH_BPM, HOLD_SECONDS, LOW_BPM, TOLERANCE_MS, Truth, ramp

if TYPE_CHECKING:
    from lmdm.cli.jack_server import JackServer

RATE, PERIOD = 48000, 256
FIND_SECONDS = 8.0  # of playing before the first beat that is judged: the model finds into it


def measure(
    model: str, ramp_seconds: float, prompt: str, seed: int, threads: int
) -> dict[str, Any]:
    """Rows as `clock_ramp.measure` gives them, of a steady clock and of the ramp."""
    from lmdm.cli.jack_server import JackServer

    seconds = FIND_SECONDS + ramp_seconds + 2 * HOLD_SECONDS
    rising = ramp(ramp_seconds, FIND_SECONDS + HOLD_SECONDS)
    curves = {
        f"steady {LOW_BPM:g} bpm, on JACK": Truth(lambda _: LOW_BPM, seconds),
        f"{LOW_BPM:g} to {HIGH_BPM:g} bpm, on JACK": Truth(rising, seconds),
    }
    rows = []
    with JackServer(RATE, PERIOD) as jack:
        for name, truth in curves.items():
            rows.append({"name": name, **_played(jack, truth, model, prompt, seed, threads)})
    return {"rows": rows, "ramp_seconds": ramp_seconds}


def _played(
    jack: JackServer, truth: Truth, model: str, prompt: str, seed: int, threads: int
) -> dict[str, Any]:
    from audio_io.input import Input
    from lmdm.cli.bench.gestures import keyboard
    from lmdm.cli.stage.performance import Performance, PerformanceSettings
    from lmdm.live.controls import Controls
    from lmdm.live.messages import SetClockSource

    controls = Controls(
        prompts=((prompt, 1.0),), bpm=LOW_BPM, drums=True, guidance=2.5, loudness_db=-18.0,
        seed=seed,
    )  # fmt: skip
    recording = Recording(RATE)
    with tempfile.TemporaryDirectory() as folder:
        performance = Performance(
            PerformanceSettings(
                model, controls, threads=threads, audio_device="system", take=Path(folder) / "take"
            )
        )
        performance.open()
        capture = Input(recording.keep, "system", target_rate=RATE)
        try:
            performance.wait_playing()
            performance.send(SetClockSource("midi"))
            capture.start()
            jack.plug_output_into_input()
            with keyboard(jack) as cable:
                sent = _ticks(cable, truth)
            underruns = performance.snapshot().underruns
        finally:
            capture.close()
            performance.close()
    apart = beats_apart(recording, sent)
    return {
        "within": round(float((np.abs(apart) <= TOLERANCE_MS).mean()), 4),
        "median_ms": round(float(np.median(np.abs(apart))), 2),
        "p95_ms": round(float(np.percentile(np.abs(apart), 95)), 2),
        "bias_ms": round(float(np.median(apart)), 2),
        "beats": len(apart),
        "underruns": underruns,
    }


def _ticks(cable: Any, truth: Truth) -> np.ndarray:
    """Sends start and the ticks of a curve; returns the moments at which beats were sent [n]."""
    from audio_io.clock_input import TICKS

    sent = []
    begun = time.perf_counter() + 0.2
    cable.send_message([0xFA])
    for tick in range(int(truth.beats[-1] * TICKS)):
        wait = begun + truth.time(tick / TICKS) - time.perf_counter()
        if wait > 0.0:
            time.sleep(wait)
        if tick % TICKS == 0:
            sent.append(time.perf_counter())
        cable.send_message([0xF8])
    return np.array(sent)


def beats_apart(recording: Recording, sent: np.ndarray) -> np.ndarray:
    """From each judged beat of the clock to the nearest that the tracker hears, signed, in ms.

    sent [n]: the moments of the clock's beats.
    """
    import soxr

    from training.evaluate.beats import onset_strength, track

    audio = soxr.resample(recording.sound().astype(np.float32), recording.rate, 44100)
    given = sent[(sent > sent[0] + FIND_SECONDS) & (sent < sent[-1] - 1.0)]
    tempo = 60.0 * (len(given) - 1) / float(given[-1] - given[0])
    found = recording.moments(track(onset_strength(audio), tempo) * recording.rate)
    nearest = np.abs(found[None, :] - given[:, None]).argmin(axis=1)
    apart: np.ndarray = 1000.0 * (found[nearest] - given)
    return apart
