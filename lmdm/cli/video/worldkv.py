"""`lmdm video worldkv rollout|revisit-eval|trace|train`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.video import common
from lmdm.errors import InputError
from lmdm.outputs import check_file

if TYPE_CHECKING:
    from torch import Tensor

    from lmdm.video.worldkv.adapter import ChunkModel
    from lmdm.video.worldkv.rollout import ChunkReport, MemoryPolicy

PLUGIN = "plugin:"
UNSEEN = 3  # chunks out of sight before a return counts: the recent window and one more


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions."""
    actions = parser.add_subparsers(
        dest="action", metavar="rollout|revisit-eval|trace|train", required=True
    )
    rollout = actions.add_parser("rollout", help="walk through a world, remembering")
    rollout.set_defaults(run_action=_rollout)
    _add_model(rollout)
    where = rollout.add_mutually_exclusive_group()
    where.add_argument("--poses", type=Path, metavar="FILE",
                       help=".npy [frames, 4, 4], camera to world")  # fmt: skip
    where.add_argument("--actions", type=Path, metavar="FILE",
                       help=".npy [frames], or [frames, 3]: ahead, right, turn")  # fmt: skip
    rollout.add_argument("--chunks", type=shared.whole(1, 100_000), default=40, metavar="N")
    rollout.add_argument("--rollouts", type=shared.whole(1, 1024), default=1, metavar="B",
                         help="worlds walked side by side (1)")  # fmt: skip
    rollout.add_argument("--mode", default="retrieval", metavar="M",
                         help="full, sliding, sliding:FRAMES, or retrieval")  # fmt: skip
    frames = shared.whole(0, 10_000)
    rollout.add_argument("--retrieve-frames", type=frames, default=6, metavar="R")
    rollout.add_argument("--recent", type=frames, default=6, metavar="F",
                         help="past frames besides the current chunk (6)")  # fmt: skip
    rollout.add_argument("--sink", default="auto", metavar="F",
                         help="frames that are always seen; auto is one chunk")  # fmt: skip
    rollout.add_argument("--metric", default="pose",
                         choices=("pose", "action", "attention", "random"))  # fmt: skip
    rollout.add_argument("--w-trans", type=shared.number(0, 1), default=0.5, metavar="W")
    rollout.add_argument("--rope-correction", action="store_true")
    rollout.add_argument("--compress", type=shared.number(0, 1), default=1.0, metavar="SHARE",
                         help="of the non-anchor tokens kept (1: all; .25 halves)")  # fmt: skip
    rollout.add_argument("--pooled", action="store_true")
    rollout.add_argument("--rule", choices=("centroid", "nearest", "random"), default="centroid")
    rollout.add_argument("--bank", choices=("cpu", "gpu", "disk"), default="cpu")
    rollout.add_argument("--steps", type=shared.whole(1, 1000), default=8, metavar="N")
    rollout.add_argument("--shift", type=shared.number(0.01, 100), default=1.0, metavar="X")
    rollout.add_argument("--sampler", choices=("ode", "renoise"), default="ode")
    rollout.add_argument("--fps", type=shared.number(0.1, 240), default=8.0, metavar="X")
    rollout.add_argument("--out", type=Path, required=True, metavar="FILE", help=".mp4 or .gif")
    common.add_seed(rollout)
    common.add_report(rollout)

    revisit = actions.add_parser("revisit-eval", help="errors on return, or the policies' table")
    revisit.set_defaults(run_action=_revisit)
    revisit.add_argument("reports", nargs="*", type=Path, metavar="REPORT",
                         help="of rollouts; or tables of several models, to be joined")  # fmt: skip
    _add_model(revisit)
    revisit.add_argument("--seeds", type=shared.whole(2, 1000), default=5, metavar="N")
    revisit.add_argument("--chunks", type=shared.whole(20, 1000), default=40, metavar="N")
    revisit.add_argument("--rollouts", type=shared.whole(1, 1024), default=8, metavar="B")
    revisit.add_argument("--policies", nargs="+", metavar="NAME", help="only these of the table")
    revisit.add_argument("--plot", type=Path, metavar="FILE", help="the figures as a PNG")
    common.add_report(revisit, "worldkv.report.json")

    trace = actions.add_parser("trace", help="which chunks a rollout retrieved, and how near")
    trace.set_defaults(run_action=_trace)
    trace.add_argument("reports", nargs=1, type=Path, metavar="REPORT")
    trace.add_argument("--plot", type=Path, metavar="FILE", help="as a PNG")
    shared.add_json(trace)

    train = actions.add_parser("train", help="the ring world's model, in some minutes")
    train.set_defaults(run_action=_train)
    common.add_training(train, steps=4000)
    common.add_start(train)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="ring", metavar="M",
        help="ring, a folder of a ring model, or plugin:MODULE with build(poses, batch)",
    )  # fmt: skip


