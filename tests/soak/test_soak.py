"""Half an hour of everything at once: `pytest -m slow tests/soak [--minutes 30] [--figures FILE]`.

The real program with its window (drawn off screen) plays the starter on a JACK server with a dummy
driver at 48 kHz and 256 frames, and records. A controller floods it with 1000 changes a second, the
prompts change each second, a live input is heard, and the engine is held at a real-time factor of
0.7 by sleeping. Nothing may run dry, and the memory of all processes must stay where it was.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import soundfile
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from lmdm.live.history import KEPT_FRAMES
from lmdm.live.messages import kind_of
from lmdm.live.take import read_take
from tests.audio_io.jack import JackServer, running
from tests.processes import family, named, own_mb

pytestmark = [pytest.mark.slow, pytest.mark.jack]

REAL_TIME_FACTOR = 0.7
PROMPTS = ("felt piano", "church choir", "string ensemble", "chiptune", "ambient pads", "breakbeat")
FLOODED = ("set_blend", "set_gain", "set_guidance")  # what CC 1, 7 and 74 move
LOOK_SECONDS = 10.0
# Memory must be flat once the session's history is full: a deque of fixed length, for going back by
# bars, by which the engine grows 15 MiB in its first 380 s.
HISTORY_SECONDS = KEPT_FRAMES * 2048 / 44100
FLAT = 0.02


class Osc:
    """The program's OSC: tells it things, and hears its state."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._to = ("127.0.0.1", port)
        self.state: dict[str, Any] = {}

    def send(self, kind: str, *arguments: Any) -> None:
        """One control message."""
        builder = OscMessageBuilder(f"/lmdm/{kind}")
        for each in arguments:
            builder.add_arg(each)
        self._socket.sendto(builder.build().dgram, self._to)

    def look(self) -> dict[str, Any]:
        """The state now. It is subscribed to for a moment only: this is not what is tested."""
        port = self._socket.getsockname()[1]
        self.send("subscribe", port)
        time.sleep(0.25)
        self.send("unsubscribe", port)
        self.listen()
        return self.state

    def listen(self) -> None:
        """Takes in what came."""
        while True:
            try:
                message = OscMessage(self._socket.recv(65535))
            except BlockingIOError:
                return
            if message.address.startswith("/lmdm/state/"):
                name = message.address.removeprefix("/lmdm/state/")
                values = list(message.params)
                self.state[name] = values[0] if len(values) == 1 else values


@pytest.fixture
def jack() -> Iterator[JackServer]:
    yield from running()


def test_nothing_runs_dry_and_memory_is_flat(
    jack: JackServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seconds = 60.0 * float(request.config.getoption("--minutes"))
    write = _writer(request.config.getoption("--figures"))
    (tmp_path / "throttle").write_text(str(REAL_TIME_FACTOR))
    port = _free_port()
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        environment[name] = str(tmp_path / "home")
    (tmp_path / "panel.json").write_text('{"tour_seen": true}')
    environment["LMDM_CONFIG"] = str(tmp_path)
    options = ["--seconds", f"{seconds + 30:.0f}", "--take", str(tmp_path / "take"), "--json"]
    options += ["--audio-device", "system", "--input", "system", "--osc", str(port), "--fresh"]
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.program", str(tmp_path), "live", *options],
        cwd=Path(__file__).parents[2], env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    others: list[subprocess.Popen] = []
    try:
        osc = _playing(jack, port)
        others = [*_cables(jack), _witness(tmp_path / "stalls")]
        looks = _watch(program.pid, osc, seconds, write)
    finally:
        for each in others:
            each.kill()
            each.wait()
        program.send_signal(2)
        said = program.communicate(timeout=60)[0]
    report = _report(looks, json.loads(said.splitlines()[-1]), seconds)
    asked = Counter(kind_of(type(each.message)) for each in read_take(tmp_path / "take").controls)
    report["controls"] = {kind: asked[kind] for kind in (*FLOODED, "set_prompts")}
    stalls = [float(line.split()[1]) for line in (tmp_path / "stalls").read_text().splitlines()]
    report["machine_stalls_ms"] = {"longest": max(stalls), "median": median(stalls)}
    write(report)
    print(json.dumps(report, indent=1))
    assert report["underruns"] == 0
    assert report["restarts"] == 0
    assert asked["set_prompts"] > 0.9 * seconds
    assert all(asked[kind] > seconds for kind in FLOODED)  # thinned out, but heard all the time
    if seconds > 2 * HISTORY_SECONDS:  # a rehearsal is over before memory could be flat
        assert abs(report["memory_drift"]) <= FLAT
    with soundfile.SoundFile(tmp_path / "take" / "take.wav") as take:
        assert take.frames / take.samplerate == pytest.approx(report["seconds"], abs=1.0)


def _writer(path: str) -> Callable[[object], None]:
    """Writes an object a line to a file, so that a soak can be watched; nowhere without a path."""
    if not path:
        return lambda _: None
    Path(path).write_text("")

    def write(entry: object) -> None:
        with open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")

    return write


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _playing(jack: JackServer, port: int) -> Osc:
    """Waits until sound is heard."""
    osc = Osc(port)
    for _ in range(600):
        state = osc.look()
        if state.get("status") == "playing" and state.get("heard", 0) > 44100:
            return osc
    raise AssertionError(f"it does not play: {osc.state.get('status')}, {osc.state.get('text')}")


def _cables(jack: JackServer) -> list[subprocess.Popen]:
    """Plugs the flood and a metronome in; the processes that make them."""
    flood = subprocess.Popen([sys.executable, "-m", "tests.soak.flood"])
    quiet = subprocess.DEVNULL
    ticks = subprocess.Popen(["jack_metro", "-b", "110", "-n", "ticks"], stdout=quiet, stderr=quiet)
    jack.connect(jack.ports("soak:out")[0], jack.ports("LMDM Live:in")[0])
    source = jack.ports("ticks:")[0]
    for channel, end in enumerate(jack.ports(":in_", count=2)):
        jack.connect(f"system:capture_{channel + 1}", end, on=False)
        jack.connect(source, end)
    return [flood, ticks]


def _witness(file: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "tests.soak.witness", str(file)])


