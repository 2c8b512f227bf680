"""`lmdm video bernini train-vit|train-planner|train-renderer|cotrain|render|evaluate`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.video import common
from lmdm.errors import InputError
from lmdm.outputs import check_file, make_folder

if TYPE_CHECKING:
    from torch import Tensor

    from lmdm.video.bernini.rendering import Bernini, RenderSettings
    from lmdm.video.bernini.training import Batch

TASKS = ("t2v", "v2v", "r2v", "rv2v")
STAGES = {
    "train-vit": ("stage 0: the visual encoder, on the attributes of scenes", 600),
    "train-planner": ("stage 1: masked iterative planning with a flow head", 1600),
    "train-renderer": ("stage 2: rendering with the true embeddings as the plan", 4800),
    "cotrain": ("stage 3: planner and renderer together, shortly", 500),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions."""
    actions = parser.add_subparsers(
        dest="action", metavar="|".join([*STAGES, "render", "evaluate"]), required=True
    )
    for name, (summary, steps) in STAGES.items():
        stage = actions.add_parser(name, help=summary)
        stage.set_defaults(run_action=_train)
        common.add_training(stage, steps)
        stage.add_argument("--batch", type=shared.whole(1, 4096), default=16, metavar="B")
        if name != "train-vit":
            _add_models(stage)
        if name != "cotrain":  # which goes on from --models
            common.add_start(stage)
    render = actions.add_parser("render", help="plan a video and draw it")
    render.set_defaults(run_action=_render)
    render.add_argument("--task", choices=TASKS, help="(default: what the inputs make it)")
    render.add_argument("--case", type=Path, metavar="FILE",
                        help='JSON: {"task", "prompt", "source", "references"}')  # fmt: skip
    render.add_argument("--prompt", metavar="TEXT")
    render.add_argument("--negative", default="", metavar="TEXT", help="(real renderers)")
    render.add_argument("--source", type=Path, metavar="VIDEO")
    render.add_argument("--ref", type=Path, action="append", default=[], metavar="PICTURE")
    render.add_argument("--renderer", metavar="M",
                        help="a Wan folder or hub:ORG/NAME instead of the toy")  # fmt: skip
    _add_models(render)
    render.add_argument("--plan-steps", type=shared.whole(1, 1000), default=25, metavar="K")
    render.add_argument("--vit-steps", type=shared.whole(1, 1000), default=5, metavar="N")
    render.add_argument("--omega", default="", metavar="txt=4,vid=1.25,img=1.25,tgt=0.5")
    render.add_argument("--omega-scale", type=shared.number(0, 10), metavar="X",
                        help="of all omegas below t = 0.875 (two experts: 0.75)")  # fmt: skip
    render.add_argument("--raw-deltas", action="store_true", help="no APG")
    render.add_argument("--merged", action="store_true", help="source and references at once")
    render.add_argument("--steps", type=shared.whole(1, 1000), default=40, metavar="N")
    render.add_argument("--shift", type=shared.number(0.01, 100), default=5.0, metavar="X")
    render.add_argument("--no-plan", action="store_true")
    render.add_argument("--cot", choices=("none", "text", "visual"), default="none")
    render.add_argument("--save-plan", type=Path, metavar="FILE", help=".safetensors")
    render.add_argument("--load-plan", type=Path, metavar="FILE", help=".safetensors")
    render.add_argument("--frames", type=shared.whole(1, 10_000), default=81, metavar="N")
    render.add_argument("--height", type=shared.whole(8, 4096), default=480, metavar="PIXELS")
    render.add_argument("--width", type=shared.whole(8, 4096), default=832, metavar="PIXELS")
    render.add_argument("--out", type=Path, required=True, metavar="FILE", help=".mp4 or .gif")
    common.add_seed(render)
    common.add_device(render)
    common.add_report(render)

    evaluate = actions.add_parser("evaluate", help="the toy's claims, each with its falsifier")
    evaluate.set_defaults(run_action=_evaluate)
    _add_models(evaluate)
    evaluate.add_argument("--claims", nargs="+", metavar="NAME", help="only these")
    evaluate.add_argument("--count", type=shared.whole(8, 4096), default=64, metavar="N")
    evaluate.add_argument("--plot", type=Path, metavar="FILE", help="the figures as a PNG")
    evaluate.add_argument("--cases", type=Path, metavar="FILE",
                          help="a case of every task, asked and drawn, as a PNG")  # fmt: skip
    common.add_seed(evaluate)
    common.add_report(evaluate, "bernini.report.json")


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", type=Path, metavar="DIR",
                        help="with vit, planner, renderer in it (the program's own)")  # fmt: skip


