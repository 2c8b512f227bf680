"""The dossier's toy table on drawn faces: what each part of PIU does, over several targets (§6)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmdm.safety.piu import baselines
from lmdm.safety.piu.face_model import FaceConfig, FaceModel, gallery, train
from lmdm.safety.piu.identities import (
    Anchor,
    Identities,
    Split,
    choose_anchor,
    labelled,
    split,
)
from lmdm.safety.piu.metrics import Figures
from lmdm.safety.piu.report import Examination, write_report
from lmdm.safety.piu.scope import FACES, share
from lmdm.safety.piu.unlearning import Settings, unlearn

PICTURES = 8  # of each person, none of which the model was trained on
BASE = Settings(steps=300, batch=32, accumulation=1, rate=1e-3)
ROWS: Mapping[str, Settings] = {
    "naive: η 0, λ 0, all attn2": replace(BASE, eta=0.0, lam=0.0, scope="cross-attention"),
    "+ λ 10": replace(BASE, eta=0.0, scope="cross-attention"),
    "+ η 1": replace(BASE, scope="cross-attention"),
    "surgical (PIU)": BASE,
    "full fine-tune": replace(BASE, scope="full"),
    "surgical, λ 0": replace(BASE, lam=0.0),
}
BASELINES = ("UCE", "SISS")
ANCHOR_COSINES = (-0.2, 0.0, 0.2, 0.4, 0.6)
ANCHOR_ETAS = (0.0, 1.0)
TOLERANCE = 0.05


def experiment(
    folder: Path,
    config: FaceConfig | None = None,
    targets: int = 3,
    rows: Collection[str] = (*ROWS, *BASELINES),
    cosines: Sequence[float] = ANCHOR_COSINES,
    etas: Sequence[float] = ANCHOR_ETAS,
    quiet: bool = False,
) -> dict[str, Any]:
    """Runs what is not there yet; writes report.json, report.md and a grid a target.

    rows: of the table, beside the original's. cosines: of the anchors that the law is fitted to.
    etas: under which it is measured, 0 among them.
    """
    model = train(folder / "model", config or FaceConfig(), quiet)
    _, embeddings, who = pictures(model)
    people = labelled(embeddings, who)
    every: dict[str, list[Figures]] = {}
    for target in range(targets):
        place = folder / f"target{target}"
        for name, figures in _rows(model, people, target, rows, place, quiet):
            every.setdefault(name, []).append(figures)
    law = _anchor_law(model, people, cosines, etas, folder / "anchors", quiet)
    facts = {
        "trainable share": {name: share(model.denoiser, scope) for name, scope in FACES.items()},
        "own cosine": float((people.embeddings * people.centroids[people.labels]).sum(1).mean()),
        "targets": targets,
        "anchor law": law,
        "standard error": {name: _error(figures) for name, figures in every.items()},
    }
    write_report(folder, {name: _mean(figures) for name, figures in every.items()}, facts)
    return json.loads((folder / "report.json").read_text())


def pictures(model: FaceModel) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """New pictures of the people that the model knows: faces, embeddings, identities."""
    return gallery(model, model.config.people, PICTURES, model.config.seed, which=1)


def _rows(
    model: FaceModel,
    people: Identities,
    target: int,
    rows: Collection[str],
    folder: Path,
    quiet: bool,
) -> Iterator[tuple[str, Figures]]:
    chosen = split(people, target)
    anchor = choose_anchor(people, chosen, tolerance=TOLERANCE)
    examination = Examination(model, people, chosen, anchor)
    yield "original", examination.figures(model.denoiser)
    for index, (name, settings) in enumerate(ROWS.items()):
        if name not in rows:
            continue
        student = unlearn(
            model, people, chosen, anchor, settings, FACES, folder / f"row{index}", quiet=quiet
        )
        yield name, examination.figures(student)
        if name.startswith("surgical (PIU)"):
            examination.grid(student, folder / "grid.png")
    if "UCE" in rows:
        yield "UCE", examination.figures(_uce(model, people, chosen, anchor))
    if "SISS" in rows:
        yield "SISS", examination.figures(_siss(model, people, chosen, folder, quiet))


def _uce(model: FaceModel, people: Identities, chosen: Split, anchor: Anchor) -> Any:
    embeddings = torch.tensor(people.embeddings, dtype=torch.float32)
    centroids = torch.tensor(people.centroids, dtype=torch.float32)
    forget = embeddings[list(chosen.forget_train)]
    retain = centroids[list(chosen.retain_train[:20])]
    return baselines.uce(
        model.denoiser, model.condition, forget, centroids[anchor.identity], retain
    )


def _siss(model: FaceModel, people: Identities, chosen: Split, folder: Path, quiet: bool) -> Any:
    """SISS needs pictures: the gallery's, drawn again, of the target and of the others."""
    faces, _, _ = pictures(model)
    latents = model.codec.encode(faces)
    embeddings = torch.tensor(people.embeddings, dtype=torch.float32)
    gone = list(chosen.forget_train)
    kept = np.flatnonzero(np.isin(people.labels, chosen.retain_train))
    return baselines.siss(
        model,
        latents[gone],
        embeddings[gone],
        latents[kept],
        embeddings[kept],
        folder,
        rate=1e-4,
        quiet=quiet,
    )


def _anchor_law(
    model: FaceModel,
    people: Identities,
    cosines: Sequence[float],
    etas: Sequence[float],
    folder: Path,
    quiet: bool,
) -> dict[str, Any]:
    """With η = 0 the target's similarity follows the anchor's cosine; the fitted slope."""
    chosen = split(people, 0)
    points = []
    for cosine in cosines:
        anchor = _nearest_anchor(people, chosen, cosine)
        examination = Examination(model, people, chosen, anchor)
        row = [anchor.cosine]
        for eta in etas:
            settings = replace(BASE, eta=eta)
            place = folder / f"cosine{cosine:g}-eta{eta:g}"
            student = unlearn(model, people, chosen, anchor, settings, FACES, place, quiet=quiet)
            figures = examination.figures(student)
            row += [figures.forget_similarity, figures.anchor_share]
        points.append(row)
    table = np.array(points)
    columns = ["cosine", *(f"{name} η {eta:g}" for eta in etas for name in ("ISM", "at anchor"))]
    slope = float(np.polyfit(table[:, 0], table[:, columns.index("ISM η 0")], 1)[0])
    return {"slope at η 0": slope, "columns": columns, "points": np.round(table, 4).tolist()}


def _nearest_anchor(people: Identities, chosen: Split, cosine: float) -> Anchor:
    cosines = people.centroids @ people.centroids[chosen.target]
    best = min(chosen.retain_train, key=lambda each: abs(cosines[each] - cosine))
    return Anchor(best, float(cosines[best]))


def _mean(figures: list[Figures]) -> Figures:
    values = np.array([list(asdict(each).values()) for each in figures])
    return Figures(*values.mean(axis=0).tolist())


def _error(figures: list[Figures]) -> dict[str, float]:
    values = np.array([list(asdict(each).values()) for each in figures])
    error = values.std(axis=0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0 * values[0]
    return dict(zip(asdict(figures[0]), np.round(error, 4).tolist(), strict=True))
