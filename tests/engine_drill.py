"""The real engine with faults on demand: what the supervisor spawns in fault drills and soaks.

`install()` makes every engine spawned from now on obey the folder `$LMDM_DRILL`:

- `throttle` holds a real-time factor: a block takes at least that share of its own duration, the
  rest being slept;
- `nan` (once), `nan-always`, `exception`, `memory`: the next block meets that fault. The file is
  taken away when it is acted on.

Nothing of this is in the program: the functions below stand around the engine's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lmdm.live import engine

FOLDER = "LMDM_DRILL"
WARM_UP_FRAMES = 16  # an engine that has made fewer is loading
ENGINE_RUN = engine.run  # also in the spawned process, which imports the real one


def install(folder: Path) -> None:
    """Engines spawned by this process obey `folder`."""
    os.environ[FOLDER] = str(folder)
    engine.run = run


def uninstall() -> None:
    """Engines are as they are again."""
    engine.run = ENGINE_RUN
    os.environ.pop(FOLDER, None)


def run(pipe: Connection, values: Mapping[str, Any]) -> None:
    """Entry point of the spawned process."""
    from lmdm.live.session import Session
    from lmdm.stream.block_stream import BlockStream

    folder = Path(os.environ[FOLDER])
    whole_block, latent_block = Session.next_block, BlockStream.next_block
    spoilt = [0]  # passes of the network that still give NaN

    def taken(name: str) -> bool:
        try:
            (folder / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def next_block(session: Session, *arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        if session.history.frames > WARM_UP_FRAMES:  # it plays
            if taken("exception"):
                raise ValueError("an unforeseen case")
            if taken("memory"):
                import torch

                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            spoilt[0] = 1 if taken("nan") else 1 << 30 if taken("nan-always") else spoilt[0]
        block = whole_block(session, *arguments, **options)
        throttle = folder / "throttle"
        if throttle.exists():
            least = float(throttle.read_text()) * session.block_samples / session.sample_rate
            time.sleep(max(0.0, least - (time.perf_counter() - begun)))
        return block

    def next_latents(stream: BlockStream, *arguments: Any, **options: Any) -> Any:
        latents = latent_block(stream, *arguments, **options)
        if spoilt[0] > 0:
            spoilt[0] -= 1
            latents.fill_(float("nan"))
        return latents

    Session.next_block, BlockStream.next_block = next_block, next_latents  # type: ignore[method-assign]
    ENGINE_RUN(pipe, values)