def _part(options: argparse.Namespace, name: str) -> Path | None:
    return None if options.models is None else options.models / name


def _bernini(options: argparse.Namespace, *, renders: bool = True) -> Bernini:
    from lmdm.video.bernini import planner, renderer, vit
    from lmdm.video.bernini.rendering import Bernini

    return Bernini(
        vit.load(_part(options, "vit")),
        planner.load(_part(options, "planner")),
        renderer.load(_part(options, "renderer")) if renders else None,
    )


# -- training ---------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    """One stage. --out is the models' folder; the stage's part of it is written."""
    import torch

    from lmdm.video import checkpoint
    from lmdm.video.bernini import planner, renderer, training, vit
    from lmdm.video.dit import VideoDiT

    common.one_thread_a_core()
    if options.action == "cotrain":
        return _cotrain(options)
    folder = make_folder(options.out)
    part, size, seed = options.action.removeprefix("train-"), options.batch, options.seed
    frozen = None if part == "vit" else vit.load(_part(options, "vit") or _beside(folder, "vit"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        makers: dict[str, Callable[[], Any]] = {
            "vit": vit.VisualEncoder,
            "planner": planner.Planner,
            "renderer": lambda: VideoDiT(renderer.CONFIG),
        }
        network = makers[part]()
    if options.start_from is not None:
        checkpoint.load_weights(network, options.start_from / part, part)
    loss_of: Callable[[Any, int], Tensor]
    if frozen is None:
        loss_of = lambda net, step: vit.loss_of(net, step, 2 * size, seed)  # noqa: E731
    elif part == "planner":
        loss_of = training.stage_planner(frozen, 2 * size, seed)
    else:
        loss_of = training.stage_renderer(frozen, size, seed)

    def finish() -> dict[str, Any]:
        checkpoint.save(folder / part, part, network, network.config)
        return {"held_out_accuracy": vit.accuracy(network)} if part == "vit" else {}

    return common.train(options, network, loss_of, finish, name=part)


def _cotrain(options: argparse.Namespace) -> int:
    """The joint stage, from the models that the other stages made."""
    from lmdm.video import checkpoint
    from lmdm.video.bernini import training

    folder, whole = make_folder(options.out), _bernini(options)
    renderer = whole.renderer
    assert renderer is not None

    def finish() -> dict[str, Any]:
        parts: dict[str, Any] = {"vit": whole.vit, "planner": whole.planner, "renderer": renderer}
        for name, network in parts.items():
            checkpoint.save(folder / name, name, network, network.config)
        return {}

    stage = training.stage_joint(whole.vit, options.batch, options.seed)
    both = training.Together(whole.planner, renderer)
    return common.train(options, both, stage, finish, name="cotrain")


def _beside(folder: Path, name: str) -> Path | None:
    """The part in the folder itself, if an earlier stage has written it there."""
    return folder / name if (folder / name / "config.json").exists() else None


# -- render -----------------------------------------------------------------------------------


def _render(options: argparse.Namespace) -> int:
    from lmdm.video.movie import SUFFIXES, write_video
    from lmdm.video.report import write_report

    check_file(options.out, SUFFIXES)
    report_file = common.report_path(options)
    if options.save_plan is not None and options.save_plan.suffix != ".safetensors":
        raise InputError(f"--save-plan {options.save_plan} must end in .safetensors")
    if options.save_plan is not None and (options.no_plan or options.renderer):
        raise InputError("--save-plan needs the toy's planner; leave --no-plan and --renderer out")
    _read_case(options)
    task = _task(options)
    common.one_thread_a_core()
    begun = time.perf_counter()
    if options.renderer is None:
        video, facts, fps = _render_toy(options, task)
    else:
        video, facts, fps = _render_wan(options, task)
    write_video(options.out, video, fps)
    report = {
        "out": options.out, "task": task, "prompt": options.prompt,
        "source": options.source, "references": options.ref,
        "frames": video.shape[1], "seconds": round(time.perf_counter() - begun, 2),
    } | facts  # fmt: skip
    write_report(report_file, report)
    more = f"; explicitly: {facts['said']}" if facts.get("said") else ""
    common.tell(options, report, [f"{options.out}: {task}{more} (report: {report_file})"])
    return 0


def _read_case(options: argparse.Namespace) -> None:
    """Fills in what a case file says; flags win."""
    if options.case is None:
        if options.prompt is None:
            raise InputError("give --prompt or --case")
        return
    case = common.read_json(options.case, "case")
    known = {"task", "prompt", "source", "references"}
    if not isinstance(case, dict) or case.keys() - known:
        odd = sorted(case.keys() - known)[0] if isinstance(case, dict) else case
        raise InputError(f"the case {options.case} has {odd!r}; its keys are {sorted(known)}")
    references = case.get("references", [])
    if not isinstance(references, list) or not all(isinstance(each, str) for each in references):
        raise InputError(f"the case {options.case}: references are a list of texts")
    if not all(isinstance(case.get(name), str | None) for name in known - {"references"}):
        raise InputError(f"the case {options.case}: task, prompt and source are texts")
    if case.get("task") not in (None, *TASKS):
        raise InputError(f"the case {options.case}: task is {case['task']!r}, not one of {TASKS}")
    here = options.case.parent
    options.task = options.task or case.get("task")
    options.prompt = (case.get("prompt") or "") if options.prompt is None else options.prompt
    if options.source is None and case.get("source"):
        options.source = here / case["source"]
    options.ref = options.ref or [here / each for each in references]


def _task(options: argparse.Namespace) -> str:
    """What the inputs make it; raises InputError where --task says otherwise."""
    tasks = {
        (False, False): "t2v",
        (True, False): "v2v",
        (False, True): "r2v",
        (True, True): "rv2v",
    }
    task = tasks[options.source is not None, bool(options.ref)]
    if options.task not in (None, task):
        raise InputError(f"--task {options.task}, but the sources given make it {task}")
    return task


def _settings(options: argparse.Namespace, task: str, experts: int) -> RenderSettings:
    from lmdm.video.bernini.guidance import DEFAULTS, Omegas
    from lmdm.video.bernini.rendering import RenderSettings

    omegas = DEFAULTS[task]
    if options.omega:
        omegas = Omegas.parse(options.omega, omegas)
    scale = options.omega_scale
    if scale is None:
        scale = 0.75 if experts == 2 else 1.0
    return RenderSettings(
        replace(omegas, scale=scale),
        plan_steps=options.plan_steps,
        vit_steps=options.vit_steps,
        steps=options.steps,
        shift=options.shift,
        apg=not options.raw_deltas,
        merged=options.merged,
        cot=options.cot,
        planned=not options.no_plan,
        seed=options.seed,
    )


def _render_toy(options: argparse.Namespace, task: str) -> tuple[Tensor, dict[str, Any], float]:
    from safetensors.torch import save_file

    from lmdm.video.base import to_pictures
    from lmdm.video.bernini.planner import CLIP
    from lmdm.video.bernini.vit import WIDTH
    from lmdm.weights import write_beside

    batch = _toy_batch(options)
    given = None
    if options.load_plan is not None:
        given = _loaded_plan(options.load_plan)
        if tuple(given.shape) != (CLIP, WIDTH):
            raise InputError(
                f"the plan {options.load_plan} has shape {list(given.shape)}; {CLIP}x{WIDTH} is "
                "needed"
            )
        given = given[None]
    settings = _settings(options, task, experts=1)
    rendered = _bernini(options).render(batch, settings, given)
    if options.save_plan is not None:
        assert rendered.plan is not None
        tensors = {"plan": rendered.plan[0].contiguous()}
        write_beside(options.save_plan, lambda part: save_file(tensors, part))
    facts = {
        "settings": asdict(settings),
        "said": rendered.said[0] if rendered.said else None,
        "text_budget": {"text": len(options.prompt.split()), "plan": CLIP, "plan_cut": 0},
    }
    return to_pictures(rendered.latents[0]), facts, 8.0


def _toy_batch(options: argparse.Namespace) -> Batch:
    import torch

    from lmdm.video import words
    from lmdm.video.base import to_latents
    from lmdm.video.bernini.planner import ANSWER
    from lmdm.video.bernini.tasks import FRAMES, MOST_REFERENCES, SIZE
    from lmdm.video.bernini.training import Batch
    from lmdm.video.movie import read_video

    if len(options.ref) > MOST_REFERENCES:
        raise InputError(f"the toy reads {MOST_REFERENCES} references; {len(options.ref)} given")
    size = (SIZE, SIZE)
    source = None
    if options.source is not None:
        video = read_video(options.source, size)
        chosen = torch.linspace(0, video.shape[1] - 1, FRAMES).round().long()
        source = to_latents(video[:, chosen])[None]
    references = tuple(to_latents(read_video(path, size)[:, :1])[None] for path in options.ref)
    text = words.encode(options.prompt)[None]
    nothing = torch.zeros(1, 3, FRAMES, SIZE, SIZE)
    answer = torch.zeros(1, ANSWER, dtype=torch.long)
    return Batch((), text, answer, nothing, source, references)


def _loaded_plan(path: Path) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from lmdm.weights import read_header

    if "plan" not in read_header(path):
        raise InputError(f"{path} holds no tensor 'plan'")
    try:
        return load_file(path)["plan"].float()
    except (SafetensorError, OSError) as problem:
        raise InputError(f"the plan {path} cannot be read: {problem}") from None


def _render_wan(options: argparse.Namespace, task: str) -> tuple[Tensor, dict[str, Any], float]:
    from lmdm.video import pipelines
    from lmdm.video.bernini.wan_pipeline import WanBernini, WanInputs, fitted
    from lmdm.video.movie import read_video

    if not pipelines.is_pipeline(options.renderer):
        raise InputError(f"{options.renderer} is no diffusers folder; give one, or hub:ORG/NAME")
    if options.cot != "none":
        raise InputError("--cot needs the toy's planner; rewrite the prompt yourself, or leave it")
    pictures = [read_video(path) for path in (*_given(options.source), *options.ref)]
    plan = None if options.load_plan is None else _loaded_plan(options.load_plan)
    pipe = pipelines.load_pipeline(options.renderer, options.device, options.dtype)
    kind = pipelines.kind_of(pipe)
    pictures = [fitted(each, 2 * kind.spatial, kind.temporal) for each in pictures]
    source = pictures.pop(0) if options.source is not None else None
    inputs = WanInputs(
        options.prompt, options.negative, source, tuple(each[:, :1] for each in pictures), plan
    )
    wan = WanBernini(pipe)
    settings = _settings(options, task, wan.experts)
    video, budgets = wan.render(inputs, settings, options.frames, options.height, options.width)
    budget = budgets[-1]
    if budget.text_cut or budget.plan_cut:
        common.warn(f"the context's cap cut {budget.text_cut} text and {budget.plan_cut} plan rows")
    facts = {"settings": asdict(settings), "text_budget": asdict(budget), "experts": wan.experts}
    return video, facts, kind.fps


def _given(path: Path | None) -> list[Path]:
    return [] if path is None else [path]


# -- evaluate ---------------------------------------------------------------------------------


def _evaluate(options: argparse.Namespace) -> int:
    from lmdm.video.bernini import pictures
    from lmdm.video.bernini.evaluate import PLANNED, SUITE
    from lmdm.video.report import write_report

    names = options.claims or list(SUITE)
    for name in names:
        if name not in SUITE:
            raise InputError(f"there is no claim {name!r}; the claims are {', '.join(SUITE)}")
    common.one_thread_a_core()
    renders = options.cases is not None or not set(names) <= set(PLANNED)
    bernini = _bernini(options, renders=renders)
    claims = {}
    with common.progress(len(names), "claims", options.quiet) as bar:
        for name in names:
            bar.set_postfix(claim=name)
            claims[name] = SUITE[name](bernini, options.count, options.seed)
            bar.update()
    report = {"count": options.count, "seed": options.seed, "claims": claims}
    write_report(options.report, report)
    if options.plot is not None:
        pictures.draw_claims(claims, options.plot)
    if options.cases is not None:
        pictures.draw_cases(bernini, options.cases, options.seed)
    lines = [f"{name}: {value}" for name, value in claims.items()]
    common.tell(options, report, [*lines, f"report: {options.report}"])
    return 0
