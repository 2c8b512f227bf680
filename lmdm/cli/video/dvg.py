"""`lmdm video dvg render|plan|ablate`."""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.video import common
from lmdm.errors import InputError
from lmdm.outputs import make_folder

if TYPE_CHECKING:
    from lmdm.video.dvg.models import DvgModel
    from lmdm.video.dvg.planner import BudgetConfig, Choose
    from lmdm.video.dvg.sampler import PlanReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions."""
    actions = parser.add_subparsers(dest="action", metavar="render|plan|ablate", required=True)
    render = actions.add_parser("render", help="make videos under a budget of tokens")
    render.set_defaults(run_action=_render)
    render.add_argument(
        "--model", default="gaussian", metavar="M",
        help="gaussian, a folder of a base or of a Wan pipeline, or hub:ORG/NAME",
    )  # fmt: skip
    what = render.add_mutually_exclusive_group()
    what.add_argument("--prompt", default="", metavar="TEXT")
    what.add_argument("--prompts", type=Path, metavar="FILE", help='JSONL: {"prompt": "..."}')
    render.add_argument("--negative", default="", metavar="TEXT")
    render.add_argument("--content", default="2.5,2.5", metavar="TIME,SPACE",
                        help="correlation lengths of the gaussian model")  # fmt: skip
    render.add_argument("--plan", default="auto", metavar="P",
                        help="auto, random, median, or fixed:s2=.7,t=13 (auto)")  # fmt: skip
    render.add_argument("--noise", choices=("coordinate", "random"), default="coordinate")
    render.add_argument("--guidance", type=shared.number(0, 50), metavar="G")
    render.add_argument("--frames", type=shared.whole(1, 10_000), metavar="N")
    render.add_argument("--height", type=shared.whole(8, 4096), metavar="PIXELS")
    render.add_argument("--width", type=shared.whole(8, 4096), metavar="PIXELS")
    render.add_argument("--fps", type=shared.number(0.1, 240), metavar="X")
    render.add_argument("--compare", action="store_true",
                        help="time the full grid as well (small models)")  # fmt: skip
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the videos")
    _add_budget(render)
    common.add_seed(render)
    common.add_device(render)
    shared.add_shard(render)
    shared.add_json(render)
    render.add_argument("--quiet", action="store_true", help="no progress bar")

    plan = actions.add_parser("plan", help="what a budget can buy; with a sketch, what it would")
    plan.set_defaults(run_action=_plan)
    plan.add_argument("--shape", default="21x60x104", metavar="TxHxW", help="latents (21x60x104)")
    plan.add_argument("--unit", type=shared.whole(1, 64), default=2, metavar="N",
                      help="rows and columns are multiples of it (2: Wan)")  # fmt: skip
    plan.add_argument("--sketch", type=Path, metavar="VIDEO", help="measure its demands")
    _add_budget(plan)
    shared.add_json(plan)

    ablate = actions.add_parser("ablate", help="DVG against other plans at equal density")
    ablate.set_defaults(run_action=_ablate)
    ablate.add_argument("--contents", type=shared.whole(1, 1000), default=12, metavar="N")
    ablate.add_argument("--seeds", type=shared.whole(1, 1000), default=3, metavar="N")
    ablate.add_argument("--named", action="store_true", help="the dossier's three contents instead")
    ablate.add_argument("--plot", type=Path, metavar="FILE", help="errors as a PNG")
    _add_budget(ablate)
    common.add_report(ablate, "dvg.report.json")


def _add_budget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--budget", type=shared.number(0, 1), default=0.5, metavar="B")
    parser.add_argument("--steps", type=shared.whole(4, 1000), default=50, metavar="N")
    parser.add_argument("--transitions", default=".28,.5,.72", metavar="A,B,C")
    parser.add_argument("--shifts", default="7,9,11,11", metavar="A,B,C,D")
    parser.add_argument("--alpha", type=shared.number(0, 100), default=2.6, metavar="A")


def _numbers(text: str, count: int, flag: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise InputError(f"{flag} {text!r} is not {count} numbers with commas between")
    return values


def _budget(options: argparse.Namespace, shape: tuple[int, ...], unit: int) -> BudgetConfig:
    """The budget, refused at once where no plan spends it."""
    from lmdm.video.dvg.planner import BudgetConfig, candidates

    config = BudgetConfig(
        (shape[0], shape[1], shape[2]),
        options.steps,
        options.budget,
        _numbers(options.transitions, 3, "--transitions"),  # type: ignore[arg-type]
        _numbers(options.shifts, 4, "--shifts"),  # type: ignore[arg-type]
        options.alpha,
        unit,
    )
    candidates(config)
    return config


def _choice(options: argparse.Namespace, config: BudgetConfig) -> Choose:
    from lmdm.video.dvg.planner import Action, density, median_action, planned, random_action

    if options.plan == "auto":
        return planned
    if options.plan == "random":
        return lambda c, *_: random_action(c, options.seed)
    if options.plan == "median":
        return lambda c, *_: median_action(c)
    kind, _, rest = options.plan.partition(":")
    parts = dict(part.split("=", 1) for part in rest.split(",") if "=" in part)
    try:
        if kind != "fixed" or parts.keys() != {"s2", "t"}:
            raise ValueError
        action = Action(float(parts["s2"]), int(parts["t"]))
    except ValueError:
        raise InputError(
            f"--plan {options.plan!r} is not auto, random, median, or fixed:s2=.7,t=13"
        ) from None
    if (
        not 0.5 <= action.spatial <= 1
        or not config.sketch_frames <= action.frames <= config.shape[0]
    ):
        raise InputError(
            f"--plan {options.plan!r}: s2 lies in 0.5..1 and t in {config.sketch_frames}.."
            f"{config.shape[0]}"
        )
    spent = density(config, action)
    if abs(spent - config.budget) > 0.02:
        common.warn(f"the fixed plan spends {spent:.3f}, not the budget of {config.budget:g}")
    return lambda *_: action


# -- render -----------------------------------------------------------------------------------


def _render(options: argparse.Namespace) -> int:
    from lmdm.video.dvg.sampler import GrowingGrid
    from lmdm.video.movie import write_video
    from lmdm.video.report import write_report

    prompts = [options.prompt] if options.prompts is None else _read_prompts(options.prompts)
    common.one_thread_a_core()
    model = _model(options)
    choose = _choice(options, model.config)
    folder = make_folder(options.out)
    shard = shared.shard_of(options)
    reports, done = [], 0
    with common.progress(len(shard.share(prompts)) * options.steps, "dvg", options.quiet) as bar:
        for index, prompt in shard.share(list(enumerate(prompts))):
            name = f"{index:04d}"
            settings = _settings(options, prompt)
            earlier = _finished(folder, name, settings)
            if earlier is not None:
                reports.append(earlier)
                bar.update(options.steps)
                continue
            grid = GrowingGrid(
                model.config, choose, noise=options.noise, seed=12345 + options.seed + index
            )
            begun = time.perf_counter()
            latents = model.render(grid, prompt, lambda _: bar.update())
            sampled = time.perf_counter()
            video = model.picture(latents)
            decoded = time.perf_counter()
            write_video(folder / f"{name}.mp4", video, options.fps or model.fps)
            report = {"prompt": prompt, "settings": settings} | facts(grid.report, model.config)
            report |= {
                "seconds_sampling": round(sampled - begun, 3),
                "seconds_decoding": round(decoded - sampled, 3),
            }
            if options.compare:
                report["seconds_full"] = model.full_seconds(prompt, options.seed)
            write_report(folder / f"{name}.json", report)
            reports.append(report)
            done += 1
    if not shard.whole:
        said = shard.said(len(reports), "videos")
        common.tell(options, said, [f"{key} {value}" for key, value in said.items()])
        return 0
    summary = {"videos": reports, "rendered_now": done}
    write_report(folder / "report.json", summary)
    lines = [
        f"{folder / f'{index:04d}.mp4'}: m_s {each['spatial_demand']:.3f}, m_t "
        f"{each['temporal_demand']:.3f} -> s2 {each['action']['spatial']:g}, "
        f"{each['action']['frames']} frames, density {each['realised_density']:.3f}"
        for index, each in enumerate(reports)
    ]
    common.tell(options, summary, lines)
    return 0


def facts(report: PlanReport, config: BudgetConfig) -> dict[str, Any]:
    """A plan's report as JSON: demands, shares, action, what was spent and how long it took."""
    from lmdm.video.dvg.planner import shares, speed_ups

    assert report.spatial_demand is not None and report.temporal_demand is not None
    assert report.action is not None
    share = shares(report.spatial_demand, report.temporal_demand, config.alpha)
    linear, quadratic = speed_ups(config, report.action)
    return {
        "spatial_demand": report.spatial_demand,
        "temporal_demand": report.temporal_demand,
        "shares": list(share),
        "action": asdict(report.action),
        "planned_density": report.planned_density,
        "realised_density": report.realised_density,
        "predicted_speed_up": {"linear": linear, "quadratic": quadratic},
        "shapes": [list(shape) for shape in report.shapes],
        "stage_steps": report.stage_steps,
        "stage_seconds": [round(seconds, 4) for seconds in report.stage_seconds],
        "entering_sigmas": report.entering_sigmas,
    }