# -- rollout ----------------------------------------------------------------------------------


def _rollout(options: argparse.Namespace) -> int:
    from lmdm.video.movie import SUFFIXES, write_video
    from lmdm.video.report import write_report
    from lmdm.video.worldkv.bank import MemoryBank
    from lmdm.video.worldkv.kept import keep_latents
    from lmdm.video.worldkv.rollout import Rollout

    check_file(options.out, SUFFIXES)
    report_file = common.report_path(options)
    common.one_thread_a_core()
    model = _model(options)
    policy = _policy(options, model)
    facts = {"model": options.model, "policy": asdict(policy), "rollouts": options.rollouts}
    bank = MemoryBank(options.bank, options.out.with_suffix(".bank"))
    rollout = Rollout(model, policy, bank)
    kept = options.out.with_suffix(".latents.safetensors")
    poses = model.poses()
    with common.progress(options.chunks, "rollout", options.quiet) as bar:
        for known in _known(kept, facts, poses, model, options.chunks):
            rollout.next_chunk(known)
            bar.update()
        resumed = rollout.chunk
        for _ in rollout.chunks(options.chunks):
            keep_latents(kept, rollout.latents, poses, facts)
            bar.update()
    keep_latents(kept, rollout.latents, poses, facts | {"finished": True})
    latents = _joined(rollout.latents)
    write_video(options.out, model.picture(latents[0]), options.fps)
    seconds = [each.seconds for each in rollout.reports[resumed:]]
    report = facts | {
        "out": options.out,
        "latents": kept.name,
        "frames": latents.shape[2],
        "chunk_frames": model.chunk_frames,
        "chunks": [asdict(each) for each in rollout.reports],
        "bank": options.bank,
        "bank_bytes": bank.bytes,
        "frames_a_second": round(model.chunk_frames * len(seconds) / sum(seconds), 2)
        if seconds
        else None,
        "resumed_at_chunk": resumed,
    }
    write_report(report_file, report)
    tokens = max(each.past_tokens for each in rollout.reports)
    common.tell(
        options, report,
        [f"{options.out}: {latents.shape[2]} frames, at most {tokens} past tokens, bank "
         f"{bank.bytes / 1e6:.2f} MB (report: {report_file})"],
    )  # fmt: skip
    return 0


def _joined(latents: list[Tensor]) -> Tensor:
    import torch

    return torch.cat(latents, dim=2)


def _known(
    kept: Path, facts: dict[str, Any], poses: Tensor, model: ChunkModel, chunks: int
) -> list[Tensor]:
    """Chunks that an earlier run of the same rollout has left; a killed one of another is kept."""
    import json

    import torch

    from lmdm.video.worldkv.kept import kept_latents

    if not kept.exists():
        return []
    latents, their_poses, theirs = kept_latents(kept)
    finished = theirs.pop("finished", False)
    frames = min(len(poses), len(their_poses))
    same = theirs == json.loads(json.dumps(facts))
    if not same or not torch.equal(their_poses[:frames], poses[:frames]):
        if finished:  # nobody waits for it to go on: this run takes its place
            return []
        raise InputError(
            f"{kept} belongs to a rollout with other settings; give the same to go on, or remove it"
        )
    return list(latents.split(model.chunk_frames, dim=2))[:chunks]


def _model(options: argparse.Namespace) -> ChunkModel:
    from lmdm.video import pipelines
    from lmdm.video.worldkv import ring
    from lmdm.video.worldkv.adapter import plugin
    from lmdm.video.worldkv.retrieval import planar_poses

    if pipelines.is_pipeline(options.model):
        raise InputError(
            f"{options.model} is a diffusers pipeline; Wan, LTX and HunyuanVideo are bidirectional "
            "and keep no keys and values, so there is no memory to retrieve: WorldKV needs a "
            "block-causal model (give plugin:MODULE)"
        )
    poses = _array(options.poses, (4, 4)) if options.poses is not None else None
    if options.model.startswith(PLUGIN):
        if options.actions is not None:
            poses = planar_poses(_array(options.actions, (3,)))
        if poses is None:
            raise InputError("a plugin model needs --poses or --actions")
        model = plugin(options.model.removeprefix(PLUGIN), poses, options.rollouts)
    else:
        network = ring.load(None if options.model == "ring" else Path(options.model))
        if poses is not None:
            positions = ring.positions_of(poses)
        elif options.actions is not None:
            positions = ring.positions_of_actions(_array(options.actions, ()))
        else:
            positions = ring.sweep(options.chunks * ring.CHUNK)
        model = ring.RingModel(network, positions, options.rollouts)
    if len(model.poses()) < options.chunks * model.chunk_frames:
        raise InputError(
            f"{options.chunks} chunks need {options.chunks * model.chunk_frames} poses; there are "
            f"{len(model.poses())}"
        )
    return model


