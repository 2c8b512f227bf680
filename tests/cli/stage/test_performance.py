"""A performance's scenes, transport, edits and memory of itself; its take replays all of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lmdm.cli.main import main
from lmdm.cli.stage.performance import Performance, PerformanceSettings
from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live.controls import Controls
from lmdm.live.take import read_take
from tests.cli.test_live import replayed, wait_until


@pytest.fixture(autouse=True)
def _no_device(tmp_path, monkeypatch):
    """No sound device and no MIDI, whatever this machine has."""

    def none(*arguments, **keywords):
        raise InputError("this machine has no audio output device")

    monkeypatch.setattr("lmdm.cli.stage.performance.open_playout", none)
    monkeypatch.setattr("audio_io.midi_ports.available_apis", list)
    monkeypatch.chdir(tmp_path)


def opened(model: Path, take: str, **settings) -> Performance:
    prompts = (("felt piano", 1.0), ("church choir", 1.0))
    performance = Performance(
        PerformanceSettings(
            str(model), Controls(prompts=prompts, bpm=240.0), threads=1, take=Path(take),
            home=Path("home"), **settings,
        )
    )  # fmt: skip
    performance.open()
    performance.wait_playing()
    return performance


def heard(performance: Performance, **fields) -> None:
    """Waits until the snapshot shows these values."""
    wait_until(lambda: all(getattr(performance.snapshot(), k) == v for k, v in fields.items()))


def test_an_evening_with_it_replays_byte_for_byte(tiny_model):
    performance = opened(tiny_model, "take")
    send = performance.send
    send(m.SetGuidance(3.0))
    send(m.StoreScene("verse"))
    send(m.SetGuidance(1.0))
    send(m.SetChord((0, 4, 7)))
    send(m.StoreScene("chorus"))
    assert performance.snapshot().scenes == ("verse", "chorus")

    send(m.RecallScene("verse", "bar"))
    wait_until(lambda: performance.snapshot().waiting or performance.snapshot().scene == "verse")
    heard(performance, scene="verse", guidance=3.0, chord=None)
    assert performance.snapshot().latency["scene"].count == 1
    assert performance.snapshot().latency["scene"].p95 <= 24.0  # half a latent frame
    send(m.RecallSceneNumber(1))
    heard(performance, scene="chorus", guidance=1.0, chord=(0, 4, 7))
    with pytest.raises(InputError, match="bridge"):
        send(m.RecallScene("bridge"))

    send(m.SetGuidance(5.0))
    send(m.UndoChange())
    heard(performance, guidance=1.0, redoable=True)
    send(m.RedoChange())
    heard(performance, guidance=5.0)

    send(m.Pause())
    wait_until(lambda: performance._player.still)
    paused = performance.snapshot().heard
    time.sleep(0.3)
    assert abs(performance.snapshot().heard - paused) < 4410  # the output's own buffer plays out
    send(m.Play())
    wait_until(lambda: performance.snapshot().heard > paused + 44100)

    send(m.SetFreeze(0.5))
    heard(performance, freeze=0.5)
    time.sleep(0.7)
    send(m.SetFreeze(None))
    wait_until(lambda: performance.snapshot().undoable_bars >= 3)
    send(m.UndoBars(2))
    send(m.NoteOn(64))
    send(m.Stop())
    send(m.Play())
    wait_until(lambda: 0.0 < performance.snapshot().heard_beat < 8.0)
    time.sleep(0.5)
    for _ in range(3):
        send(m.Tap())
        time.sleep(0.4)
    wait_until(lambda: 100.0 < performance.snapshot().bpm < 160.0)
    time.sleep(0.5)
    send(m.Quit())
    performance.close()
    kinds = {type(each.message) for each in read_take(Path("take")).controls}
    assert {m.SetControls, m.SetFreeze, m.UndoBars, m.SetBeat, m.ResetContext, m.SetClock} <= kinds
    assert m.Quantised not in kinds
    take, again = replayed("take")
    assert take == again
    better = ["render", "--replay", "take", "--steps", "5", "--out", "better.wav", "--quiet"]
    assert main(better) == 0
    assert len(Path("better.wav").read_bytes()) == len(take)
    assert Path("better.wav").read_bytes() != take


def test_a_session_that_broke_off_is_gone_on_with(tiny_model):
    first = opened(tiny_model, "one")
    first.send(m.StoreScene("verse"))
    first.send(m.SetChord((2, 6, 9)))
    wait_until(lambda: (Path("home") / "session.json").exists())
    beat = first.snapshot().heard_beat
    wait_until(lambda: first._keeper.home is not None and first.snapshot().heard_beat > beat + 12)
    first._keeper.home = None  # as after a crash: nobody says that it ended
    first.close()

    second = opened(tiny_model, "two")
    assert second.controls.chord == (2, 6, 9)
    wait_until(lambda: second.snapshot().heard_beat > beat)
    assert "broke off" in second.snapshot().restored
    assert second.snapshot().scenes == ("verse",)
    second.send(m.NoteOn(60))
    wait_until(lambda: 60 in second.snapshot().held)
    time.sleep(1.0)
    second.close()
    take, again = replayed("two")
    assert take == again

    third = opened(tiny_model, "three")  # the second ended well
    assert third.snapshot().restored == ""
    assert third.controls.chord is None
    third.close()


def test_a_damaged_memory_is_put_aside(tiny_model):
    Path("home").mkdir()
    (Path("home") / "session.json").write_text('{"lmdm_session": 1')
    (Path("home") / "scenes.toml").write_text("[[scene]]\nname = 3")
    performance = opened(tiny_model, "take")
    performance.close()
    said = " ".join(performance.notices)
    assert "session.json" in said
    assert "scenes.toml" in said
    assert (Path("home") / "scenes.toml.damaged").exists()
