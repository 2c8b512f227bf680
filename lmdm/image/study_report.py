"""The study's figures as tables and plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmdm.config import write_json
from lmdm.image.study import Study
from lmdm.image.study_plots import plot_convergence, plot_variants
from lmdm.weights import write_beside

FIGURES = (
    "psnr",
    "ssim",
    "perceptual",
    "frechet_judge",
    "frechet_pixels",
    "psnr_shuffle",
    "psnr_zero",
    "parameters",
)


def mean_and_error(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard error over seeds (None for one seed), and how many."""
    array = np.array(values, dtype=float)
    error = float(array.std(ddof=1) / len(array) ** 0.5) if len(array) > 1 else None
    return {"mean": float(array.mean()), "error": error, "seeds": len(array)}


def summary(study: Study) -> dict[str, Any]:
    """Everything that is known so far."""
    results = study.results()
    stage1, curves = {}, {}
    for key, entries in results.items():
        variant, _, stage = key.partition("/")
        if stage == "1":
            stage1[variant] = {
                name: mean_and_error([entry[name] for entry in entries])
                for name in FIGURES
                if name in entries[0]
            }
            for name in ("probe", "probe_with_queries"):
                if name in entries[0]:  # the same folds for every seed: the error is over folds
                    folds = np.mean([entry[name] for entry in entries], axis=0)
                    stage1[variant][name] = mean_and_error(folds.tolist()) | {"seeds": len(entries)}
        else:
            names = [name for name in entries[0]["curve"][0] if name.startswith("frechet")]
            curves[variant] = [
                {"step": points[0]["step"]}
                | {name: mean_and_error([point[name] for point in points]) for name in names}
                for points in zip(*(entry["curve"] for entry in entries), strict=True)
            ]
    pairs = list(zip(results.get("rae/1", []), results.get("decq/1", []), strict=False))
    gains = [two["psnr"] - one["psnr"] for one, two in pairs]
    return {
        "stage1": stage1,
        "stage2": curves,
        "psnr_gain": mean_and_error(gains) if gains else None,
        "plan": {name: getattr(study.plan, name) for name in study.plan.__dataclass_fields__},
        "backbone": study.backbone.name,
        "taps": list(study.base.taps),
        "pictures": {"train": len(study.train), "test": len(study.test), "probe": len(study.probe)},
    }


def write_report(study: Study) -> dict[str, Any]:
    """report.json, report.md and the plots, in the study's folder."""
    figures = summary(study)
    if figures["stage1"]:
        plot_variants(figures, study.out / "variants.png")
    if figures["stage2"]:
        plot_convergence(figures, study.out / "convergence.png")
    write_json(study.out / "report.json", figures)
    write_beside(study.out / "report.md", lambda part: part.write_text(as_markdown(figures)))
    return figures


def as_markdown(figures: dict[str, Any]) -> str:
    """Tables: one row a variant, one row a checkpoint."""
    shown = (
        "psnr",
        "ssim",
        "perceptual",
        "frechet_judge",
        "frechet_pixels",
        "psnr_shuffle",
        "probe",
    )
    lines = ["| variant | seeds | " + " | ".join(shown) + " | probe with q | parameters |"]
    lines.append("|" + "---|" * (len(shown) + 4))
    for variant, row in figures["stage1"].items():
        cells = [_cell(row.get(name)) for name in (*shown, "probe_with_queries")]
        seeds, size = row["psnr"]["seeds"], int(row["parameters"]["mean"])
        lines.append(f"| {variant} | {seeds} | " + " | ".join(cells) + f" | {size:,} |")
    for variant, points in figures["stage2"].items():
        names = [name for name in points[0] if name != "step"]
        lines += ["", f"| {variant}: steps | " + " | ".join(names) + " |"]
        lines.append("|" + "---|" * (len(names) + 1))
        for point in points:
            cells = [_cell(point[name]) for name in names]
            lines.append(f"| {point['step']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: dict[str, Any] | None) -> str:
    if value is None:
        return "–"
    digits = 2 if abs(value["mean"]) >= 2 else 4
    error = "" if value["error"] is None else f" ± {value['error']:.{digits}f}"
    return f"{value['mean']:.{digits}f}{error}"
