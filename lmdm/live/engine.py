"""The engine process: controls in, sound out. The only place where live playing meets torch.

The supervisor spawns `run`. The engine loads the model, says how far it is, then keeps `lead`
seconds of sound in the ring ahead of what is heard. Before a block's sound is written its state is
reported; the report counts once the sound is in the ring. So after a crash at any instant the next
engine goes on from the very sample the ring ends with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import TYPE_CHECKING, Any

from lmdm.errors import InputError
from lmdm.live import wire
from lmdm.live.controls import Controls
from lmdm.live.messages import SetLead, from_dict, to_dict
from lmdm.live.ring import AudioRing

if TYPE_CHECKING:
    from lmdm.live.session import Session

HEARTBEAT_SECONDS = 0.05
WARM_UP_BLOCKS = 3


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is started with."""

    model: str  # name or folder
    ring: str  # name of the shared-memory ring
    controls: Mapping[str, Any]  # JSON form of Controls
    lead: float = 0.4  # seconds generated ahead of what is heard
    threads: int = 0  # torch threads; 0: one on up to 2 cores, else half of them, at most 4
    device: str = "cpu"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "controls": dict(self.controls)}


def torch_threads(asked: int) -> int:
    """Threads for torch: as asked, else few enough to leave the audio path a core."""
    cores = os.cpu_count() or 1
    return asked if asked > 0 else max(1, min(4, cores // 2))


def run(pipe: Connection, values: Mapping[str, Any]) -> None:
    """Entry point of the spawned process. Ends when told to, or when the pipe closes.

    A user's mistake (an unknown model, a broken file) is reported as `failed` with its sentence;
    any other exception is reported likewise with its type, and the process ends with status 1.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle
    try:
        Engine(pipe, EngineSettings(**values)).play()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as problem:  # the last word before this process ends
        mistake = isinstance(problem, InputError)
        text = str(problem) if mistake else f"{type(problem).__name__}: {problem}"
        with contextlib.suppress(OSError):
            wire.send(pipe, {"event": "failed", "text": text, "mistake": mistake})
        raise SystemExit(1) from (None if mistake else problem)


class Engine:
    """One model, one session, one ring.

    Threads: one; it waits on the pipe between blocks, so a control is read at once.
    """

    def __init__(self, pipe: Connection, settings: EngineSettings) -> None:
        self._pipe = pipe
        self._lead = settings.lead
        self._quit = False
        self._number = 0  # of the newest control received
        self._factors: deque[float] = deque(maxlen=32)
        self._report("loading", progress=0.1, text="loading torch")
        import torch

        from lmdm.checkpoints import load
        from lmdm.live.session import Session

        torch.set_num_threads(torch_threads(settings.threads))
        self._report("loading", progress=0.5, text=f"loading the model {settings.model}")
        model = load(settings.model, device=settings.device)
        self._ring = AudioRing.attach(settings.ring)
        self._session: Session = Session(model, Controls.from_dict(settings.controls))
        self._report("loading", progress=0.8, text="warming up")
        self._warm_up()
        self._report(
            "ready",
            model=model.name,
            sha256=model.sha256,
            block_samples=self._session.block_samples,
            block_frames=self._session.block_frames,
            context_frames=self._session.context_frames,
            steps=self._session.model_steps,
            latent_channels=self._session.latent_channels,
        )

    def _report(self, event: str, **values: Any) -> None:
        wire.send(self._pipe, {"event": event, **values})

    def _warm_up(self) -> None:
        """Generates blocks that nobody hears, so that the first heard one is on time."""
        before = self._session.snapshot()
        for _ in range(WARM_UP_BLOCKS):
            self._generate()
        self._session.restore(before)

    def _generate(self) -> Any:
        begun = time.perf_counter()
        block = self._session.next_block()
        seconds = time.perf_counter() - begun
        self._factors.append(seconds * self._session.sample_rate / self._session.block_samples)
        return block

    def play(self) -> None:
        """Waits for `go`, then generates until told to quit."""
        while not self._quit:
            request = wire.receive(self._pipe)
            if self._take(request):
                break
        while not self._quit:
            if self._due():
                self._next_block()
                wait = 0.0
            else:
                self._report("beat", **self._figures())
                wait = HEARTBEAT_SECONDS
            while not self._quit and self._pipe.poll(wait):
                self._take(wire.receive(self._pipe))
                wait = 0.0
        self._ring.close()

    def _take(self, request: Mapping[str, Any]) -> bool:
        """Handles one request; True if it was `go`."""
        kind = request["request"]
        if kind == "control":
            message = from_dict(request["message"])
            self._number = request["number"]
            if isinstance(message, SetLead):
                self._lead = message.seconds
            else:
                self._session.apply(message)
        elif kind == "go":
            if request.get("state") is not None:
                recent = wire.unpack(request["recent"])
                self._session.resume(request["state"], recent)
            return True
        elif kind == "quit":
            self._quit = True
        return False

    def _due(self) -> bool:
        ahead = self._ring.written_total - self._ring.read_total
        lead = int(self._lead * self._session.sample_rate)
        return ahead < lead and self._ring.writable >= 2 * self._session.block_samples

    def _next_block(self) -> None:
        block = self._generate()
        self._report(
            "block",
            start=block.start,
            applied=[[each.sample, to_dict(each.message)] for each in block.applied],
            latents=wire.pack(block.latents),
            state=self._session.state(),
            remarks=list(block.remarks),
            **self._figures(),
        )
        self._ring.write(block.pcm)

    def _figures(self) -> dict[str, Any]:
        return {
            "number": self._number,
            "blocks": self._session.blocks,
            "samples": self._session.emitted,
            "real_time_factor": round(median(self._factors), 4),
            "lead": self._lead,
        }
