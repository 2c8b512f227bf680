"""A report's values as a page of Markdown tables."""

from __future__ import annotations

from typing import Any


def tables(report: dict[str, Any]) -> str:
    """The whole page. `report` is what report.json holds."""
    lines = [f"# Evaluation of {report['model']}", "", f"Weights {report['sha256'][:16]}.", ""]
    followed = report["notes"]
    settings = ", ".join(f"{key} {value}" for key, value in report["settings"].items())
    lines += [
        f"## Notes and beat, {len(followed['pieces'])} held-out pieces of {report['seconds']:g} s",
        "",
        f"Judge: {followed['judge']}. Settings: {settings}.",
        "",
        "| sound | chroma F1 | by chance | pitch F1 | onset F1 | by chance | beat F1 | tempo ±2 % "
        "| seam flux |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    columns = (
        "chroma_f1", "chance_chroma_f1", "pitch_f1", "onset_f1", "chance_onset_f1", "beat_f1",
        "tempo_within_2_percent", "seam_flux_ratio",
    )  # fmt: skip
    for source, row in followed["total"].items():
        lines.append(f"| {source} | " + " | ".join(f"{row[key]:.3f}" for key in columns) + " |")
    lines += [
        "",
        f"Latents beside the real renders': Fréchet distance {followed['latent_frechet']}, "
        f"ratio of deviations {followed['latent_std_ratio']}. Real-time factor on one thread: "
        f"{followed['real_time_factor_one_thread']}.",
        "",
    ]
    for name, codec in report["codec"].items():
        lines += [
            f"## Codec on held-out {name} ({codec['seconds']} s)",
            "",
            "| | kbit/s | log-mel dB | multi-resolution STFT | SI-SDR dB | average spectrum dB |",
            "|---|---|---|---|---|---|",
        ]
        for row in codec["rows"]:
            rate = "" if row["kilobits"] is None else row["kilobits"]
            lines.append(
                f"| {row['name']} | {rate} | {row['log_mel_db']:.2f} | {row['stft']:.3f} | "
                f"{row['si_sdr_db']:.1f} | {row['average_mel_db']:.2f} |"
            )
        tone, equal = codec["grid_tone_db"], codec["equal_opus_kilobits"]
        if equal is not None:
            lines += ["", f"Opus has the codec's log-mel distance at {equal} kbit/s."]
        lines += [
            "",
            f"Multiples of the frame rate stand out by {tone['codec']} dB, in the original by "
            f"{tone['original']} dB. Tone most added: {codec['new_tone']['hertz']} Hz, "
            f"{codec['new_tone']['db']} dB above its surroundings.",
            "",
        ]
    if report["rollouts"]:
        lines += [
            "## Long rollouts",
            "",
            "| piece | s | seam flux | loudness drift dB | of real dB | latent FD last/first "
            "| beat F1 | tempo error |",
            "|---|---|---|---|---|---|---|---|",
        ]
    for row in report["rollouts"]:
        lines.append(
            f"| {row['piece']} | {row['seconds']:g} | {row['seam_flux_ratio']:.3f} | "
            f"{row['loudness_drift_db']:+.2f} | {row['loudness_drift_of_real_db']:+.2f} | "
            f"{row['latent_frechet_last_over_first']:.2f} | {row['beat_f1']:.3f} | "
            f"{row['tempo_error']:.3f} |"
        )
    return "\n".join(lines) + "\n"