def _array(path: Path, rest: tuple[int, ...]) -> Tensor:
    """A .npy array [n, *rest] of finite numbers.

    Raises:
        InputError: it cannot be read, or is another array.
    """
    import numpy as np
    import torch

    try:
        array = np.load(path, mmap_mode="r")  # so that a size that is only declared costs nothing
    except (OSError, ValueError, EOFError) as problem:
        raise InputError(f"the array {path} cannot be read: {problem}") from None
    wanted = "x".join(["n", *map(str, rest)])
    if not isinstance(array, np.ndarray) or array.shape[1:] != rest or not array.size:
        found = getattr(array, "shape", type(array).__name__)
        raise InputError(f"the array {path} has shape {found}; {wanted} is needed")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(f"the array {path} holds values that are no finite numbers")
    return torch.from_numpy(array.astype(np.float64))


def _policy(options: argparse.Namespace, model: ChunkModel) -> MemoryPolicy:
    from lmdm.video.worldkv.rollout import MemoryPolicy

    mode, _, window = options.mode.partition(":")
    recent, sink = options.recent, options.sink
    if window and (mode != "sliding" or not window.isdigit()):
        raise InputError(f"--mode {options.mode!r} is not full, sliding, sliding:FRAMES, retrieval")
    if window:  # upstream's plain sliding window has no sink
        recent, sink = int(window), "0"
    if sink != "auto" and not sink.isdigit():
        raise InputError(f"--sink {sink!r} is neither auto nor a number of frames")
    return MemoryPolicy(
        mode=mode,
        sink=1 if sink == "auto" else _chunks(int(sink), model, "sink"),
        recent=_chunks(recent, model, "recent window"),
        retrieve=_chunks(options.retrieve_frames, model, "retrieval"),
        metric=options.metric,
        translation_weight=options.w_trans,
        rope_correction=options.rope_correction,
        keep=options.compress,
        rule=options.rule,
        pooled=options.pooled,
        steps=options.steps,
        shift=options.shift,
        sampler=options.sampler,
        seed=options.seed,
    )


def _chunks(frames: int, model: ChunkModel, what: str) -> int:
    if frames % model.chunk_frames:
        raise InputError(
            f"a {what} of {frames} frames is no whole number of chunks of {model.chunk_frames}"
        )
    return frames // model.chunk_frames


# -- revisit-eval -----------------------------------------------------------------------------


def _revisit(options: argparse.Namespace) -> int:
    from lmdm.video.report import write_report

    reports = {path: common.read_json(path, "report") for path in options.reports}
    tables = [isinstance(each, dict) and "table" in each for each in reports.values()]
    if not reports:
        report = _table(options)
    elif all(tables):
        report = _joined_tables(reports)
    elif any(tables):
        raise InputError("these are tables and rollouts; give reports of one kind")
    else:
        report = {"rollouts": {str(path): _measured(path, each) for path, each in reports.items()}}
    if options.plot is not None:
        if "table" not in report:
            raise InputError("--plot draws the policies' table; leave it out for rollouts")
        _plot(options.plot, report["table"])
    write_report(options.report, report)
    common.tell(options, report, [*_lines(report), f"report: {options.report}"])
    return 0


def _measured(path: Path, read: Any) -> dict[str, Any]:
    """Errors on return of one rollout."""
    from lmdm.video.worldkv.evaluate import by_gap, frame_revisits, revisits
    from lmdm.video.worldkv.kept import kept_latents
    from lmdm.video.worldkv.ring import positions_of

    report = _rollout_report(path, read)
    latents, poses, facts = kept_latents(path.with_name(report["latents"]))
    if facts["model"].startswith(PLUGIN):
        found = frame_revisits(latents, poses, report["chunk_frames"], UNSEEN)
    else:
        found = revisits(latents, positions_of(poses), UNSEEN)
    return {
        "revisits": len(found),
        "mse": sum(each.error for each in found) / len(found) if found else None,
        "variance": float(latents.var()),
        "by_gap": by_gap(found),
    }


def _rollout_report(path: Path, report: Any) -> dict[str, Any]:
    known = {"chunks": list, "latents": str, "chunk_frames": int}
    if not isinstance(report, dict) or not all(
        isinstance(report.get(name), kind) for name, kind in known.items()
    ):
        raise InputError(f"{path} is no report of a WorldKV rollout")
    return report


