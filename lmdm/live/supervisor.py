"""The engine's keeper, in the main process: starts it, listens for its heartbeat, replaces it.

The keeper holds everything a new engine needs to go on: the controls, the musical state and the
newest latents, as of the last block. A second engine stands by with its model loaded, so a dead or
stalled one is replaced within a fraction of a second; meanwhile the ring's lead plays out and the
player's hold loops the last bars.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np

from lmdm.errors import InputError
from lmdm.live import engine as engine_module
from lmdm.live import wire
from lmdm.live.controls import Controls
from lmdm.live.engine import EngineSettings
from lmdm.live.latency import LatencyMeter
from lmdm.live.messages import Message, Quit, SetLead, Snapshot, Status, from_dict, to_dict
from lmdm.live.player import ignore
from lmdm.live.ring import AudioRing
from lmdm.live.take import Applied

STALL_SECONDS = 1.5  # no heartbeat for this long, and another engine stands by: it takes over
LONG_STALL_SECONDS = 8.0  # the same without another: a new one would take some seconds to load
STANDBY_AFTER = 3.0  # seconds of playing before another engine is loaded beside it
STANDBY_FACTOR = 0.7  # real-time factor above which the playing engine needs the machine for itself
LOAD_SECONDS = 120.0
FILL_SECONDS = 3.0  # an engine that has not filled the lead by then begins all the same
MOST_RESTARTS = 5  # within RESTART_WINDOW seconds; then the session is given up
RESTART_WINDOW = 30.0
MOST_IN_FLIGHT = 200  # controls sent and not yet read by the engine; more wait here, coalesced


@dataclass
class _Engine:
    """One spawned engine process and this end of its pipe."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    last_beat: float = field(default_factory=time.monotonic)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sent:
    number: int
    message: Message
    heard: int  # stream position heard when the musician acted


