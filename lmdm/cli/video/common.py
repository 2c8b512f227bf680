"""What the video commands share: options, progress, the report, the training loop's command."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.errors import InputError
from lmdm.outputs import check_file, make_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lmdm.video.dit import VideoDiTConfig


def add_seed(parser: argparse.ArgumentParser) -> None:
    """--seed."""
    parser.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=0, metavar="S")


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device, --dtype: of a diffusers pipeline."""
    parser.add_argument("--device", default="cpu", metavar="D", help="of a real model (cpu)")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "bfloat16", "float16"),
        help="of a real model's weights (float32)",
    )  # fmt: skip


def add_report(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--report, --json, --quiet."""
    parser.add_argument(
        "--report", type=Path, metavar="FILE", default=None if default is None else Path(default),
        help=f"JSON report ({default or 'beside the output'})",
    )  # fmt: skip
    shared.add_json(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def report_path(options: argparse.Namespace) -> Path:
    """Where the report goes: --report, or beside --out as OUT.report.json."""
    path: Path = options.report or options.out.with_suffix(".report.json")
    return check_file(path, (".json",))


def read_json(path: Path, what: str) -> Any:
    """A JSON file of the user's.

    Raises:
        InputError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"the {what} {path} cannot be read: {problem.strerror}") from None
    except (ValueError, RecursionError) as problem:
        raise InputError(f"the {what} {path} is not JSON: {problem}") from None


def tell(options: argparse.Namespace, report: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Prints one JSON object, or lines for people."""
    if options.json:
        print(json.dumps(report, default=str))
    else:
        print("\n".join(lines))


def warn(message: str) -> None:
    """One line on the error stream, for what is done but perhaps not as wished."""
    print(f"lmdm: {message}", file=sys.stderr)


def progress(total: int, what: str, quiet: bool, start: int = 0) -> Any:
    """A progress bar on the terminal; silent elsewhere."""
    from tqdm import tqdm

    return tqdm(
        total=total, initial=start, desc=what, disable=quiet or not sys.stderr.isatty(),
    )  # fmt: skip


def one_thread_a_core(threads: int = 0) -> None:
    """Sets torch's threads as the other commands do."""
    import torch

    from lmdm.live.engine import torch_threads

    torch.set_num_threads(torch_threads(threads))


def add_training(parser: argparse.ArgumentParser, steps: int) -> None:
    """--out, --steps, --rate, --seconds and the rest of a training command."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model's folder")
    parser.add_argument("--steps", type=shared.whole(1, 10**7), default=steps, metavar="N")
    parser.add_argument("--rate", type=shared.number(0, 1), default=2e-3, metavar="R")
    parser.add_argument(
        "--seconds", type=shared.duration, metavar="S",
        help="stop after so long; the same command goes on from there",
    )  # fmt: skip
    add_seed(parser)
    shared.add_json(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_start(parser: argparse.ArgumentParser) -> None:
    """--start-from: for trainings that may begin where a finished one ended."""
    parser.add_argument(
        "--start-from", type=Path, metavar="DIR",
        help="weights to begin with: the DIR of an earlier, finished training",
    )  # fmt: skip


def train(
    options: argparse.Namespace,
    network: nn.Module,
    loss_of: Callable[[nn.Module, int], Tensor],
    finish: Callable[[], dict[str, Any]],
    name: str = "",
) -> int:
    """Fits a network in DIR, going on from what is there; `finish` saves it and gives figures.

    name: of one of several networks that are trained in the same folder.
    """
    from torch.optim import AdamW

    from lmdm.config import begin
    from lmdm.fitting import cosine_rate, fit_network
    from lmdm.video.report import write_report

    folder, prefix = make_folder(options.out), f"{name}." if name else ""
    plan = {"steps": options.steps, "rate": options.rate, "seed": options.seed}
    if getattr(options, "start_from", None) is not None:
        plan["start_from"] = str(options.start_from)
    if hasattr(options, "batch"):
        plan["batch"] = options.batch
    begin(folder / f"{prefix}plan.json", plan)
    begun, losses = time.perf_counter(), list[tuple[int, float]]()
    done = fit_network(
        network,
        AdamW((p for p in network.parameters() if p.requires_grad), betas=(0.9, 0.99)),
        lambda step: loss_of(network, step),
        folder / f"{name or 'network'}.training.safetensors",
        options.steps,
        average=0.995,
        clip=1.0,
        rate=lambda step: cosine_rate(step, options.steps, options.rate, warm_up=50, final=0.05),
        after=lambda step, figures: losses.append((step, figures["loss"])),
        seconds=options.seconds or math.inf,
        title=name or "training",
        quiet=options.quiet or not sys.stderr.isatty(),
    )
    if not done:
        steps = losses[-1][0] if losses else 0
        tell(options, {"steps": steps, "finished": False}, [f"{steps} steps; to be gone on"])
        return 0
    recent = [loss for _, loss in losses[-50:]]
    report = {
        "steps": options.steps,
        "finished": True,
        "loss": sum(recent) / len(recent) if recent else None,
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": round(time.perf_counter() - begun, 1),
    } | finish()
    write_report(folder / f"{prefix}report.json", report)
    tell(options, report, [f"{folder}: {report['parameters']} parameters, {options.steps} steps"])
    return 0


def train_video_dit(
    options: argparse.Namespace,
    kind: str,
    config: VideoDiTConfig,
    loss_of: Callable[..., Tensor],
) -> int:
    """Fits one video transformer from its seed; loss_of(network, step, seed=S)."""
    import torch

    from lmdm.video import checkpoint
    from lmdm.video.dit import VideoDiT

    one_thread_a_core()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = VideoDiT(config)
    if options.start_from is not None:
        checkpoint.load_weights(network, options.start_from, kind)

    def finish() -> dict[str, Any]:
        checkpoint.save(options.out, kind, network, config)
        return {}

    return train(options, network, lambda net, step: loss_of(net, step, seed=options.seed), finish)
