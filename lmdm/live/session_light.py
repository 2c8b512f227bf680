"""The memorization light beside a session: what is played, compared with what was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from lmdm.checkpoints import Model
    from lmdm.live.session import Session
    from lmdm.safety.memorization.light import MemorizationLight

LIGHT_FILE = "light.safetensors"  # in the model's folder


class SessionLight:
    """Hears the blocks of a session for a light; without a light it does nothing.

    Threads: none; the engine calls it after each block that its session made.
    """

    def __init__(self, model: Model, session: Session, light: MemorizationLight | None) -> None:
        from lmdm.safety.memorization.block_updates import BlockUpdates

        self._model, self._session, self._light = model, session, light
        self._updates = BlockUpdates()
        self._asked: tuple[int, float, float] | None = None  # steps, guidance of the newest block
        self._setting: Mapping[str, Any] = {}  # what that makes
        if light is not None and light.needs_norms:
            session.watch = self._updates

    @classmethod
    def of(cls, model: Model, session: Session, file: str) -> SessionLight:
        """With the light of a file; or the one in the model's folder, if that is for this model.

        Raises:
            InputError: the file is no light, or was calibrated for another model.
        """
        from lmdm.safety.memorization.light import Light, MemorizationLight

        own = Path(model.folder) / LIGHT_FILE
        light = None
        if file:
            light = Light.load(Path(file))
            light.check(model.sha256)
        elif own.is_file():
            found = Light.load(own)
            light = found if found.model == model.sha256 else None
        if light is None:
            return cls(model, session, None)
        rate = session.sample_rate / session.frame_samples
        return cls(model, session, MemorizationLight(light, session.block_frames, rate))

    def hear(self, latents: np.ndarray) -> None:
        """The latents [C, o] of the session's newest block, or of one made anew in its place."""
        if self._light is None:
            return
        from lmdm.safety.memorization.block_updates import stream_setting

        session = self._session
        guidance = session.guidance, session.controls.guidance_parallel
        if (session.steps, *guidance) != self._asked:
            self._asked = (session.steps, *guidance)
            self._setting = stream_setting(self._model, *self._asked)
        norms = self._updates.taken(*guidance)
        self._light.hear(session.blocks, torch.from_numpy(latents), norms, self._setting)

    def verdict(self) -> dict[str, Any]:
        """What the light shows, as plain values; empty without one."""
        return {} if self._light is None else self._light.verdict().to_dict()
