import numpy as np
import pytest

from training.evaluate import notes, transcribe
from training.evaluate.transcribe import HOP, KEYS, LOWEST, RATE

MELODY = (60, 64, 67, 72, 67, 64, 62, 65)


def sung(pitches, seconds=0.5, rate=44100):
    """A melody of decaying tones with three overtones, and its notes [n, 3]."""
    time = np.arange(round(seconds * rate)) / rate
    envelope = (
        np.minimum(time / 0.005, 1) * np.exp(-2 * time) * np.minimum((seconds - time) / 0.01, 1)
    )
    tones = []
    for pitch in pitches:
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        wave = sum(np.sin(2 * np.pi * n * hertz * time) / n**2 for n in (1, 2, 3, 4))
        tones.append(0.3 * envelope * wave)
    edges = np.arange(len(pitches)) * seconds
    asked = np.stack([edges, edges + seconds, pitches], axis=1)
    return np.concatenate(tones).astype(np.float32), asked.astype(np.float32)


def judges():
    found = [pytest.param(transcribe.SpectrumJudge(), id="spectrum")]
    path = transcribe.model_path()
    mark = pytest.mark.skipif(path is None, reason="basic-pitch is not installed")
    judge = transcribe.BasicPitch(path) if path is not None else None
    return [*found, pytest.param(judge, id="basic-pitch", marks=mark)]


@pytest.mark.parametrize("judge", judges())
def test_a_clear_melody_is_heard_and_its_shuffles_are_not(judge):
    sound, asked = sung(MELODY * 2)
    seconds = len(sound) / 44100
    heard = judge.transcribe(sound, 44100)
    scores = notes.score(asked, heard, seconds)
    assert scores.chroma.f1 > 0.8
    assert scores.onset.recall > 0.8  # overtones may be heard as notes of their own
    assert scores.onset.f1 > 0.6
    assert notes.chance(asked, heard, seconds).chroma.f1 < 0.35


@pytest.mark.parametrize("judge", judges())
def test_posteriors_are_in_time_to_the_end_of_a_long_sound(judge):
    silence = np.zeros(44100 * 7, np.float32)
    sound, _ = sung((69,))
    heard = judge.transcribe(np.concatenate([silence, sound]), 44100)
    assert {pitch % 12 for pitch in heard.notes[:, 2]} == {69 % 12}
    blur = 0.03 if isinstance(judge, transcribe.BasicPitch) else judge.size / 2 / RATE
    assert heard.notes[:, 0].min() == pytest.approx(7.0, abs=blur)
    assert len(heard.pitch) == int(7.5 * RATE) // HOP


@pytest.mark.parametrize("judge", judges())
def test_silence_and_scraps_hold_no_notes(judge):
    assert len(judge.transcribe(np.zeros((44100, 2), np.float32), 44100).notes) == 0
    assert len(judge.transcribe(np.zeros((100, 2), np.float32), 44100).notes) == 0


def test_notes_of_posteriors_by_hand():
    pitch, onset = np.zeros((60, KEYS), np.float32), np.zeros((60, KEYS), np.float32)
    pitch[10:30, 39] = 0.9
    onset[10, 39] = 0.8
    pitch[30:50, 39] = 0.9  # struck again
    onset[30, 39] = 0.8
    pitch[40:43, 20] = 0.9  # too short
    onset[40, 20] = 0.8
    pitch[20:50, 60] = 0.9  # swells without an onset, and not above it
    pitch[:20, 60] = np.linspace(0, 0.9, 20)
    found = transcribe.notes_of(pitch, onset)
    assert found[:, 2].tolist() == [39 + LOWEST, 39 + LOWEST]
    assert found[:, 0] == pytest.approx(np.array([10, 30]) * HOP / RATE)
    assert found[0, 1] == pytest.approx(30 * HOP / RATE)
    assert found[1, 1] == pytest.approx(50 * HOP / RATE)


def test_the_fallback_says_what_it_is():
    assert "fallback" in transcribe.SpectrumJudge.name
