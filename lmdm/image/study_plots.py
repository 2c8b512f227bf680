"""The study as pictures: likeness of every variant, and convergence of stage 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmdm.figures import new_figure, write_figure

BLUE, RED, GREY, GREEN = "#4477aa", "#cc6677", "#888888", "#117733"


def plot_variants(figures: dict[str, Any], path: Path) -> None:
    """PSNR of every variant of stage 1; lines are standard errors over seeds."""
    rows = list(figures["stage1"].items())[::-1]
    figure = new_figure(7, 0.35 * len(rows) + 1.2)
    axis = figure.subplots()
    for height, (variant, row) in enumerate(rows):
        colour = {"rae": RED, "decq": BLUE}.get(variant, GREY)
        value = row["psnr"]
        axis.errorbar(value["mean"], height, xerr=value["error"] or 0, fmt="o", color=colour)
        axis.annotate(
            f"{value['mean']:.2f}  ({value['seeds']})", (value["mean"], height), (8, -3),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    axis.set_yticks(range(len(rows)), [variant for variant, _ in rows])
    axis.set_xlabel("PSNR on held-out pictures, dB (number of seeds); lines: standard error")
    axis.margins(x=0.2)
    axis.grid(axis="x", alpha=0.3)
    write_figure(path, figure)


def plot_convergence(figures: dict[str, Any], path: Path) -> None:
    """Fréchet distance of generated pictures against steps, with the reconstructions' own."""
    figure = new_figure(6, 3.6)
    axis = figure.subplots()
    curves = [
        ("rae", "frechet_judge", "RAE", RED, "-"),
        ("decq", "frechet_judge", "DecQ, joint", BLUE, "-"),
        ("decq", "frechet_judge_without_queries", "DecQ, queries dropped", GREEN, "--"),
    ]
    for variant, name, label, colour, style in curves:
        points = figures["stage2"].get(variant)
        if not points:
            continue
        steps = [point["step"] for point in points]
        means = [point[name]["mean"] for point in points]
        errors = [point[name]["error"] or 0 for point in points]
        axis.errorbar(
            steps, means, yerr=errors, label=f"{label} ({points[0][name]['seeds']} seeds)",
            color=colour, linestyle=style, marker="o", markersize=3, capsize=3,
        )  # fmt: skip
    for variant, colour in (("rae", RED), ("decq", BLUE)):
        floor = figures["stage1"].get(variant)
        if floor:
            axis.axhline(floor["frechet_judge"]["mean"], color=colour, linestyle=":", linewidth=1)
    axis.set_xlabel("steps of stage 2 (dotted: what reconstructions reach)")
    axis.set_ylabel("Fréchet distance to held-out pictures")
    axis.set_yscale("log")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3, which="both")
    write_figure(path, figure)
