"""`lmdm video flowlong render|plan|evaluate`."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.video import common
from lmdm.errors import InputError
from lmdm.outputs import check_file

if TYPE_CHECKING:
    from lmdm.video.flowlong.geometry import WindowGeometry
    from lmdm.video.flowlong.models import LongVideoModel, Run
    from lmdm.video.flowlong.sampler import WindowState
    from lmdm.video.pipelines import RenderDefaults

VARIANTS = ("flowlong", "ode", "sde", "xt", "own-noise", "indep")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions."""
    actions = parser.add_subparsers(dest="action", metavar="render|plan|evaluate", required=True)
    render = actions.add_parser("render", help="make a long video")
    render.set_defaults(run_action=_render)
    _add_model(render)
    _add_geometry(render)
    render.add_argument("--out", type=Path, required=True, metavar="FILE", help=".mp4 or .gif")
    render.add_argument("--variant", choices=VARIANTS, default="flowlong")
    render.add_argument(
        "--tstar", type=shared.number(0, 1), default=0.6, metavar="T",
        help="noise level down to which steps are stochastic (0.6)",
    )  # fmt: skip
    render.add_argument("--steps", type=shared.whole(1, 1000), metavar="N")
    render.add_argument("--shift", type=shared.number(0.01, 100), metavar="X")
    render.add_argument("--guidance", type=shared.number(0, 50), metavar="G")
    render.add_argument("--prompt", default="", metavar="TEXT")
    render.add_argument("--negative", default="", metavar="TEXT")
    render.add_argument(
        "--timeline", type=Path, metavar="FILE",
        help='prompts by section: JSON, [{"seconds": 0, "prompt": "..."}, ...]',
    )  # fmt: skip
    render.add_argument("--microbatch", type=shared.whole(0, 4096), default=0, metavar="K")
    render.add_argument("--shared-init", choices=("on", "off"), default="off")
    render.add_argument("--height", type=shared.whole(8, 4096), metavar="PIXELS")
    render.add_argument("--width", type=shared.whole(8, 4096), metavar="PIXELS")
    render.add_argument(
        "--resume", type=Path, metavar="FILE",
        help="where the state is kept, and gone on from (beside the output)",
    )  # fmt: skip
    common.add_seed(render)
    common.add_device(render)
    common.add_report(render)

    plan = actions.add_parser("plan", help="windows, forward passes and memory; makes nothing")
    plan.set_defaults(run_action=_plan)
    _add_geometry(plan)
    plan.add_argument("--temporal", type=shared.whole(1, 64), default=4, metavar="N",
                      help="frames a latent frame (4; LTX 8, base 1)")  # fmt: skip
    plan.add_argument("--steps", type=shared.whole(1, 1000), default=50, metavar="N")
    plan.add_argument("--guidance", type=shared.number(0, 50), default=5.0, metavar="G")
    plan.add_argument("--tstar", type=shared.number(0, 1), default=0.6, metavar="T")
    plan.add_argument("--shift", type=shared.number(0.01, 100), default=5.0, metavar="X")
    plan.add_argument(
        "--latent", default="16x60x104", metavar="CxHxW", help="of one latent frame (16x60x104)"
    )
    shared.add_json(plan)

    evaluate = actions.add_parser("evaluate", help="the tables, or the figures of a video")
    evaluate.set_defaults(run_action=_evaluate)
    evaluate.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="measure these")
    _add_model(evaluate)
    _add_geometry(evaluate)
    evaluate.add_argument("--seeds", type=shared.whole(2, 10000), default=100, metavar="N")
    evaluate.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows of the table")
    evaluate.add_argument("--plot", type=Path, metavar="FILE", help="the table as a PNG")
    common.add_report(evaluate, "flowlong.report.json")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="analytic", metavar="M",
        help="analytic, a folder of a base or of a diffusers pipeline, or hub:ORG/NAME",
    )  # fmt: skip


