"""The codec's part of a report: distances and average spectra, Opus beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluate import plots
from training.evaluate.codec import CodecReport, Excerpt, evaluate_codec, recorded_excerpts
from training.evaluate.pieces import SAMPLE_RATE, Piece
from training.evaluate.quality import Quality

SECONDS = 10.0  # of each excerpt
PIECES, RECORDED = 8, 8  # excerpts of each kind


def evaluate_codecs(
    codec: Any, pieces: list[Piece], recorded: Path | None, out: Path, quality: Quality | None
) -> dict[str, dict[str, object]]:
    """The codec on test renders and, where given, on held-out recordings."""
    length = round(SECONDS * SAMPLE_RATE)
    sets = {
        "renders": [Excerpt(p.name, p.audio[:length]) for p in pieces[:PIECES]],
    }
    if recorded is not None:
        sets["recordings"] = recorded_excerpts(recorded, RECORDED, SECONDS)
    reports: dict[str, dict[str, object]] = {}
    for name, excerpts in sets.items():
        if not excerpts:
            continue
        report: CodecReport = evaluate_codec(codec, excerpts, quality)
        spacing = codec.sample_rate / codec.frame_samples
        title = f"average spectrum of {name}, {report.seconds:.0f} s"
        plots.average_spectra(out / f"spectrum-{name}.png", report.spectra, spacing, title)
        reports[name] = report.to_dict()
    return reports
