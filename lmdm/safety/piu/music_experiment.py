"""Unlearning a style of the starter model, and what a listener who knows the styles then hears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from lmdm.checkpoints import load
from lmdm.errors import InputError
from lmdm.safety.piu.identities import Anchor, anchors, split
from lmdm.safety.piu.metrics import Figures
from lmdm.safety.piu.music import SCOPES, STYLES, MusicSettings, MusicStyles, styles
from lmdm.safety.piu.report import Examination, write_report
from lmdm.safety.piu.unlearning import Settings, unlearn

BASE = Settings(steps=150, batch=4, accumulation=1, rate=2e-4)
SAMPLES = 8
ROWS: Mapping[str, Settings] = {"PIU": BASE, "λ 0": replace(BASE, lam=0.0)}


def experiment(
    folder: Path, style: str = "chiptune", model_name: str = "starter", quiet: bool = False
) -> dict[str, Any]:
    """Runs what is not there yet; writes report.json and report.md.

    Raises:
        InputError: an unknown style, or a model without text prompts.
    """
    names = list(STYLES)
    if style not in names:
        raise InputError(f"there is no style {style!r}; there are {', '.join(names)}")
    model = load(model_name)
    if model.text_encoder is None:
        raise InputError(f"the model {model_name} hears no text, so it has no style to forget")
    people = styles(model.text_encoder.encode)
    music = MusicStyles(model, people, MusicSettings())
    judged = music.fit_judge(people)
    chosen = split(people, names.index(style))
    anchor = min(anchors(people, chosen, tolerance=3.0), key=lambda each: abs(each.cosine - 0.2))
    examination = Examination(music, people, chosen, anchor, SAMPLES, judged=judged)
    rows: dict[str, Figures] = {"original": examination.figures(music.denoiser)}
    for number, (name, settings) in enumerate(ROWS.items()):
        place = folder / f"row{number}"
        student = unlearn(
            music, people, chosen, anchor, settings, SCOPES, place, judged=judged, quiet=quiet
        )
        rows[name] = examination.figures(student)
    facts = _facts(names, style, anchor, examination)
    write_report(folder, rows, facts)
    return {"facts": facts, **{name: asdict(row) for name, row in rows.items()}}


def _facts(
    names: list[str], style: str, anchor: Anchor, examination: Examination
) -> dict[str, Any]:
    between = torch.from_numpy(examination.centroids @ examination.centroids.T)
    return {
        "style": style,
        "anchor": names[anchor.identity],
        "cosine of the prompts": round(anchor.cosine, 4),
        "largest cosine of two styles as heard": round(
            float((between - 2.0 * torch.eye(len(between))).max()), 4
        ),
        "retained, held out": [names[each] for each in examination.chosen.retain_validation],
        "samples": SAMPLES,
        "settings": asdict(BASE),
    }
