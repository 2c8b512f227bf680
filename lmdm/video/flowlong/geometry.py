"""How overlapping windows lie on the timeline of a long video (dossier §2, §4).

Window k covers global latent frames kS .. kS + F - 1, so K windows cover N = F + (K - 1) S. The
grid is kept whole: the timeline is padded at its end and the surplus trimmed after decoding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lmdm.errors import InputError


@dataclass(frozen=True)
class WindowGeometry:
    """Sizes in latent frames: window F, stride S, and the frames that are wanted.

    Raises:
        InputError: a size below 1, a stride beyond the window, or an overlap O = F - S below S
            (then one seam frame stands between strangers), unless `small_overlap` allows it.
    """

    window: int
    stride: int
    frames: int
    small_overlap: bool = False

    def __post_init__(self) -> None:
        for name in ("window", "stride", "frames"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.overlap < 1:
            raise InputError(
                f"stride {self.stride} leaves no overlap in windows of {self.window} frames; "
                f"take a stride of at most {max(1, self.window // 2)}"
            )
        if self.overlap < self.stride and not self.small_overlap:
            raise InputError(
                f"overlap {self.overlap} is below stride {self.stride} (window {self.window}): "
                f"take a stride of at most {self.window // 2}, or --allow-small-overlap"
            )

    @property
    def overlap(self) -> int:
        """O = F - S: frames that neighbouring windows share."""
        return self.window - self.stride

    @property
    def windows(self) -> int:
        """K: as many as cover the wanted frames."""
        return 1 + -(-max(self.frames - self.window, 0) // self.stride)

    @property
    def timeline(self) -> int:
        """N = F + (K - 1) S: frames that are generated."""
        return self.window + (self.windows - 1) * self.stride

    @property
    def trimmed(self) -> int:
        """Frames generated beyond what is wanted; left out at the end."""
        return self.timeline - self.frames

    @property
    def starts(self) -> tuple[int, ...]:
        """First global frame of every window."""
        return tuple(k * self.stride for k in range(self.windows))

    @property
    def token_factor(self) -> float:
        """Frames passed through the model a step, over frames of the timeline: about F / S."""
        return self.windows * self.window / self.timeline


def latent_frames(pixel_frames: int, factor: int = 4) -> int:
    """Latent frames of a causal video codec: the first frame alone, then one for `factor`."""
    return 1 + -(-max(pixel_frames - 1, 0) // factor)


def pixel_frames(latents: int, factor: int = 4) -> int:
    """Frames that so many latent frames decode to."""
    return 1 + (latents - 1) * factor


def prompts_of_windows(
    geometry: WindowGeometry, timeline: Sequence[tuple[int, str]]
) -> tuple[str, ...]:
    """The prompt of every window, from (first latent frame, prompt) entries.

    A window takes the prompt at its middle frame, so that a change falls inside an overlap's middle
    rather than at a window's first frame.

    Raises:
        InputError: no entry, entries that do not start at 0, or starts that do not rise.
    """
    if not timeline or timeline[0][0] != 0:
        raise InputError("a prompt timeline must have an entry that starts at 0")
    starts = [start for start, _ in timeline]
    if any(later <= earlier for earlier, later in itertools.pairwise(starts)):
        raise InputError("the starts of a prompt timeline must rise")
    if starts[-1] >= geometry.frames:
        raise InputError(
            f"a prompt starts at latent frame {starts[-1]}, but there are {geometry.frames}"
        )
    middles = [start + geometry.window // 2 for start in geometry.starts]
    return tuple(
        next(prompt for start, prompt in reversed(timeline) if start <= middle)
        for middle in middles
    )