class Supervisor:
    """Keeps one engine playing.

    Threads: one watcher thread reads the pipes and replaces engines. `send`, `snapshot` and `stop`
    may be called from any thread and return at once. `on_applied` and `on_remark` are called from
    the watcher thread, in stream order.
    """

    def __init__(
        self,
        ring: AudioRing,
        model: str,
        controls: Controls,
        *,
        lead: float = 0.4,
        threads: int = 0,
        device: str = "cpu",
        standby: bool = True,
        on_applied: Callable[[Applied], None] = ignore,
        on_remark: Callable[[int, str], None] = ignore,
    ) -> None:
        self._ring = ring
        self._settings = EngineSettings(model, ring.name, controls.to_dict(), lead, threads, device)
        self._standby_wanted = standby
        self._on_applied = on_applied
        self._on_remark = on_remark
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._engine: _Engine | None = None
        self._standby: _Engine | None = None
        self._outbox: deque[_Sent] = deque()  # not yet sent
        self._in_flight: deque[_Sent] = deque()  # sent, not yet in a block
        self._unread = 0  # how many of those the engine has not read
        self._number = 0
        self._state: dict[str, Any] | None = None
        self._unconfirmed: deque[dict[str, Any]] = deque()  # blocks reported, not yet in the ring
        self._recent: deque[np.ndarray] = deque()
        self._restarts: list[float] = []
        self._latency = LatencyMeter()
        self._snapshot = Snapshot(text="starting the engine")
        self._controls = controls
        self._ready = threading.Event()
        self._stopping = False
        self._went = False  # whether there has been a first block
        self._went_at = 0.0
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.model_name = model
        self.model_sha256 = ""
        self.block_frames = 0
        self._model_steps = 0
        self.mistake = False  # whether a failure was the user's (an unknown model, a broken file)

    # --- for any thread -------------------------------------------------------------------------

    def start(self) -> None:
        """Spawns the engine; returns at once. `wait_ready` tells when it plays."""
        self._engine = self._spawn()
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Waits until the first sound is in the ring, or the engine has failed."""
        return self._ready.wait(timeout)

    def send(self, message: Message, heard: int | None = None) -> None:
        """Hands a control to the engine. `heard`: the stream position heard at this moment."""
        if isinstance(message, Quit):
            return
        with self._lock:
            self._number += 1
            if isinstance(message, SetLead):
                self._settings = replace(self._settings, lead=message.seconds)
            at = self._ring.read_total if heard is None else heard
            setter = type(message).__name__.startswith("Set")
            if setter and self._outbox and type(self._outbox[-1].message) is type(message):
                self._outbox.pop()
            self._outbox.append(_Sent(self._number, message, at))
            self._controls = self._controls.after(message)
            self._pump()

    def snapshot(self) -> Snapshot:
        """What the engine last said, with what the musician has asked for since."""
        with self._lock:
            controls = self._controls
            return replace(
                self._snapshot,
                lead_ms=1000.0 * self._ring.readable / 44100.0,
                heard=self._ring.read_total,
                latency={"block": self._latency.summary()},
                prompts=controls.prompts,
                blend=controls.blend,
                guidance=controls.guidance,
                steps=controls.steps or self._model_steps,
                drums=controls.drums,
                chord=controls.chord,
                loudness_db=controls.loudness_db,
                notes_mode=controls.notes_mode,
                seed=controls.seed,
            )

    @property
    def process_id(self) -> int | None:
        """The playing engine's process id."""
        engine = self._engine
        return engine.process.pid if engine is not None else None

    def standby_ready(self) -> bool:
        """Whether an engine stands by with its model loaded."""
        standby = self._standby
        return standby is not None and standby.ready

    def stop(self) -> None:
        """Ends the engines; returns when they are gone (at most about two seconds)."""
        self._stopping = True
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)
        for each in (self._engine, self._standby):
            if each is not None:
                self._end(each)
                each.pipe.close()
        self._engine = self._standby = None
        self._tell("stopped", "stopped")

    # --- the watcher thread ---------------------------------------------------------------------

    def _spawn(self) -> _Engine:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=engine_module.run,
            args=(theirs, self._settings.to_dict()),
            name="lmdm-engine",
            daemon=True,
        )
        process.start()
        theirs.close()
        return _Engine(process, ours)

    def _watch(self) -> None:
        while not self._stopping and self._engine is not None:
            engines = [each for each in (self._engine, self._standby) if each is not None]
            wait([each.pipe for each in engines], timeout=0.05)
            for each in engines:
                self._listen(each)
            self._confirm()
            with self._lock:
                self._pump()
            self._check_standby()
            self._check_engine()

    def _listen(self, engine: _Engine) -> None:
        try:
            while engine.pipe.poll(0):
                values = wire.receive(engine.pipe)
                engine.last_beat = time.monotonic()
                self._hear(engine, values)
        except (EOFError, OSError):
            pass  # it is dead; _check_engine sees that

    def _hear(self, engine: _Engine, values: dict[str, Any]) -> None:
        event = values["event"]
        playing = engine is self._engine
        if event == "ready":
            engine.ready, engine.facts = True, values
            if playing:
                self._go(engine)
        elif event == "failed" and playing:
            self.mistake = bool(values["mistake"])
            self._tell("failed" if self.mistake else "restarting", str(values["text"]))
        elif event == "loading" and playing and not self._went:
            self._tell("loading", str(values["text"]), progress=float(values["progress"]))
        elif event == "beat":
            self._hear_figures(values)
            if self._went:
                self._ready.set()  # it rests, so the whole lead is in the ring
        elif event == "block":
            self._hear_figures(values)
            self._unconfirmed.append(values)

    def _go(self, engine: _Engine) -> None:
        """Lets a loaded engine play, from the last known state if there is one."""
        self.model_name, self.model_sha256 = engine.facts["model"], engine.facts["sha256"]
        self.block_frames, self._model_steps = engine.facts["block_frames"], engine.facts["steps"]
        request: dict[str, Any] = {"request": "go"}
        if self._state is not None and self._recent:
            recent = np.concatenate(list(self._recent), axis=1)
            request |= {"state": self._state, "recent": wire.pack(recent)}
        with self._lock:
            try:
                wire.send(engine.pipe, request)
            except OSError:
                return
            # what the dead engine had not put into a block goes to this one, oldest first
            self._outbox.extendleft(reversed(self._in_flight))
            self._in_flight.clear()
            self._unread = 0
            self._pump()

    def _pump(self) -> None:
        """Sends what waits, as far as the engine keeps up. Call with the lock held."""
        engine = self._engine
        if engine is None or not engine.ready:
            return
        while self._outbox and self._unread < MOST_IN_FLIGHT:
            sent = self._outbox[0]
            request = {
                "request": "control",
                "number": sent.number,
                "message": to_dict(sent.message),
            }
            try:
                wire.send(engine.pipe, request)
            except OSError:
                return
            self._in_flight.append(self._outbox.popleft())
            self._unread += 1

    def _hear_figures(self, values: dict[str, Any]) -> None:
        with self._lock:
            self._unread = sum(each.number > values["number"] for each in self._in_flight)
            self._snapshot = replace(
                self._snapshot,
                block=int(values["blocks"]),
                samples=int(values["samples"]),
                real_time_factor=float(values["real_time_factor"]),
                model=self.model_name,
            )

    def _confirm(self) -> None:
        """Takes note of reported blocks whose sound is in the ring."""
        while self._unconfirmed and self._unconfirmed[0]["samples"] <= self._ring.written_total:
            self._hear_block(self._unconfirmed.popleft())

    def _hear_block(self, values: dict[str, Any]) -> None:
        self._state = values["state"]
        engine = self._engine
        assert engine is not None
        latents = wire.unpack(values["latents"])
        self._recent.append(latents)
        most = -(-engine.facts["context_frames"] // engine.facts["block_frames"])
        while len(self._recent) > most:
            self._recent.popleft()
        with self._lock:
            while self._in_flight and self._in_flight[0].number <= values["number"]:
                sent = self._in_flight.popleft()
                if sent.message.lane == "block":
                    self._latency.add(values["start"] - sent.heard)
            state = values["state"]
            notes = state["notes"]
            held = {pitch for pitch, _ in notes["keys"]} | set(notes["pedalled"])
            self._snapshot = replace(
                self._snapshot,
                block_ms=1000.0 * engine.facts["block_samples"] / 44100.0,
                held=tuple(sorted(held)),
                sustain=bool(notes["pedal"]),
                bpm=float(state["bpm"]),
                beat=float(state["beat"]),
            )
        for sample, message in values["applied"]:
            self._on_applied(Applied(sample, from_dict(message)))
        for text in values["remarks"]:
            self._on_remark(values["start"], text)
        if not self._went or self._snapshot.status != "playing":
            self._tell("playing", "playing")
        if not self._went:
            self._went_at = time.monotonic()
        self._went = True
        if time.monotonic() - self._went_at > FILL_SECONDS:
            self._ready.set()  # too slow ever to fill the lead: play what there is

    def _check_standby(self) -> None:
        standby = self._standby
        if standby is not None and not standby.process.is_alive():
            standby.pipe.close()
            self._standby = None
        elif standby is None and self._standby_wanted and self._ready.is_set():
            rested = time.monotonic() - max([self._went_at, *self._restarts[-1:]])
            if rested > STANDBY_AFTER and self._snapshot.real_time_factor < STANDBY_FACTOR:
                self._standby = self._spawn()

    def _check_engine(self) -> None:
        engine = self._engine
        assert engine is not None
        limit = STALL_SECONDS if self.standby_ready() else LONG_STALL_SECONDS
        limit += 2 * self._snapshot.block_ms / 1000.0
        if not engine.ready:
            limit = LOAD_SECONDS
        silent = time.monotonic() - engine.last_beat
        if not engine.process.is_alive():
            self._listen(engine)  # its last words
            self._confirm()
            self._replace(f"the engine ended ({_ending(engine.process.exitcode)})")
        elif silent > limit:
            self._replace(f"the engine gave no sign of life for {silent:.1f} s")

    def _replace(self, reason: str) -> None:
        """Puts the standby, or a new engine, in the place of the playing one."""
        old = self._engine
        assert old is not None
        self._end(old)
        self._listen(old)  # its last words: without them the ring would be ahead of the state
        old.pipe.close()
        self._confirm()
        self._unconfirmed.clear()  # never heard: the next engine makes that block
        now = time.monotonic()
        self._restarts = [each for each in self._restarts if now - each < RESTART_WINDOW] + [now]
        if self._snapshot.status == "failed" or len(self._restarts) > MOST_RESTARTS:
            text = self._snapshot.text if self.mistake else f"{reason}, again and again"
            self._engine = None
            self._tell("failed", text)
            self._ready.set()
            return
        said = self._snapshot.text if self._snapshot.status == "restarting" else reason
        self._tell("restarting", f"{said}; a new one goes on from its last block")
        self._on_remark(self._ring.written_total, said)
        standby, self._standby = self._standby, None
        self._engine = standby if standby is not None else self._spawn()
        self._engine.last_beat = time.monotonic()
        with self._lock:
            self._snapshot = replace(self._snapshot, restarts=self._snapshot.restarts + 1)
        if self._engine.ready:
            self._go(self._engine)

    def _end(self, engine: _Engine) -> None:
        with contextlib.suppress(OSError):
            wire.send(engine.pipe, {"request": "quit"})
        engine.process.join(0.5 if self._stopping else 0.0)
        if engine.process.is_alive():
            engine.process.kill()
            engine.process.join(1.0)

    def _tell(self, status: Status, text: str, progress: float = 1.0) -> None:
        with self._lock:
            self._snapshot = replace(self._snapshot, status=status, text=text, progress=progress)


def _ending(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def failure(supervisor: Supervisor) -> Exception:
    """The exception of a supervisor whose status is `failed`."""
    text = supervisor.snapshot().text
    return InputError(text) if supervisor.mistake else RuntimeError(text)