def _watch(
    pid: int, osc: Osc, seconds: float, write: Callable[[object], None]
) -> list[dict[str, Any]]:
    """Changes the prompts each second and looks at everything each ten."""
    osc.send("set_jam_mode", "context")
    looks: list[dict[str, Any]] = []
    begun = time.monotonic()
    turn, looked = 0, 0.0
    while (now := time.monotonic() - begun) < seconds:
        first, second = PROMPTS[turn % len(PROMPTS)], PROMPTS[(turn + 1) % len(PROMPTS)]
        osc.send("set_prompts", first, 0.7, second, 0.3)
        turn += 1
        if now >= looked:
            looked += LOOK_SECONDS
            looks.append(_look(pid, osc.look(), now))
            write(looks[-1])
        time.sleep(max(0.0, begun + turn - time.monotonic()))
    return looks


def _look(pid: int, state: dict[str, Any], now: float) -> dict[str, Any]:
    names = (
        "underruns",
        "lead_ms",
        "real_time_factor",
        "governor",
        "heard",
        "input_device",
        "text",
    )
    memory = [(named(each), round(own_mb(each), 1)) for each in family(pid)]
    load = os.getloadavg()[0]
    told = {name: state.get(name) for name in names}
    total = round(sum(each for _, each in memory), 1)
    return {
        "seconds": round(now, 1), "memory_mb": total, "processes": memory, "load": load,
        **told,
    }  # fmt: skip


def _report(looks: list[dict[str, Any]], ended: dict[str, Any], seconds: float) -> dict[str, Any]:
    begin = min(HISTORY_SECONDS, seconds / 2)
    flat = [each["memory_mb"] for each in looks if each["seconds"] >= begin]
    quarter = max(1, len(flat) // 4)
    first, last = (sum(part) / len(part) for part in (flat[:quarter], flat[-quarter:]))
    return {
        "seconds": ended["seconds"],
        "underruns": ended["underruns"],
        "dropouts": Counter(re.sub(r"\d+ ms", "… ms", reason) for _, reason in ended["dropouts"]),
        "restarts": ended["restarts"],
        "device": ended["device"],
        "real_time_factor": ended["real_time_factor"],
        "latency_ms": ended["latency_ms"],
        "memory_flat_from": round(begin, 1),
        "memory_mb": {"first_quarter": round(first, 1), "last_quarter": round(last, 1)},
        "memory_drift": round(last / first - 1.0, 4),
        "memory_range": round(max(flat) / min(flat) - 1.0, 4),
        "lowest_lead_ms": min(each["lead_ms"] or 0.0 for each in looks[1:]),
        "load": round(sum(each["load"] for each in looks) / len(looks), 2),
        "cores": os.cpu_count(),
    }