def _table(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.video.worldkv import evaluate, ring

    names = options.policies or list(evaluate.POLICIES)
    for name in names:
        if name not in evaluate.POLICIES:
            known = "; ".join(evaluate.POLICIES)
            raise InputError(f"there is no policy {name!r}; the policies are: {known}")
    common.one_thread_a_core()
    network = ring.load(None if options.model == "ring" else Path(options.model))
    done: dict[str, dict[str, Any]] = {}
    with common.progress(len(names) * options.seeds, "rollouts", options.quiet) as bar:
        for name, done in evaluate.table(  # noqa: B007
            network, options.seeds, options.chunks, options.rollouts, names
        ):
            bar.set_postfix(policy=name)
            bar.update()
    report: dict[str, Any] = {
        "model": options.model, "seeds": options.seeds, "chunks": options.chunks,
        "rollouts": options.rollouts, "table": done,
    }  # fmt: skip
    if done.keys() >= evaluate.JUDGED:
        report["verdict"] = evaluate.verdict(done)
    return report


def _joined_tables(reports: dict[Path, Any]) -> dict[str, Any]:
    """One table over models: means of their means, and errors between models."""
    from lmdm.video.worldkv import evaluate

    tables = [report["table"] for report in reports.values()]
    try:
        table = evaluate.joined(tables)
    except (TypeError, KeyError, AttributeError):
        names = ", ".join(map(str, reports))
        raise InputError(f"of {names}, one is no table of `revisit-eval`") from None
    report: dict[str, Any] = {
        "tables": [str(path) for path in reports],
        "models": [each.get("model") for each in reports.values()],
        "table": table,
    }
    if table.keys() >= evaluate.JUDGED:
        report["verdict"] = evaluate.verdict(table)
        report["verdicts"] = [evaluate.verdict(each) for each in tables]
    return report


def _plot(path: Path, table: dict[str, Any]) -> None:
    from lmdm.figures import new_figure, write_figure

    figure = new_figure(8, 4)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, key in ((left, "revisit_mse"), (right, "mean_tokens")):
        axes.barh(
            list(table), [row[key]["mean"] for row in table.values()],
            xerr=[row[key]["error"] for row in table.values()], color="#4477aa",
        )  # fmt: skip
        axes.set_title(key.replace("_", " "))
    left.invert_yaxis()
    write_figure(path, figure)


def _lines(report: dict[str, Any]) -> list[str]:
    if "rollouts" in report and isinstance(report["rollouts"], dict):
        lines = []
        for path, figures in report["rollouts"].items():
            lines.append(f"{path}: {figures['revisits']} revisits, MSE {figures['mse']}")
            lines += [
                f"  unseen for {gap:>3} chunks: MSE {row['mse']:.3f}, PSNR {row['psnr']:.1f} dB "
                f"({row['count']})"
                for gap, row in figures["by_gap"].items()
            ]
        return lines
    keys = ("revisit_mse", "variance", "mean_tokens", "max_tokens", "last_to_first_seconds")
    lines = [f"{'':<30}" + "".join(f"{key:>24}" for key in keys)]
    for name, row in report["table"].items():
        cells = [f"{row[key]['mean']:.3f} ± {row[key]['error']:.3f}" for key in keys]
        lines.append(f"{name:<30}" + "".join(f"{cell:>24}" for cell in cells))
    return [*lines, f"verdict: {report.get('verdict')}"]


# -- trace, train -----------------------------------------------------------------------------


def _trace(options: argparse.Namespace) -> int:
    from lmdm.figures import new_figure, write_figure

    path = options.reports[0]
    report = _rollout_report(path, common.read_json(path, "report"))
    rows: list[ChunkReport] | list[dict[str, Any]] = report["chunks"]
    if options.plot is not None:
        figure = new_figure(6, 5)
        axes = figure.subplots()
        points = [(row["chunk"], j) for row in rows for j in row["retrieved"]]  # type: ignore[index]
        axes.plot([0, len(rows)], [0, len(rows)], color="#bbbbbb", linewidth=1)
        axes.scatter([x for x, _ in points], [y for _, y in points], s=14, color="#cc3311")
        axes.set_xlabel("chunk")
        axes.set_ylabel("retrieved")
        write_figure(options.plot, figure)
    lines = [
        f"chunk {row['chunk']:>5}: "  # type: ignore[index]
        + (", ".join(
            f"{j} ({d:.3f})" for j, d in zip(row["retrieved"], row["distances"], strict=True)  # type: ignore[index]
        ) or "nothing")
        for row in rows
    ]  # fmt: skip
    common.tell(options, {"chunks": rows}, lines)
    return 0


def _train(options: argparse.Namespace) -> int:
    from lmdm.video.worldkv import ring

    return common.train_video_dit(options, ring.KIND, ring.CONFIG, ring.loss_of)
