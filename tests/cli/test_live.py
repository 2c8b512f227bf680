"""Live playing without device, display or MIDI port: a take, a report, and an exact replay."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from lmdm.cli.live import _desk_around, _interrupts_wait
from lmdm.cli.main import main
from lmdm.cli.stage.performance import Performance, PerformanceSettings
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.live.messages import (
    AllNotesOff,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Quit,
    SetBlend,
    SetDrums,
    SetDry,
    SetGain,
    SetGuidance,
    SetHighPass,
    SetLowPass,
    SetSeed,
    SetTempo,
    SetWet,
    StartRecording,
    StopRecording,
    Sustain,
)
from lmdm.live.ring import SHARED_MEMORY
from lmdm.live.take import read_take

PATIENCE = 300.0


@pytest.fixture(autouse=True)
def _no_device(tmp_path, monkeypatch):
    """No sound device, no MIDI, no display, whatever this machine has."""

    def none(*arguments, **keywords):
        raise InputError("this machine has no audio output device")

    monkeypatch.setattr("lmdm.cli.stage.performance.open_playout", none)
    monkeypatch.setattr("audio_io.midi.available_apis", list)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def wait_until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_a_bare_machine_plays_to_a_take_and_reports(tiny_model, capsys):
    arguments = ["live", "--seconds", "2", "--model", str(tiny_model), "--seed", "3", "--json"]
    assert main([*arguments, "--prompt", "felt piano:0.7"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out.splitlines()[-1])
    assert {"underruns", "blocks", "real_time_factor", "latency_ms", "take"} <= report.keys()
    assert report["seconds"] >= 2.0
    assert report["blocks"] * 4 * 2048 >= 2 * 44100
    said = printed.err.splitlines()
    assert sum("no window" in line for line in said) == 1
    assert sum("no audio output device" in line for line in said) == 1
    assert sum("no MIDI" in line for line in said) == 1
    folder = Path(report["take"])
    sound, _ = soundfile.read(folder / "take.wav")
    assert np.abs(sound).max() > 0.01
    header = json.loads((folder / "log.jsonl").read_text().splitlines()[0])
    assert (header["seed"], header["model_sha256"]) == (3, report["model_sha256"])
    assert header["settings"]["prompts"] == [["felt piano", 0.7]]


@pytest.fixture
def performance(tiny_model):
    prompts = (("felt piano", 1.0), ("church choir", 1.0))
    settings = PerformanceSettings(
        str(tiny_model), Controls(prompts=prompts), threads=1, take=Path("take")
    )
    performance = Performance(settings)
    performance.open()
    performance.wait_playing()
    yield performance
    if not performance.quitting.is_set():
        performance.close()


def replayed(folder: str) -> tuple[bytes, bytes]:
    out = f"{folder}.wav"
    assert main(["render", "--replay", folder, "--out", out, "--quiet", "--threads", "1"]) == 0
    return (Path(folder) / "take.wav").read_bytes(), Path(out).read_bytes()


def test_a_replay_is_the_take_byte_for_byte(performance):
    controls = [
        NoteOn(60), SetBlend(0.3), SetGain(-6.0), NoteOn(64), SetGuidance(2.5), SetTempo(97.0),
        Mute(True), NoteOff(60), SetSeed(8), Sustain(True), Mute(False), SetGuidance(1.0), Panic(),
        SetDrums(True), Mute(False),
    ]  # fmt: skip
    for message in controls:
        performance.send(message)
        time.sleep(0.13)
    wait_until(lambda: performance.snapshot().drums)
    time.sleep(0.5)
    performance.send(Quit())
    report = performance.close()
    assert report["latency_ms"]["controls"] >= 9
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]
    kinds = {type(each.message) for each in read_take(Path("take")).controls}
    # Panic is kept as the silence it is and as the notes it lifts
    assert kinds == {type(each) for each in controls} | {AllNotesOff}
    take, again = replayed("take")
    assert take == again


def test_a_take_has_effects_and_live_input_as_they_were_heard(performance):
    noise = 0.2 * np.random.default_rng(1).standard_normal((10 * 44100, 2)).astype(np.float32)
    begun, place = time.perf_counter(), [0]

    def microphone(count):
        """As a device gives it: in pieces of its own, and often nothing yet."""
        came = round((time.perf_counter() - begun) * 44100) // 200 * 200
        pcm = noise[place[0] : min(came, place[0] + count)]
        place[0] += len(pcm)
        return pcm

    performance.output.listen_to(microphone, performance._takes.hear_input)
    for message in (
        SetLowPass(900.0), SetWet(0.5), SetDry(0.8), NoteOn(60), SetHighPass(120.0), SetDry(0.2),
        Mute(True), SetLowPass(None), Mute(False), SetWet(1.0),
    ):  # fmt: skip
        performance.send(message)
        time.sleep(0.13)
    time.sleep(0.7)
    performance.send(Quit())
    performance.close()
    sound, _ = soundfile.read("take/input.wav", dtype="float32")
    assert np.abs(sound).max() > 0.1
    take, again = replayed("take")
    assert take == again
    Path("take/input.wav").unlink()
    assert replayed("take")[1] != take  # it was heard


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_replay_is_the_take_also_where_an_engine_died(performance):
    performance.send(NoteOn(62))
    wait_until(lambda: 62 in performance.snapshot().held)
    os.kill(performance.supervisor.process_id, signal.SIGKILL)
    wait_until(lambda: performance.snapshot().restarts == 1)
    blocks = performance.snapshot().block
    wait_until(lambda: performance.snapshot().block > blocks + 6)
    assert performance.snapshot().held == (62,)
    performance.send(Quit())
    assert performance.close()["restarts"] == 1
    take, again = replayed("take")
    assert take == again


def test_a_take_may_begin_and_end_in_the_middle(performance):
    performance.send(NoteOn(65))
    performance.send(SetGain(-12.0))
    wait_until(lambda: 65 in performance.snapshot().held)
    wait_until(lambda: performance.snapshot().heard > 0)
    performance.send(StartRecording("second"))
    assert performance.snapshot().recording == "second"
    time.sleep(0.7)
    performance.send(SetGain(0.0))
    time.sleep(0.7)
    performance.send(StopRecording())
    assert performance.snapshot().recording == ""
    with pytest.raises(InputError, match="already"):
        performance.send(StartRecording("second"))
    performance.send(Quit())
    performance.close()
    assert read_take(Path("second")).start > 0
    take, again = replayed("second")
    assert take == again
    assert len(take) > 44100


def test_a_take_asked_for_while_the_model_loads_begins_with_the_music(tiny_model):
    performance = Performance(PerformanceSettings(str(tiny_model), Controls(), threads=1))
    performance.open()
    performance.send(StartRecording("early"))
    performance.wait_playing()
    wait_until(lambda: performance.snapshot().heard > 20_000)
    performance.close()
    assert len(read_take(Path("early")).header.model_sha256) == 64
    take, again = replayed("early")
    assert take == again


def test_presets_and_takes_are_reached_by_osc_without_a_window(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    heard, told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), {}
    heard.bind(("127.0.0.1", 0))
    heard.settimeout(PATIENCE)
    settings = PerformanceSettings(str(tiny_model), Controls(), osc_to=heard.getsockname())
    performance = Performance(settings)
    desk = _desk_around(performance, [])

    def state(name: str, wanted: str) -> None:
        while wanted not in str(told.get(f"/lmdm/state/{name}")):
            for each in OscPacket(heard.recv(65535)).messages:
                told[each.message.address] = each.message.params

    def call(address: str, *arguments: str) -> None:
        builder = OscMessageBuilder(address)
        for argument in arguments:
            builder.add_arg(argument)
        heard.sendto(builder.build().dgram, (host, int(port)))

    performance.open()
    try:
        performance.wait_playing()
        host, port = performance.snapshot().osc.split(",")[0].split(":")
        call("/lmdm/load_preset", "Chamber")
        state("scenes", "Theme")
        call("/lmdm/save_preset", "evening")
        wait_until(lambda: (tmp_path / "data/lmdm/presets/evening.toml").exists())
        call("/lmdm/play_take", "nowhere")
        state("jobs/0/text", "no recording in nowhere")
    finally:
        desk.close()
        performance.close()
        heard.close()


def test_ctrl_c_waits_for_what_is_being_opened_and_its_processes_never_hear_it():
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    opened = []

    def interrupted() -> None:
        with _interrupts_wait():
            os.kill(os.getpid(), signal.SIGINT)
            opened.append(subprocess.check_output([sys.executable, "-c", ask], text=True).strip())

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert opened == ["True"]


def test_what_cannot_be_opened_leaves_nothing_open(tiny_model):
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 0))
    settings = PerformanceSettings(str(tiny_model), Controls(), osc=taken.getsockname())
    before = {each.name for each in threading.enumerate()}
    performance = Performance(settings)
    with pytest.raises(InputError, match="OSC"):
        performance.open()
    taken.close()
    assert {each.name for each in threading.enumerate()} <= before
    assert list(SHARED_MEMORY.glob(f"lmdm_{os.getpid()}_*")) == []
    assert performance.close() == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nothing"], "nothing"),
        (["--scene", "none.toml"], "none.toml"),
        (["--midi", "Organ"], "MIDI"),
        (["--take", "full"], "already"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_input_is_told_and_leaves_no_take(tiny_model, arguments, said, capsys):
    Path("full").mkdir()
    Path("full/log.jsonl").write_text("")
    model = [] if "--model" in arguments else ["--model", str(tiny_model)]
    assert main(["live", "--no-gui", "--seconds", "1", "--json", *model, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert [path for path in Path().rglob("*") if path.name != "full"] == [Path("full/log.jsonl")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_ctrl_c_or_who_stops_us_ends_cleanly_with_the_take_whole(tiny_model, tmp_path, number):
    command = [sys.executable, "-m", "lmdm", "live", "--no-gui", "--json", "--take", "t"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [*command, "--model", str(tiny_model)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # not the shell's
    )  # fmt: skip
    wait_until(lambda: (tmp_path / "t" / "take.wav").exists())
    time.sleep(1.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["take"] == "t"
    assert "Traceback" not in err
    assert read_take(Path("t")).samples == soundfile.info("t/take.wav").frames
