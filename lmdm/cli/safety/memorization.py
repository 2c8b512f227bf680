"""`lmdm safety memorization`: regions, scores, guarded generation, figures, the experiment."""

from __future__ import annotations

import argparse
import csv
import json
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.safety import light
from lmdm.errors import InputError

if TYPE_CHECKING:
    from lmdm.safety.memorization.models import PromptModel, Sampling
    from lmdm.safety.memorization.region import Region
    from lmdm.safety.memorization.runs import PromptRun
    from lmdm.safety.memorization.watch import Watch

SCORE_FIELDS = ("prompt", "seed", "score", "first", "mean", "label", "active_steps")
LABELS = ("none", "mild", "strong")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    calibrate = _action(actions, "calibrate", "measure how large updates usually are")
    _sampled(calibrate, seeds=1)
    calibrate.add_argument("--out", type=Path, required=True, help="the region, .safetensors")
    calibrate.set_defaults(out_suffixes=(".safetensors",))
    detect = _action(actions, "detect", "score prompts against a region")
    _sampled(detect, seeds=8)
    detect.add_argument("--region", type=Path, required=True, metavar="FILE")
    detect.add_argument("--first", type=shared.whole(1, 1000), default=3, help="early steps (3)")
    detect.add_argument("--out", type=Path, required=True, metavar="DIR")
    generate = _action(actions, "generate", "make images, guarded")
    _sampled(generate, seeds=1)
    generate.add_argument("--region", type=Path, required=True, metavar="FILE")
    generate.add_argument("--mitigate", choices=("adaptive", "none"), default="adaptive")
    generate.add_argument("--mild", type=shared.number(0, 100), default=3.0, help="τ_mild (3)")
    generate.add_argument("--strong", type=shared.number(0, 1000), default=14.0, help="(14)")
    generate.add_argument("--width", type=shared.number(0, 100), default=3.0, help="γ (3)")
    generate.add_argument(
        "--mild-share", type=shared.number(0, 1), default=0.2, help="of steps, for mild (0.2)"
    )
    generate.add_argument("--out", type=Path, required=True, metavar="DIR")
    evaluate = _action(actions, "evaluate", "AUC and its interval from scores and labels")
    evaluate.add_argument("--scores", type=Path, required=True, help="scores.csv of detect")
    evaluate.add_argument("--labels", type=Path, required=True, help="CSV: prompt, memorised 0/1")
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR")
    shared.add_json(evaluate)
    plot = _action(actions, "plot", "z over the sampler's steps, from a detect folder")
    plot.add_argument("folder", type=Path, nargs="+", help="folders that detect wrote")
    plot.add_argument("--out", type=Path, required=True, help=".png")
    plot.set_defaults(out_suffixes=(".png",))
    lamp = _action(actions, "light", "calibrate the memorization light of the live engine")
    light.add_arguments(lamp)
    experiment = _action(actions, "experiment", "digits with planted duplicates, whole")
    experiment.add_argument("--out", type=Path, required=True, metavar="DIR")
    experiment.add_argument("--duplicates", type=shared.whole(1, 1000), default=10)
    experiment.add_argument("--seeds", type=shared.whole(1, 100), default=3, help="trainings (3)")
    experiment.add_argument("--training-steps", type=shared.whole(1, 10**6), default=4000)
    shared.add_json(experiment)


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    added = actions.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    assert isinstance(added, argparse.ArgumentParser)
    return added


