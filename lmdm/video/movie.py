"""Videos in and out as files (mp4, GIF), and as pictures to look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.errors import InputError
from lmdm.weights import write_beside

SUFFIXES = (".mp4", ".gif")
MOST_FRAMES = 20_000
LONGEST_SIDE = 4096
MOST_BYTES = 1 << 30  # of decoded frames, 8 bits a sample


def read_video(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """A video or picture file as [3, T, H, W] float32 in -1..1; a picture has one frame.

    size: (H, W) to shrink or enlarge to, by area.

    Raises:
        InputError: it cannot be read, has no frames, or is beyond all measure.
    """
    import imageio.v3 as iio

    if not path.is_file():
        raise InputError(f"the video {path} cannot be read: there is no such file")
    film = path.suffix.lower() == ".mp4"
    try:
        _check_sides(_declared(path, film), path)
        read = iio.imiter(path, plugin="pyav" if film else "pillow")
        pictures = list(_measured(read, path))
        if not pictures:
            raise InputError(f"the video {path} cannot be read: there is no frame in it")
        frames = np.stack(pictures)
    except InputError:
        raise
    except Exception as problem:  # each of its readers has exceptions of its own
        words = " ".join(str(problem).split())[:120] or type(problem).__name__
        raise InputError(f"the video {path} cannot be read: {words}") from None
    video = torch.from_numpy(frames).permute(3, 0, 1, 2).float() / 127.5 - 1
    return video if size is None else resized(video, size)


def _declared(path: Path, film: bool) -> tuple[int, int]:
    """The sides that the file says it has, before anything is unpacked."""
    if film:
        import av

        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return int(stream.width), int(stream.height)
    from PIL import Image

    with Image.open(path) as picture:
        return picture.size


def _check_sides(sides: tuple[int, int], path: Path) -> None:
    if max(sides) > LONGEST_SIDE:
        raise InputError(f"the video {path} is wider than {LONGEST_SIDE} pixels; shrink it first")


def _measured(frames: Iterable[np.ndarray], path: Path) -> Iterator[np.ndarray]:
    """The frames in RGB, as long as they are not too many or too large to be held."""
    held = 0
    for frame in itertools.islice(frames, MOST_FRAMES):
        held += 3 * frame.shape[0] * frame.shape[1]
        _check_sides((frame.shape[0], frame.shape[1]), path)  # a film may change its size
        if held > MOST_BYTES:
            raise InputError(
                f"the video {path} is larger than {MOST_BYTES >> 20} MiB unpacked; cut or shrink it"
            )
        yield _rgb(frame)


def _rgb(frame: np.ndarray) -> np.ndarray:
    """Any picture of 8 bits as [H, W, 3]."""
    if frame.dtype != np.uint8:
        raise ValueError("its samples are not of 8 bits")
    if frame.ndim == 2:
        frame = frame[..., None]
    return np.repeat(frame, 3, axis=-1) if frame.shape[-1] < 3 else frame[..., :3]


def resized(video: Tensor, size: tuple[int, int]) -> Tensor:
    """[3, T, H, W] at another height and width: averaged down, or interpolated up."""
    frames = video.transpose(0, 1)
    smaller = size[0] <= frames.shape[-2] and size[1] <= frames.shape[-1]
    if smaller:
        return F.interpolate(frames, size, mode="area").transpose(0, 1)
    return F.interpolate(frames, size, mode="bilinear", align_corners=False).transpose(0, 1)


def to_bytes(video: Tensor, zoom: int = 1) -> np.ndarray:
    """[3, T, H, W] in -1..1 -> [T, H zoom, W zoom, 3] of 8 bits, sides even as codecs want them."""
    pixels = ((video.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte()
    frames = pixels.permute(1, 2, 3, 0).cpu().numpy()
    frames = frames.repeat(zoom, axis=1).repeat(zoom, axis=2)
    odd = [(0, side % 2) for side in frames.shape[1:3]]
    return np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge")


def write_video(path: Path, video: Tensor, fps: float, zoom: int | None = None) -> None:
    """Writes [3, T, H, W] in -1..1 to .mp4 (H.264) or .gif, beside and renamed.

    zoom: enlarge pixels; None enlarges small videos so that they can be seen.
    """
    import imageio.v3 as iio

    if zoom is None:
        zoom = max(1, 160 // max(video.shape[-2:]))
    frames = to_bytes(video, zoom)
    if path.suffix.lower() == ".gif":
        data = iio.imwrite("<bytes>", frames, extension=".gif", duration=round(1000 / fps), loop=0)
    else:
        data = iio.imwrite(
            "<bytes>", frames, extension=".mp4", plugin="pyav", codec="libx264", fps=round(fps)
        )
    write_beside(path, lambda part: part.write_bytes(data))
