"""What videos are judged by, where no network may judge: motion, detail, colour, the best fit.

Videos are [3, T, H, W] in -1..1.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from lmdm.video.scenes import GROUND, SIZE, Scene, draw
from lmdm.video.words import COLOURS, DIRECTIONS, SHAPES, SPEEDS


def frame_jumps(video: Tensor) -> Tensor:
    """Root mean square difference of each pair of neighbouring frames: [T - 1]."""
    return video.diff(dim=1).square().mean((0, 2, 3)).sqrt()


def jump_ratio(video: Tensor, seams: list[int]) -> float:
    """Mean jump into the frames `seams` over the mean jump elsewhere; 1 is seamless.

    nan where there is no seam, or nothing else.
    """
    jumps = frame_jumps(video)
    at = torch.zeros(len(jumps), dtype=torch.bool)
    at[[seam - 1 for seam in seams if 0 < seam <= len(jumps)]] = True
    if not at.any() or at.all():
        return float("nan")
    return float(jumps[at].mean() / jumps[~at].mean().clamp_min(1e-9))


def high_band_share(frames: Tensor, radius: float = 0.5) -> Tensor:
    """Share of the 2-D spectrum's power at r >= radius: frames [..., H, W] -> [...].

    r = sqrt(fy^2 + fx^2) / sqrt 2, each axis an even grid from -1 to 1, both ends in it (DVG,
    dossier §2; so white noise of 30x52 cells has a share of 0.63, where exact frequencies in units
    of Nyquist would give 0.60).
    """
    power = torch.fft.fft2(frames, norm="ortho").abs().square()
    rows, columns = (
        torch.fft.ifftshift(torch.linspace(-1, 1, size, device=frames.device))
        for size in frames.shape[-2:]
    )
    r = (rows[:, None] ** 2 + columns**2).sqrt() / 2**0.5
    high = (power * (r >= radius)).sum((-2, -1))
    return high / power.sum((-2, -1)).clamp_min(1e-12)


def detail_energy(video: Tensor) -> Tensor:
    """Mean power of the high band a frame: [T]. Absolute, so that washed-out frames lose it."""
    centred = video - video.mean((-2, -1), keepdim=True)
    share = high_band_share(centred)
    return (share * centred.square().mean((-2, -1))).mean(0)


def quarters(values: Tensor) -> tuple[float, float]:
    """Means over the first and the last quarter: drift is their difference."""
    quarter = max(1, len(values) // 4)
    return float(values[:quarter].mean()), float(values[-quarter:].mean())


def colour_indices(video: Tensor) -> Tensor:
    """Which of COLOURS the foreground of every frame has: [T].

    The foreground is weighted by its distance from the ground.
    """
    picture = (video + 1) / 2
    weight = (picture - GROUND).abs().amax(0)
    weight = weight * (weight > 0.25)
    mean = (picture * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(1e-6)
    known = torch.tensor(list(COLOURS.values())).to(video)
    return torch.cdist(mean.T, known).argmin(-1)


def changes(indices: Tensor) -> int:
    """How often a sequence of labels changes."""
    return int((indices[1:] != indices[:-1]).sum())


def centres(video: Tensor) -> Tensor:
    """Centre (row, column) in 0..1 of the foreground of every frame: [T, 2]."""
    weight = ((video + 1) / 2 - GROUND).abs().amax(0)
    weight = weight * (weight > 0.25)
    height, width = video.shape[-2:]
    total = weight.sum((-2, -1)).clamp_min(1e-6)
    rows = (weight.sum(-1) * (torch.arange(height) + 0.5) / height).sum(-1) / total
    columns = (weight.sum(-2) * (torch.arange(width) + 0.5) / width).sum(-1) / total
    return torch.stack([rows, columns], dim=-1)


def frame_errors(video: Tensor) -> Tensor:
    """Mean square distance of every frame from the nearest picture a scene could give: [T].

    The nearest is sought among all shapes and colours at the frame's own centre, so a frame is
    wrong if it shows two shapes, none, a smear, or a colour between colours.
    """
    looks = itertools.product(range(len(SHAPES)), range(len(COLOURS)))
    candidates = torch.stack([_drawn_there(video, shape, colour) for shape, colour in looks])
    return (candidates - video).square().mean((1, 3, 4)).amin(0)


def _drawn_there(video: Tensor, shape: int, colour: int) -> Tensor:
    """What a shape of a colour would look like at the centre of each frame: [3, T, H, W]."""
    height, width = video.shape[-2:]
    frames = [
        draw(Scene(shape, colour, 0, 0, (row, column)), torch.zeros(1), height, width)
        for row, column in centres(video).clamp(SIZE, 1 - SIZE).tolist()
    ]
    return torch.cat(frames, dim=1)


def read_scene(video: Tensor) -> tuple[int, int, int, int]:
    """Shape, colour, direction and speed of a clip's scene, read without a network.

    Colour by the majority of frames, shape by the best template at the frames' own centres,
    direction and speed from the way of the centre over the clip.
    """
    colour = int(torch.bincount(colour_indices(video), minlength=len(COLOURS)).argmax())
    errors = [
        float((_drawn_there(video, shape, colour) - video).square().mean())
        for shape in range(len(SHAPES))
    ]
    centre = centres(video)
    moved = centre[-1] - centre[0]
    along = [float((moved * torch.tensor(step)).sum()) for step in DIRECTIONS.values()]
    direction = max(range(len(along)), key=along.__getitem__)
    slow, fast = SPEEDS.values()
    speed = int(along[direction] > (slow + fast) / 2 * 0.8 * (video.shape[1] - 1))
    return errors.index(min(errors)), colour, direction, speed
