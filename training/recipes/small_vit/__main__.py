"""Train the small ViT: what EfficientNet-Lite0 sees in a photo, from a view without its colours.

    python -m training.recipes.small_vit --photos DIR --run RUN --out lmdm/image/small_vit

The teacher sees clean crops; the student sees them with brightness, contrast, colour, noise and
left-right changed at random, and is asked for the teacher's pooled features and for its 4 x 4 map.
So its last layer keeps what is where, and lets go of colour and texture, as large vision models do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from lmdm.fitting import Figures, TrainingState, fit
from lmdm.image.backbones.efficientnet import load_efficientnet
from lmdm.image.backbones.protocol import layer_norm
from lmdm.image.backbones.small_vit import SmallViT, SmallViTConfig, save_small_vit
from lmdm.image.folder import find_images
from lmdm.weights import write_beside

SIZE = 64
BATCH = 32
STEPS = 1600
LEARNING_RATE = 8e-4
LARGEST_PHOTO = 512  # short side in memory


class Distilled(nn.Module):
    """The student and the two linear maps to its teacher's features, which are not kept."""

    def __init__(self, pooled: int, mapped: int) -> None:
        super().__init__()
        self.vit = SmallViT(SmallViTConfig())
        dim = self.vit.config.dim
        self.to_pooled, self.to_map = nn.Linear(dim, pooled), nn.Linear(dim, mapped)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """views [B, 3, 64, 64] -> pooled [B, 1280] and map [B, 320, 4, 4]."""
        tokens = layer_norm(self.vit.hidden(views)[-1])
        grid = round(tokens.shape[1] ** 0.5)
        coarse = F.avg_pool2d(tokens.transpose(1, 2).unflatten(2, (grid, grid)), 2)
        mapped = self.to_map(coarse.flatten(2).transpose(1, 2)).transpose(1, 2)
        return self.to_pooled(tokens.mean(dim=1)), mapped.unflatten(2, coarse.shape[-2:])


def crops(folders: list[Path], each: int, seed: int) -> Tensor:
    """`each` random square crops of every photo, uint8 [n, 3, 64, 64]."""
    numbers = np.random.default_rng(seed)
    cut = []
    paths = [path for folder in folders for path in find_images(folder)]
    for path in tqdm(paths, desc="crops"):
        with Image.open(path) as opened:
            photo = ImageOps.exif_transpose(opened).convert("RGB")
        photo.thumbnail((2 * LARGEST_PHOTO, LARGEST_PHOTO), Image.Resampling.BOX)
        for _ in range(each):
            side = int(min(photo.size) * numbers.uniform(0.3, 1.0))
            left = int(numbers.integers(0, photo.width - side + 1))
            top = int(numbers.integers(0, photo.height - side + 1))
            box = (left, top, left + side, top + side)
            crop = photo.resize((SIZE, SIZE), Image.Resampling.LANCZOS, box)
            cut.append(np.asarray(crop).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(cut))


@torch.no_grad()
def targets(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The teacher's pooled features and map of every crop, each channel standardised."""
    teacher = load_efficientnet(2 * SIZE)
    pooled, mapped = [], []
    for batch in tqdm(pixels.split(64), desc="teacher"):
        last = teacher.maps(batch.float() / 255)[-1]
        mapped.append(last)
        pooled.append(teacher.head(last))
    first, second = torch.cat(pooled), torch.cat(mapped)
    first = (first - first.mean(0)) / (first.std(0) + 0.05)
    second = (second - second.mean((0, 2, 3), True)) / (second.std((0, 2, 3), keepdim=True) + 0.05)
    return first, second


def jittered(images: Tensor, generator: torch.Generator) -> Tensor:
    """Colours mixed, greyed, brightened and flattened at random; noise; images in 0..1."""
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    mixed = torch.eye(3) + 0.35 * torch.randn(count, 3, 3, generator=generator)
    grey = (uniform(0, 1, 1, 1) < 0.25).float()
    mixed = mixed * (1 - grey) + grey / 3
    images = torch.einsum("bij,bjhw->bihw", mixed, images - 0.5)
    images = images * uniform(0.5, 1.4, 1, 1, 1) + 0.5 + uniform(-0.3, 0.3, 3, 1, 1)
    noise = torch.randn(images.shape, generator=generator) * uniform(0, 0.08, 1, 1, 1)
    return (images + noise).clamp(0, 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="train the small ViT")
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--run", type=Path, required=True, help="cache and checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--crops", type=int, default=40, help="of each photo")
    parser.add_argument("--minutes", type=float, default=1e9)
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)

    cache = options.run / "crops.safetensors"
    if not cache.exists():
        cut = crops(options.photos, options.crops, seed=1)
        names = ("pixels", "pooled", "mapped")
        parts = (part.contiguous() for part in (cut, *targets(cut)))
        tensors = dict(zip(names, parts, strict=True))
        write_beside(cache, lambda part: save_file(tensors, part))
    held = load_file(cache)
    pixels, pooled, mapped = held["pixels"], held["pooled"], held["mapped"]
    torch.manual_seed(1)
    model = Distilled(pooled.shape[1], mapped.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.05)

    def step_of(step: int) -> Figures:
        generator = torch.Generator().manual_seed(step)
        rows = torch.randint(len(pixels), (BATCH,), generator=generator)
        views, whole, places = pixels[rows].float() / 255, pooled[rows], mapped[rows]
        if step % 2:
            views, places = views.flip(-1), places.flip(-1)
        guessed, guessed_map = model(jittered(views, generator))
        first, second = F.mse_loss(guessed, whole), F.mse_loss(guessed_map, places)
        optimizer.zero_grad()
        (first + second).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return {"pooled": first.item(), "map": second.item()}

    fit(
        TrainingState(options.run / "state.safetensors", {"model": model}, {"model": optimizer}),
        STEPS,
        step_of,
        rate=lambda step: LEARNING_RATE * min(1.0, (step + 1) / 100) * (1 - step / STEPS) ** 0.9,
        seconds=60 * options.minutes,
        title="small ViT",
    )
    save_small_vit(model.vit, options.out)


if __name__ == "__main__":
    main()
