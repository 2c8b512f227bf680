"""The sizes of a model's stream, and the controls it hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmdm.checkpoints import Model


class Sizes:
    """In samples and in latent frames."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._config = model.stream_config

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return int(self._model.codec.sample_rate)

    @property
    def frame_samples(self) -> int:
        """Samples a latent frame."""
        return int(self._model.codec.frame_samples)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent frame."""
        return int(self._model.codec.latent_channels)

    @property
    def block_frames(self) -> int:
        """Latent frames a block."""
        return int(self._config.block_frames)

    @property
    def context_frames(self) -> int:
        """Latent frames the model hears of what it played."""
        return int(self._config.context_frames)

    @property
    def local_controls(self) -> tuple[str, ...]:
        """Names of the local controls that the model hears."""
        conditioning = self._model.conditioning
        return () if conditioning is None else conditioning.names

    @property
    def model_steps(self) -> int:
        """Denoising steps a block where the musician asks for no number."""
        return int(self._config.steps)

    @property
    def block_samples(self) -> int:
        """Samples a block."""
        return self.block_frames * self.frame_samples
