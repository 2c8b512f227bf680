"""A report as text and pictures; its figures are report.json's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluate import plots

TABLES = (
    ("Music, and how it drifts", (
        ("patches", "patches"), ("fad_all", "FAD"), ("fad_over_codec", "FAD / codec's"),
        ("fad_last_over_first", "last / first"), ("fad_slope_per_minute", "FAD slope/min"),
        ("stft", "STFT distance"), ("latent_kl_mean", "latent KL"),
        ("latent_kl_slope_per_minute", "KL slope/min"), ("prompt_adherence", "prompt"),
        ("real_time_factor", "RTF"),
    )),
    ("Sound, last window less first (level: less the real piece's)", (
        ("level_db_mean", "level dB"), ("level_db_drift", "level drift dB"),
        ("level_db_drift_size", "its size dB"), ("loudness_db_drift", "own loudness dB"),
        ("centroid_hz_drift", "centroid Hz"), ("treble_db_drift", "treble dB"),
        ("crest_db_drift", "crest dB"),
        ("width_drift", "width"), ("seam_flux_ratio", "seam"),
    )),
    ("What was asked, as F1", (
        ("note_chroma_f1", "chroma"), ("note_chroma_f1_chance", "by chance"),
        ("note_pitch_f1", "pitch"), ("note_onset_f1", "onset"), ("chord_f1", "chords"),
        ("chord_f1_chance", "by chance"), ("beat_f1", "beat"),
        ("beat_f1_madmom", "beat (madmom)"), ("tempo_error_most", "most tempo error"),
    )),
)  # fmt: skip
CODEC = (
    ("log_mel_db", "log-mel dB"), ("stft", "multi-resolution STFT"), ("si_sdr_db", "SI-SDR dB"),
    ("average_mel_db", "average spectrum dB"),
)  # fmt: skip
PICTURES = ("fad", "latent_kl_per_block", "loudness_db", "level_db", "centroid_hz", "treble_db")


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Lines of a Markdown table; None is an empty cell."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [f"{v:.4g}" if isinstance(v, float) else "" if v is None else str(v) for v in row]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def markdown(report: dict[str, Any]) -> str:
    """The report as text."""
    lines = ["# Evaluation", ""]
    for stage in ("before", "after"):
        if report[stage]:
            lines += [f"{stage}: {report[stage]['name']} {report[stage]['sha256'][:12]}", ""]
    if report.get("rows"):
        patches = next(iter(report["rows"].values()))["reference_patches"]
        lines += [
            f"{len(report['pieces'])} {report['split']} pieces x {report['seeds']} seeds x "
            f"{report['seconds']:g} s; windows of {report['window_seconds']:g} s. Fréchet "
            f"distances (FAD) to {patches} patches of held-out real music.",
            "",
            f"Embedding: {report['embedding']}. Notes: {report['note_judge']}. "
            f"Beats: {report['beat_judge']}. Chords: {report['chord_judge']}. "
            f"Prompts: {report['prompt_judge']}.",
            "",
            f"Guidance keeps {report['guidance_parallel']:g} of its part along the sound.",
            "",
        ]
        for title, columns in TABLES:
            head = ["row", *(name for _, name in columns)]
            cells = [[name, *(row.get(key) for key, _ in columns)]
                     for name, row in report["rows"].items()]  # fmt: skip
            lines += [f"## {title}", "", *table(head, cells)]
    for name, codec in report.get("codec", {}).items():
        head = ["", "kbit/s", *(title for _, title in CODEC), codec["quality_judge"]]
        cells = [
            [row["name"], row["kilobits"], *(row[key] for key, _ in CODEC), row["quality"]]
            for row in codec["rows"]
        ]
        equal, tone = codec["equal_opus_kilobits"], codec["grid_tone_db"]
        lines += [
            f"## Codec on {name} ({codec['seconds']} s)", "", *table(head, cells),
            f"Opus of equal log-mel distance: {equal} kbit/s. Tone at the frame rate: "
            f"{tone['codec']} dB (original {tone['original']}). Decoding takes "
            f"{codec['decode_real_time_factor']} of the sound's time.", "",
        ]  # fmt: skip
    if report.get("controls"):
        head = ["control", "unit", "asked: measured", "correlation", "of real labels"]
        cells = [
            [name, each["unit"], ", ".join(f"{k}: {v}" for k, v in each["measured"].items()),
             each["correlation"], each["real"]["correlation"]]
            for name, each in report["controls"].items()
        ]  # fmt: skip
        lines += ["## Controls", "", *table(head, cells)]
    if report.get("accompaniment"):
        agreement = report["accompaniment"]["agreement"]
        cells = [[name, each["chroma"], each["rhythm"]] for name, each in agreement.items()]
        lines += [
            "## Accompaniment: agreement with an input, by blocks of it seen ahead", "",
            *table(["pairing", "chroma", "rhythm"], cells),
        ]  # fmt: skip
    if report.get("prompts"):
        found = report["prompts"]
        cells = [["by chance", None, found["chance"]]]
        cells += [[k, found[k]["sounds"], found[k]["accuracy"]]
                  for k in ("real", "codec", "model_asked")]  # fmt: skip
        lines += ["## Prompts: instrument family, by a probe", "",
                  *table(["sound", "sounds", "accuracy"], cells)]  # fmt: skip
    for name in pictures_of(report):
        lines += [f"![{name.replace('_', ' ')}]({name}.png)", ""]
    return "\n".join(lines)


def pictures_of(report: dict[str, Any]) -> list[str]:
    """Names of the pictures that a report has beside it."""
    names = [*PICTURES] if report.get("rows") else []
    names += [f"spectrum-{name}" for name in report.get("codec", {})]
    return names + (["accompaniment"] if report.get("accompaniment") else [])


def pictures(report: dict[str, Any], out: Path) -> None:
    """OUT/FIGURE.png: one figure by time, of every row; the accompaniment's curve."""
    for figure in PICTURES if report.get("rows") else ():
        curves = {name: row[figure] for name, row in report["rows"].items()}
        plots.curves(out / f"{figure}.png", curves, report["seconds"], figure)
    if report.get("accompaniment"):
        plots.agreement(out / "accompaniment.png", report["accompaniment"]["agreement"])