def _settings(options: argparse.Namespace, prompt: str) -> dict[str, Any]:
    names = (
        "model", "negative", "content", "plan", "noise", "guidance", "frames", "height", "width",
        "budget", "steps", "transitions", "shifts", "alpha", "seed",
    )  # fmt: skip
    return {"prompt": prompt} | {name: getattr(options, name) for name in names}


def _finished(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a video that an earlier run of the same settings has finished."""
    path = folder / f"{name}.json"
    if not path.exists() or not (folder / f"{name}.mp4").exists():
        return None
    report = common.read_json(path, "report")
    same = isinstance(report, dict) and report.get("settings") == json.loads(json.dumps(settings))
    return report if same else None


def _read_prompts(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"the prompts {path} cannot be read: {problem}") from None
    prompts = []
    for number, line in enumerate(lines, 1):
        try:
            prompts.append(json.loads(line)["prompt"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f'{path}, line {number} is not {{"prompt": "..."}}') from None
        if not isinstance(prompts[-1], str):
            raise InputError(f"{path}, line {number}: the prompt is no text")
    if not prompts:
        raise InputError(f"{path} holds no prompt")
    return prompts


def _model(options: argparse.Namespace) -> DvgModel:
    """By --model; the budget is refused before anything is loaded that takes long."""
    from lmdm.video import base, pipelines
    from lmdm.video.dvg import gaussian, models

    if options.model == "gaussian":
        lengths = _numbers(options.content, 2, "--content")
        if min(lengths) <= 0:
            raise InputError(f"--content {options.content!r}: lengths are above 0")
        if options.prompt or options.prompts:
            raise InputError("the gaussian model hears no prompts; take a base, or leave them out")
        config = _budget(options, gaussian.SHAPE, 1)
        return models.GaussianModel(gaussian.Content(*lengths), config)
    if pipelines.is_pipeline(options.model):
        pipe = pipelines.load_pipeline(options.model, options.device, options.dtype)
        kind = pipelines.kind_of(pipe)
        size = (
            options.frames or kind.window, options.height or kind.height,
            options.width or kind.width,
        )  # fmt: skip
        config = _budget(options, models.wan_grid(pipe, *size), 2)
        guidance = kind.guidance if options.guidance is None else options.guidance
        return models.WanModel(pipe, config, *size, options.negative, guidance)
    network = base.load(Path(options.model))
    unit = network.config.patch[1]
    rows, columns = options.height or base.SIZE, options.width or base.SIZE
    if rows % unit or columns % unit:
        raise InputError(f"height and width must be multiples of {unit}")
    config = _budget(options, (options.frames or base.FRAMES, rows, columns), unit)
    guidance = 2.0 if options.guidance is None else options.guidance
    return models.BaseModel(network, config, options.negative, guidance)


# -- plan -------------------------------------------------------------------------------------


def _plan(options: argparse.Namespace) -> int:
    from lmdm.video.dvg import planner

    try:
        shape = tuple(int(part) for part in options.shape.split("x"))
        if len(shape) != 3:
            raise ValueError
    except ValueError:
        raise InputError(f"--shape {options.shape!r} is not TxHxW, such as 21x60x104") from None
    config = _budget(options, shape, options.unit)
    low, high = planner.valid_budgets(config)
    rows = []
    for action in planner.candidates(config):
        linear, quadratic = planner.speed_ups(config, action)
        rows.append(
            asdict(action) | {"density": planner.density(config, action), "linear": linear,
                              "quadratic": quadratic}
        )  # fmt: skip
    report: dict[str, Any] = {
        "shape": list(shape), "budget": config.budget, "valid_budgets": [low, high],
        "stage_steps": list(config.stage_steps), "sketch_frames": config.sketch_frames,
        "candidates": rows,
    }  # fmt: skip
    lines = [
        f"budgets from {low:.2f} to {high:.2f} can be spent; stages of {config.stage_steps} steps",
        f"{'s2':>5} {'frames':>7} {'density':>8} {'linear':>7} {'quadratic':>10}",
    ]
    lines += [
        f"{row['spatial']:>5g} {row['frames']:>7} {row['density']:>8.3f} {row['linear']:>6.2f}x "
        f"{row['quadratic']:>9.2f}x"
        for row in rows
    ]
    if options.sketch is not None:
        report["sketch"] = sketch = _sketch(options.sketch, config)
        lines.append(
            f"{options.sketch}: m_s {sketch['spatial_demand']:.3f}, m_t "
            f"{sketch['temporal_demand']:.3f} -> s2 {sketch['action']['spatial']:g}, "
            f"{sketch['action']['frames']} frames"
        )
    common.tell(options, report, lines)
    return 0


def _sketch(path: Path, config: BudgetConfig) -> dict[str, Any]:
    """Demands of a video, seen as the first stage would see it, and the action they choose."""
    import torch

    from lmdm.video.dvg.demand import spatial_demand, temporal_demand
    from lmdm.video.dvg.nested import evenly
    from lmdm.video.dvg.planner import Action, planned, shares, stage_shapes
    from lmdm.video.movie import read_video

    frames, rows, columns = stage_shapes(config, Action(0.5, config.sketch_frames))[0]
    video = read_video(path, (rows, columns))
    if video.shape[1] < 2:
        raise InputError(f"{path} has a single frame; a sketch has motion")
    chosen = evenly(range(video.shape[1]), min(frames, video.shape[1]))
    seen = video[:, torch.tensor(chosen)]
    m_s, m_t = spatial_demand(seen), temporal_demand(seen)
    return {
        "spatial_demand": m_s, "temporal_demand": m_t,
        "shares": list(shares(m_s, m_t, config.alpha)),
        "action": asdict(planned(config, m_s, m_t)),
    }  # fmt: skip


# -- ablate -----------------------------------------------------------------------------------


def _ablate(options: argparse.Namespace) -> int:
    from lmdm.figures import new_figure, write_figure
    from lmdm.video.dvg import gaussian
    from lmdm.video.report import write_report

    config = _budget(options, gaussian.SHAPE, 1)
    common.one_thread_a_core()
    named = list(gaussian.NAMED.values())
    contents = named if options.named else gaussian.random_contents(options.contents)
    rows = []
    total = len(contents) * options.seeds * (1 + len(gaussian.policies(config, 0)))
    with common.progress(total, "ablate", options.quiet) as bar:
        for row in gaussian.ablate(contents, options.seeds, config):
            rows.append(row)
            bar.update()
    report = gaussian.summary(rows) | {
        "contents": [asdict(each) for each in contents], "seeds": options.seeds,
        "rows": [asdict(row) for row in rows],
    }  # fmt: skip
    write_report(options.report, report)
    table = report["policies"]
    if options.plot is not None:
        figure = new_figure(6, 3.5)
        axes = figure.subplots()
        axes.barh(list(table), [each["error"] for each in table.values()], color="#4477aa")
        axes.invert_yaxis()
        axes.set_xlabel("spectral error")
        write_figure(options.plot, figure)
    lines = [f"{'policy':<16} {'error':>7} {'above dvg':>18}"]
    lines += [
        f"{name:<16} {each['error']:>7.3f} {each['above_dvg']:>9.3f} ± {each['standard_error']:.3f}"
        for name, each in table.items()
    ]
    common.tell(options, report, [*lines, f"better than: {report['better_than']}"])
    return 0
