"""Before and after, on held-out conditions: figures, and grids from shared seeds (§4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmdm.safety.piu.identities import Anchor, Identities, Split
from lmdm.safety.piu.metrics import Figures, Generated, figures
from lmdm.safety.piu.objective import forget_conditions
from lmdm.safety.piu.unlearning import IdentityModel
from lmdm.weights import write_beside

SAMPLES = 25  # of the target and of held-out identities
SHOWN = 8  # columns of a grid


class Examination:
    """The same conditions and seeds for every model that is examined.

    Conditions: Dirichlet mixtures of the target's held-out embeddings, and one embedding each of
    identities that no training saw.
    """

    def __init__(
        self,
        model: IdentityModel,
        identities: Identities,
        chosen: Split,
        anchor: Anchor,
        samples: int = SAMPLES,
        seed: int = 42,
        judged: NDArray[np.float64] | None = None,
    ) -> None:
        """judged: the identities' centroids in the recogniser's space, where that is not the
        space of the conditions, [M, E].
        """
        self.model, self.identities, self.chosen, self.anchor = model, identities, chosen, anchor
        self.seed = seed
        self.centroids = identities.centroids if judged is None else judged
        generator = torch.Generator().manual_seed(seed)
        embeddings = torch.tensor(identities.embeddings, dtype=torch.float32)
        held = embeddings[list(chosen.forget_validation)]
        self.forget = forget_conditions(held, samples, "dirichlet", generator)
        draw = np.random.default_rng(seed)
        self.retained: NDArray[np.int64] = draw.choice(chosen.retain_validation, samples)
        picked = [draw.choice(identities.of(int(each))) for each in self.retained]
        self.retain = embeddings[picked]
        self.original = self.made(model.denoiser)

    def images(self, denoiser: nn.Module) -> tuple[Tensor, Tensor]:
        """Images of the target's and of the held-out identities' conditions."""
        return (
            self.model.sample(denoiser, self.forget, self.seed),
            self.model.sample(denoiser, self.retain, self.seed + 1),
        )

    def made(self, denoiser: nn.Module) -> Generated:
        """Embeddings of those images."""
        forget, retain = (
            self.model.embed(images).double().numpy() for images in self.images(denoiser)
        )
        return Generated(forget, retain)

    def figures(self, denoiser: nn.Module) -> Figures:
        """One model's figures."""
        return figures(
            self.made(denoiser),
            self.original,
            self.centroids,
            self.chosen.target,
            self.retained,
            self.anchor.identity,
        )

    def grid(self, denoiser: nn.Module, path: Path) -> None:
        """Four rows: the target before, after; held-out identities before, after."""
        before, after = self.images(self.model.denoiser), self.images(denoiser)
        rows = (before[0], after[0], before[1], after[1])
        save_grid([row[:SHOWN] for row in rows], path)


def save_grid(rows: list[Tensor], path: Path) -> None:
    """Rows of images [n, 3, H, W] in [-1, 1] as one PNG; small ones are enlarged."""
    from PIL import Image

    whole = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    pixels = ((whole.permute(1, 2, 0) + 1.0) * 127.5).round().to(torch.uint8).numpy()
    picture = Image.fromarray(pixels)
    factor = max(1, 96 // rows[0].shape[-1])
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
    write_beside(path, lambda part: picture.save(part, "PNG"))


def write_report(folder: Path, rows: Mapping[str, Figures], facts: Mapping[str, Any]) -> None:
    """report.json and report.md: a row a model; AccU and AccR always beside SRK."""
    body = {"facts": dict(facts), "figures": {name: asdict(row) for name, row in rows.items()}}
    text = json.dumps(body, indent=1)
    write_beside(folder / "report.json", lambda part: part.write_text(text))
    table = markdown(rows)
    write_beside(folder / "report.md", lambda part: part.write_text(table))


def markdown(rows: Mapping[str, Figures]) -> str:
    """The figures as a table."""
    lines = [
        "| model | forget ISM | retain ISM | AccU | AccR | SRK | at anchor | ΔKD forget | retain |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [f"{value:.3f}" for value in asdict(row).values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