def _add_geometry(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("windows, in frames of the video")
    group.add_argument("--seconds", type=shared.duration, metavar="S", help="length of the video")
    group.add_argument("--frames", type=shared.whole(1, 10**6), metavar="N", help="or its frames")
    group.add_argument("--fps", type=shared.number(0.1, 240), metavar="X")
    group.add_argument("--window", type=shared.whole(1, 10**5), metavar="N")
    group.add_argument("--stride", type=shared.whole(1, 10**5), metavar="N")
    group.add_argument("--allow-small-overlap", action="store_true", help="overlap below stride")


# -- render -----------------------------------------------------------------------------------


def _render(options: argparse.Namespace) -> int:
    from lmdm.video.flowlong.kept import keep_state, kept_state
    from lmdm.video.movie import SUFFIXES, write_video
    from lmdm.video.report import write_report

    check_file(options.out, SUFFIXES)
    report_file = common.report_path(options)
    common.one_thread_a_core()
    model = _model(options)
    run = _run(options, model)
    kept = options.resume or options.out.with_suffix(".state.safetensors")
    settings = _settings(options, run)
    state = kept_state(kept, settings)
    resumed = 0 if state is None else state.step
    begun = time.perf_counter()
    with common.progress(run.steps, "flowlong", options.quiet, resumed) as bar:

        def on_step(now: WindowState) -> None:
            keep_state(kept, now, settings)
            bar.update(now.step - bar.n)

        final = state if resumed == run.steps else model.run(run, state, on_step)
    assert final is not None and final.timeline is not None
    sampled = time.perf_counter() - begun
    video = model.picture(final.timeline)
    frames = _wanted_frames(options, model.defaults)
    fps = options.fps or model.defaults.fps
    write_video(options.out, video[:, :frames], fps)
    geometry = run.geometry
    report = {
        "out": options.out,
        "settings": settings,
        "frames": min(frames, video.shape[1]),
        "fps": fps,
        "windows": geometry.windows,
        "latent_frames": geometry.timeline,
        "trimmed_latent_frames": geometry.trimmed,
        "trimmed_frames": max(0, video.shape[1] - frames),
        "token_factor": round(geometry.token_factor, 3),
        "resumed_at_step": resumed,
        "seconds_sampling": round(sampled, 2),
        "seconds_decoding": round(time.perf_counter() - begun - sampled, 2),
        "steps": [asdict(each) for each in final.reports],
    }
    write_report(report_file, report)
    kept.unlink(missing_ok=True)
    stochastic = sum(each.branch == "stochastic" for each in final.reports)
    common.tell(
        options, report,
        [
            f"{options.out}: {report['frames']} frames from {geometry.windows} windows, "
            f"{stochastic} of {run.steps} steps stochastic, overlap mismatch "
            f"{final.reports[-1].after:g} (report: {report_file})"
        ],
    )  # fmt: skip
    return 0


def _model(options: argparse.Namespace) -> LongVideoModel:
    from lmdm.video import base, pipelines
    from lmdm.video.flowlong.models import AnalyticModel, BaseModel, PipelineModel

    if options.model == "analytic":
        return AnalyticModel()
    if pipelines.is_pipeline(options.model):
        pipe = pipelines.load_pipeline(options.model, options.device, options.dtype)
        return PipelineModel.of(pipe, options.height, options.width)
    return BaseModel(base.load(Path(options.model)))


def _wanted_frames(options: argparse.Namespace, defaults: RenderDefaults) -> int:
    if options.frames is not None:
        return int(options.frames)
    fps = options.fps or defaults.fps
    return max(1, round((options.seconds or 5 * defaults.window / fps) * fps))


def _geometry(options: argparse.Namespace, defaults: RenderDefaults, frames: int) -> WindowGeometry:
    from lmdm.video.flowlong.geometry import WindowGeometry, latent_frames

    temporal = defaults.temporal
    window, stride = options.window or defaults.window, options.stride or defaults.stride
    if (window - 1) % temporal or stride % temporal:
        raise InputError(
            f"a window of {window} frames and a stride of {stride} are not whole in latent frames: "
            f"the window must be 1 more than a multiple of {temporal}, the stride a multiple"
        )
    return WindowGeometry(
        latent_frames(window, temporal),
        stride // temporal,
        latent_frames(frames, temporal),
        options.allow_small_overlap,
    )


def _run(options: argparse.Namespace, model: LongVideoModel) -> Run:
    from lmdm.video.flowlong.geometry import latent_frames, prompts_of_windows
    from lmdm.video.flowlong.models import Run
    from lmdm.video.flowlong.sampler import FlowLongConfig

    defaults = model.defaults
    geometry = _geometry(options, defaults, _wanted_frames(options, defaults))
    timeline = [(0, options.prompt)]
    if options.timeline is not None:
        if options.prompt:
            raise InputError("give --prompt or --timeline, not both")
        fps = options.fps or defaults.fps
        timeline = [
            (latent_frames(round(seconds * fps) + 1, defaults.temporal) - 1, prompt)
            for seconds, prompt in read_timeline(options.timeline)
        ]
    return Run(
        geometry,
        FlowLongConfig(
            options.variant, options.tstar, options.seed, options.shared_init == "on",
            options.microbatch,
        ),
        prompts_of_windows(geometry, timeline),
        options.negative,
        options.steps or defaults.steps,
        options.shift or defaults.shift,
        defaults.guidance if options.guidance is None else options.guidance,
    )  # fmt: skip


def read_timeline(path: Path) -> list[tuple[float, str]]:
    """(seconds, prompt) entries of a prompt timeline.

    Raises:
        InputError: the file is not a list of {"seconds": number, "prompt": text}.
    """
    entries = common.read_json(path, "timeline")
    shape = 'a list of {"seconds": number, "prompt": text}'
    if not isinstance(entries, list) or not entries:
        raise InputError(f"the timeline {path} must be {shape}")
    read = []
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != {"seconds", "prompt"}:
            raise InputError(f"the timeline {path} has the entry {entry!r}; it must be {shape}")
        seconds, prompt = entry["seconds"], entry["prompt"]
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
            raise InputError(f"the timeline {path}: seconds is {seconds!r}, no number of seconds")
        if not isinstance(prompt, str):
            raise InputError(f"the timeline {path}: prompt is {prompt!r}, no text")
        read.append((float(seconds), prompt))
    return read


def _settings(options: argparse.Namespace, run: Run) -> dict[str, Any]:
    return {
        "model": options.model,
        "geometry": asdict(run.geometry),
        "coupling": asdict(run.coupling) | {"microbatch": 0},  # it changes nothing but memory
        "prompts": list(run.prompts),
        "negative": run.negative,
        "steps": run.steps,
        "shift": run.shift,
        "guidance": run.guidance,
        "height": options.height,
        "width": options.width,
    }


# -- plan -------------------------------------------------------------------------------------


def _plan(options: argparse.Namespace) -> int:
    from lmdm.video import pipelines
    from lmdm.video.flowlong.sampler import FlowLongConfig
    from lmdm.video.timesteps import flow_timesteps

    temporal, defaults = options.temporal, pipelines.WAN
    if temporal != defaults.temporal:
        defaults = replace(
            defaults, temporal=temporal, window=12 * temporal + 1, stride=6 * temporal
        )
    frames = _wanted_frames(options, defaults)
    geometry = _geometry(options, defaults, frames)
    try:
        channels, rows, columns = sizes = [int(part) for part in options.latent.split("x")]
        if min(sizes) < 1:
            raise ValueError
    except ValueError:
        raise InputError(f"--latent {options.latent!r} is not CxHxW, such as 16x60x104") from None
    frame_bytes = 4 * channels * rows * columns
    coupling = FlowLongConfig(t_star=options.tstar)
    timesteps = flow_timesteps(options.steps, options.shift).tolist()[:-1]
    passes = 1 if options.guidance == 1 else 2
    report = {
        "frames": frames,
        "latent_frames": geometry.timeline,
        "window_latents": geometry.window,
        "stride_latents": geometry.stride,
        "overlap_latents": geometry.overlap,
        "windows": geometry.windows,
        "trimmed_latent_frames": geometry.trimmed,
        "forward_passes": geometry.windows * passes * options.steps,
        "token_factor": round(geometry.token_factor, 3),
        "stochastic_steps": sum(coupling.stochastic(t) for t in timesteps),
        "deterministic_steps": sum(not coupling.stochastic(t) for t in timesteps),
        "state_megabytes": round(
            frame_bytes * (geometry.timeline + geometry.windows * geometry.window) / 1e6, 1
        ),
        "tokens_a_window_at_patch_2": geometry.window * (rows // 2) * (columns // 2),
    }
    common.tell(options, report, [f"{name:<28} {value}" for name, value in report.items()])
    return 0


# -- evaluate ---------------------------------------------------------------------------------


def _evaluate(options: argparse.Namespace) -> int:
    from lmdm.video.report import write_report

    report = _measure_videos(options) if options.videos else _table(options)
    write_report(options.report, report)
    lines = [f"report: {options.report}"]
    if "table" in report:
        lines = [*_table_lines(report["table"]), f"verdict: {report.get('verdict')}", *lines]
    else:
        lines = [f"{name}: {figures}" for name, figures in report["videos"].items()] + lines
    common.tell(options, report, lines)
    return 0


def _measure_videos(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.video.flowlong.evaluate import seams, video_figures
    from lmdm.video.flowlong.geometry import WindowGeometry
    from lmdm.video.movie import read_video

    figures = {}
    for path in options.videos:
        video = read_video(path)
        if video.shape[1] < 2:
            raise InputError(f"{path} is a single picture; motion and seams need a video")
        at: list[int] = []
        if options.window is not None:
            stride = options.stride or options.window // 2
            at = seams(
                WindowGeometry(options.window, stride, video.shape[1], options.allow_small_overlap)
            )
        figures[str(path)] = video_figures(video, at)
    return {"videos": figures}


def _table(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.figures import write_figure
    from lmdm.video import pipelines
    from lmdm.video.flowlong import evaluate
    from lmdm.video.flowlong.models import AnalyticModel

    if pipelines.is_pipeline(options.model):
        raise InputError("the tables are of small models; render with this one, then give VIDEO")
    rows = options.rows or list(evaluate.ROWS)
    for row in rows:
        if row not in evaluate.ROWS:
            raise InputError(f"there is no row {row!r}; the rows are {', '.join(evaluate.ROWS)}")
    common.one_thread_a_core()
    model = _model(options)
    frames = options.frames or (67 if isinstance(model, AnalyticModel) else 61)
    geometry = _geometry(options, model.defaults, frames)
    if isinstance(model, AnalyticModel):
        judges, prompt = evaluate.analytic_judges(model.world, geometry), lambda _: ""
        switches = "switches"
    else:
        judges = evaluate.base_judges(geometry, evaluate.natural_detail())
        prompt, switches = evaluate.some_prompt, "colour_changes"
    result: evaluate.Table = {}
    with common.progress(len(rows) * options.seeds, "table", options.quiet) as bar:
        for row, _, result in evaluate.table(  # noqa: B007
            model, geometry, judges, options.seeds, rows, prompt
        ):
            bar.set_postfix(row=row)
            bar.update()
    report: dict[str, Any] = {
        "model": options.model,
        "seeds": options.seeds,
        "geometry": asdict(geometry),
        "table": {
            row: {name: asdict(figure) for name, figure in figures.items()}
            for row, figures in result.items()
        },
    }
    if {"ode", "flowlong t*=0.6", "sde"} <= result.keys():
        report["verdict"] = evaluate.verdict(result, switches)
    if options.plot is not None:
        write_figure(options.plot, evaluate.plot(result))
    return report


def _table_lines(table: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    names = list(next(iter(table.values())))
    lines = [f"{'':<18}" + "".join(f"{name:>18}" for name in names)]
    for row, figures in table.items():
        cells = [f"{each['mean']:.3f} ± {each['error']:.3f}" for each in figures.values()]
        lines.append(f"{row:<18}" + "".join(f"{cell:>18}" for cell in cells))
    return lines
