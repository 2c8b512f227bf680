r"""The pictures of `docs/image.md`: photos, and crops of photos beside stamps, split once for all.

    apt-get download gnome-backgrounds mate-backgrounds plasma-workspace-wallpapers \
        ukui-wallpapers lxqt-themes tuxpaint-stamps-default
    for package in *.deb; do dpkg-deb -x $package debian; done
    python -m training.recipes.small_vit.pictures --debian debian --out pictures

Writes out/photos/{train,test} (every fifth photo is a test photo), which the small ViT sees the
first of; out/train and out/test, where crops of those photos are one class and the stamps' folders
the others; and out/probe, the stamps of the larger folders, for the linear probe.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image
from tqdm import tqdm

from lmdm.image.folder import BadImage, find_images, open_image

SKIMAGE = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "colorwheel", "grass", "gravel",
    "hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket",
)  # fmt: skip
PHOTO_FOLDERS = ("share/backgrounds", "share/wallpapers", "share/lxqt/wallpapers")
STAMPS = "share/tuxpaint/stamps"
NO_STAMPS = ("symbols",)  # letters, digits and coins
PROBED = 30  # stamps that a folder needs to be a class of the probe
SMALLEST = 60_000  # bytes of a photo's file; less is a preview
CROP = 96  # pixels a side, of the crops on disk


def photos(debian: Path) -> dict[str, Image.Image]:
    """Name -> photo, its short side at most 640 pixels; one size of each wallpaper."""
    chosen: dict[Path, Path] = {}
    for folder in PHOTO_FOLDERS:
        for path in find_images(debian / "usr" / folder):
            plain = not path.is_symlink() and path.stat().st_size >= SMALLEST
            if not plain or "screenshot" in path.name or "logo" in path.name.lower():
                continue
            key = path.parent if path.parent.name.startswith("images") else path
            if key not in chosen or path.stat().st_size < chosen[key].stat().st_size:
                chosen[key] = path
    found = {}
    for path in tqdm(sorted(chosen.values()), desc="photos"):
        try:
            photo = open_image(path, 640)
        except BadImage as problem:
            print(f"skipped {path}: {problem}")
            continue
        photo.thumbnail((1024, 640), Image.Resampling.BOX)
        found["_".join(path.relative_to(debian / "usr" / "share").with_suffix("").parts)] = photo
    for name in SKIMAGE:
        found[f"skimage_{name}"] = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    for name in ("china", "flower"):
        photo = Image.fromarray(sklearn.datasets.load_sample_image(f"{name}.jpg"))
        found[f"sklearn_{name}"] = photo
    return found


def crop(photo: Image.Image, numbers: np.random.Generator) -> Image.Image:
    """A random square of a photo, 0.3 to 1 of its short side."""
    side = int(min(photo.size) * numbers.uniform(0.3, 1.0))
    left = int(numbers.integers(0, photo.width - side + 1))
    top = int(numbers.integers(0, photo.height - side + 1))
    return photo.resize(
        (CROP, CROP), Image.Resampling.LANCZOS, (left, top, left + side, top + side)
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="pictures for docs/image.md")
    parser.add_argument(
        "--debian", type=Path, required=True, help="where the packages are unpacked"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-crops", type=int, default=36, help="of each photo")
    parser.add_argument("--test-crops", type=int, default=16)
    options = parser.parse_args()
    numbers = np.random.default_rng(1)
    for index, (name, photo) in enumerate(sorted(photos(options.debian).items())):
        part = "test" if index % 5 == 0 else "train"
        for folder in (options.out / "photos" / part, options.out / part / "photo"):
            folder.mkdir(parents=True, exist_ok=True)
        photo.save(options.out / "photos" / part / f"{name}.png")
        for number in range(options.test_crops if part == "test" else options.train_crops):
            square = crop(photo, numbers)
            square.save(options.out / part / "photo" / f"{name}_{number:02d}.png")
    stamps = options.debian / "usr" / STAMPS
    for folder in sorted(stamps.iterdir()):
        if not folder.is_dir() or folder.name in NO_STAMPS:
            continue
        paths = find_images(folder)
        for index, path in enumerate(paths):
            name = "_".join(path.relative_to(folder).parts)
            parts = ["test" if index % 5 == 0 else "train"]
            parts += ["probe"] if len(paths) >= PROBED else []
            for part in parts:
                (options.out / part / folder.name).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, options.out / part / folder.name / name)


if __name__ == "__main__":
    main()
