"""Sound files that the engine hears: to go on from, or for their style.

Both become messages that hold what was heard, so that a take needs no file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lmdm.errors import InputError
from lmdm.live import wire
from lmdm.live.messages import Message, Prime, PrimeWith, SetStyle, SetStylePrompts
from lmdm.live.sound_file import read_sound
from lmdm.live.style import StyleTable

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

STYLE_SECONDS = 30.0  # the file's middle, by which its style is judged


class Listening:
    """Reads files for one model.

    Threads: none; the engine's thread calls it.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._styles = StyleTable.read(model.folder)

    def heard(self, message: Message) -> Message:
        """What a message about a file comes to; others are returned as they are.

        Raises:
            InputError: the file cannot be read, is too short, or the model has no table of styles.
        """
        if isinstance(message, Prime):
            context = self._model.stream_config.context_frames
            return PrimeWith(wire.text_of(self.latents(Path(message.file), context).numpy()))
        if isinstance(message, SetStyle):
            if not message.file:
                return SetStylePrompts(())
            if self._styles is None:
                raise InputError(
                    f"the model {self._model.name} has no table of styles: make it with "
                    f"`lmdm models styles {self._model.name} --latents DIR`"
                )
            frames = round(STYLE_SECONDS * 44100 / self._model.codec.frame_samples)
            latents = self.latents(Path(message.file), frames, middle=True)
            return SetStylePrompts(self._styles.nearest(latents.numpy()))
        return message

    def latents(self, path: Path, frames: int, middle: bool = False) -> torch.Tensor:
        """The last `frames` latent frames of a file, or those in its middle [C, n], n <= frames."""
        sound = read_sound(path)
        frame = int(self._model.codec.frame_samples)
        count = min(frames, len(sound) // frame)
        if not count:
            raise InputError(f"{path} is shorter than {1000 * frame // 44100} ms")
        first = (len(sound) - count * frame) // (2 if middle else 1)
        pcm = torch.from_numpy(sound[first : first + count * frame].T.copy())[None]
        with torch.inference_mode():
            latents: torch.Tensor = self._model.codec.encode(pcm)[0].float().cpu()
        return latents