def _sampled(parser: argparse.ArgumentParser, seeds: int) -> None:
    """What every action that samples wants to know."""
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help="a folder: a Stable Diffusion pipeline of diffusers, or a trained digits experiment",
    )
    parser.add_argument("--prompts", type=Path, required=True, help="text file, one a line")
    parser.add_argument("--scheduler", choices=("ddim", "pndm"), default="ddim")
    parser.add_argument("--steps", type=shared.whole(2, 1000), default=50, help="(50)")
    parser.add_argument("--guidance", type=shared.number(0, 100), default=7.5, help="(7.5)")
    parser.add_argument(
        "--seeds", type=shared.whole(1, 256), default=seeds, help=f"trajectories ({seeds})"
    )
    parser.add_argument("--device", default="cpu")
    shared.add_shard(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs one action; what came of it."""
    actions = {
        "calibrate": _calibrate,
        "detect": _detect,
        "generate": _generate,
        "evaluate": _evaluate,
        "plot": _plot,
        "experiment": _experiment,
        "light": light.calibrate_light,
    }
    part = "shard" in options and not shared.shard_of(options).whole
    action = _part if part and options.action != "light" else actions[options.action]
    return action(options)


def _model(options: argparse.Namespace) -> PromptModel:
    from lmdm.safety.memorization.digits import DigitsModel
    from lmdm.safety.memorization.models import StableDiffusion

    folder: Path = options.model
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give a model's folder")
    if (folder / "denoiser.safetensors").exists():
        return DigitsModel.load(folder)
    return StableDiffusion.load(folder, options.device)


def _sampling(options: argparse.Namespace) -> Sampling:
    from lmdm.safety.memorization.models import Sampling

    return Sampling(options.scheduler, options.steps, options.guidance)


def _region(options: argparse.Namespace, model: PromptModel) -> Region:
    from lmdm.safety.memorization.region import Region

    region = Region.load(options.region)
    region.check(model.setting(_sampling(options)))
    return region


def _runs(options: argparse.Namespace, model: PromptModel, watch: Watch) -> list[PromptRun]:
    from lmdm.safety.memorization.runs import read_prompts, run_prompts

    folder = options.out / "traces"
    if options.action == "calibrate":
        folder = options.out.with_name(f"{options.out.name}.traces")
    prompts, seeds, shard = (
        read_prompts(options.prompts),
        range(options.seeds),
        shared.shard_of(options),
    )
    return run_prompts(model, prompts, seeds, _sampling(options), watch, folder, shard=shard)


def _watch(options: argparse.Namespace, model: PromptModel) -> Watch:
    """What sees the steps of an action, and guards them if that is its business."""
    from lmdm.safety.memorization.mitigation import Mitigation
    from lmdm.safety.memorization.watch import Watch

    if options.action == "calibrate":
        return Watch()
    mitigation = None
    if options.action == "generate" and options.mitigate == "adaptive":
        mitigation = Mitigation(options.mild, options.strong, options.width, options.mild_share)
    return Watch(_region(options, model), mitigation)


def _part(options: argparse.Namespace) -> dict[str, Any]:
    """One process's share of the prompts."""
    model = _model(options)
    return shared.shard_of(options).said(
        len(_runs(options, model, _watch(options, model))), "prompts"
    )


def _calibrate(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.memorization.region import calibrate, check_count
    from lmdm.safety.memorization.runs import read_prompts

    check_count(len(read_prompts(options.prompts)) * options.seeds)
    model = _model(options)
    runs = _runs(options, model, _watch(options, model))
    traces = [trace for run in runs for trace in run.norms]
    region = calibrate(traces, model.setting(_sampling(options)))
    region.save(options.out)
    return {"region": str(options.out), "trajectories": region.trajectories, "steps": region.steps}


def _detect(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from lmdm.safety.memorization.evaluation import mean_scores, trajectory_scores
    from lmdm.weights import write_beside

    model = _model(options)
    watch = _watch(options, model)
    region = watch.region
    assert region is not None
    runs = _runs(options, model, watch)
    rows: list[dict[str, Any]] = []
    trace_lines = []
    for run in runs:
        z = region.profile(run.norms).numpy()
        figures = zip(
            trajectory_scores(z), trajectory_scores(z, options.first), mean_scores(z), strict=True
        )
        for seed, (score, first, mean) in enumerate(figures):
            rows.append(
                {
                    "prompt": run.prompt,
                    "seed": seed,
                    "score": round(float(score), 4),
                    "first": round(float(first), 4),
                    "mean": round(float(mean), 4),
                    "label": LABELS[int(run.labels[seed])],
                    "active_steps": int(run.active[seed].sum()),
                }
            )
            steps = {"prompt": run.prompt, "seed": seed, "z": np.round(z[seed], 4).tolist()}
            trace_lines.append(json.dumps(steps))
    write_beside(options.out / "scores.csv", lambda part: _write_csv(part, rows))
    write_beside(
        options.out / "trace.jsonl", lambda part: part.write_text("\n".join(trace_lines) + "\n")
    )
    labelled = sum(row["label"] != "none" for row in rows)
    return {
        "scores": str(options.out / "scores.csv"),
        "trajectories": len(rows),
        "labelled": labelled,
        "largest score": max(row["score"] for row in rows),
    }


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, SCORE_FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def _generate(options: argparse.Namespace) -> dict[str, Any]:
    from PIL import Image

    from lmdm.weights import write_beside

    model = _model(options)
    runs = _runs(options, model, _watch(options, model))
    for index, run in enumerate(runs):
        for seed, pixels in enumerate(run.images):
            path = options.out / f"{index:06d}-{seed:03d}.png"
            write_beside(path, partial(Image.fromarray(pixels).save, format="PNG"))
    touched = sum(int(run.active.any(dim=1).sum()) for run in runs)
    images = sum(len(run.images) for run in runs)
    return {"images": images, "acted on": touched, "folder": str(options.out)}


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    import numpy as np

    from lmdm.safety.memorization import plots
    from lmdm.safety.memorization.evaluation import separation
    from lmdm.weights import write_beside

    labels = {
        row["prompt"]: row["memorised"] for row in _read_csv(options.labels, "prompt", "memorised")
    }
    groups: dict[bool, dict[str, list[float]]] = {True: {}, False: {}}
    for row in _read_csv(options.scores, "prompt", "score"):
        prompt = row["prompt"]
        if prompt not in labels:
            raise InputError(f"{options.labels} has no label for the prompt {prompt!r}")
        if labels[prompt] not in ("0", "1"):
            raise InputError(f"{options.labels}: memorised is 0 or 1, not {labels[prompt]!r}")
        groups[labels[prompt] == "1"].setdefault(prompt, []).append(_score(row, options.scores))
    yes, no = (
        {prompt: np.array(values) for prompt, values in groups[side].items()}
        for side in (True, False)
    )
    report = asdict(separation(yes, no))
    options.out.mkdir(parents=True, exist_ok=True)
    plots.histogram(
        options.out / "scores.png",
        {"memorised": np.concatenate(list(yes.values())), "others": np.concatenate([*no.values()])},
    )
    text = json.dumps(report, indent=1)
    write_beside(options.out / "report.json", lambda part: part.write_text(text))
    return report


def _score(row: dict[str, str], path: Path) -> float:
    try:
        value = float(row["score"])
    except (ValueError, TypeError):  # TypeError: the line ends before its score
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path}: {row['score']!r} is no score of the prompt {row['prompt']!r}")
    return value


def _read_csv(path: Path, *needed: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path} has no column {missing[0]!r}; its first line names them")
            return list(reader)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{path} is not CSV text: {problem}") from None


def _plot(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from lmdm.safety.memorization import plots

    groups = {}
    for folder in options.folder:
        path = folder / "trace.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            z = np.array([json.loads(line)["z"] for line in lines], np.float64)
            if z.ndim != 3 or not z.size or not np.isfinite(z).all():
                raise ValueError("not [N, K, 3] numbers")
            groups[folder.name] = z
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} is not a trace that detect wrote") from None
    plots.profiles(options.out, groups)
    return {"plot": str(options.out)}


def _experiment(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.memorization.digits import DigitsConfig
    from lmdm.safety.memorization.experiment import experiment

    config = DigitsConfig(duplicates=options.duplicates, steps=options.training_steps)
    report = experiment(options.out, config, seeds=range(options.seeds))
    return {"report": str(options.out / "report.json"), **report["mean over seeds"]}
