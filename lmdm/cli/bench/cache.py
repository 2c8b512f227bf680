"""`lmdm bench cache`: outpainting, encoder-decoder and block-causal at Small's true size."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.bench.timing import (
    hardware,
    milliseconds,
    peak_memory_mb,
    percentile,
    wall_and_processor,
)

if TYPE_CHECKING:
    from torch import Tensor

    from lmdm.dit.model import DiT
    from lmdm.stream.block_stream import BlockStream

STRATEGIES = ("outpainting", "encoder-decoder", "block-causal")  # the first is the baseline
STEPS = (1, 2, 4, 8)
BLOCKS = (4, 10, 48)  # latent frames
CONTEXT = 192  # latent frames, rounded down to whole blocks
FRAME_MS = 1000.0 * 2048 / 44100
SIZES: dict[str, dict[str, Any]] = {
    "small": {},
    "open": {
        "dim": 1536, "depth": 24, "heads": 24, "project_text": False, "global_dim": 1536,
        "qk_norm": "none",
    },
    "tiny": {"dim": 64, "depth": 2, "heads": 2, "text_dim": 16, "global_dim": 16},
}  # fmt: skip
TEXT_TOKENS = 65  # 64 of T5 and one of seconds_total
WARM_UP = 1  # turns that are not counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--size", choices=tuple(SIZES), default="small", help="whose size (small)")
    shared.add_compute(parser, precisions=True)
    parser.add_argument(
        "--steps", type=shared.whole(1, 64), nargs="+", default=list(STEPS), metavar="K"
    )
    parser.add_argument(
        "--block", type=shared.whole(1, 192), nargs="+", default=list(BLOCKS), metavar="N",
        help="latent frames a block (4 10 48)",
    )  # fmt: skip
    parser.add_argument(
        "--turns", type=shared.whole(1, 1000), default=5, help="how often each is measured (5)"
    )
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures and prints a table, or one JSON object."""
    import torch

    from lmdm.live.engine import torch_threads
    from lmdm.precision import backbone_at

    threads = torch_threads(options.threads)
    torch.set_num_threads(threads)
    dits = {
        name: backbone_at(random_dit(options.size, options.device), name)
        for name in dict.fromkeys(options.precision)
    }
    if "auto" in dits:
        weight = dits["auto"].transformer.project_in.weight
        dits = {str(weight.dtype)[6:]: dits.pop("auto")} | dits
    parameters = sum(each.numel() for each in next(iter(dits.values())).parameters())
    report = measure(dits, options.block, options.steps, options.turns, options.device)
    report = {
        "size": options.size,
        "parameters": parameters,
        "hardware": hardware(options.device, threads),
    } | report
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def random_dit(size: str, device: str) -> DiT:
    """A routed backbone with random weights, none of them zero."""
    import torch

    from lmdm.dit.config import DiTConfig
    from lmdm.dit.model import DiT

    config = DiTConfig.from_dict(dict(SIZES[size]))
    with torch.device("meta"):
        dit = DiT(config)
    dit.to_empty(device=device)
    noise = torch.Generator(device=device).manual_seed(0)
    for name, tensor in dit.state_dict().items():
        spread = 1.0 / tensor.shape[-1] ** 0.5 if tensor.dim() > 1 else 0.02
        tensor.normal_(std=spread, generator=noise)
        if name.endswith(("gamma", "norm.weight")):
            tensor.add_(1.0)
        if name.endswith("inv_freq"):
            powers = torch.arange(len(tensor), device=device) / len(tensor)
            tensor.copy_(10000.0**-powers)
    return dit.eval().requires_grad_(False)


def measure(
    dits: dict[str, DiT], blocks: list[int], steps: list[int], turns: int, device: str
) -> dict[str, Any]:
    """Figures of every precision, strategy, block length and number of steps, taken in turns.

    Whatever else the machine does so hits all of them alike. `ms` is the median of a block by the
    clock, `p99_ms` the 99th percentile, `processor_ms` the least that it cost the processors;
    `speedup` is the median of the baseline (the same precision's outpainting) over this one's,
    `processor_speedup` likewise. `error` is how far the first block's latents lie from those of
    float32, over their size; null where float32 was not asked for.
    """
    from tqdm import tqdm

    from lmdm.dit.packed import packed

    # one twin for all streams of a precision, as each would make its own
    dits = {precision: packed(dit, tokens=64) for precision, dit in dits.items()}
    streams = {
        (precision, strategy, block): _stream(dits[precision], strategy, block)
        for precision, strategy, block in product(dits, STRATEGIES, blocks)
    }
    first = {
        key: milliseconds(partial(_fresh, dits[key[0]], *key[1:], steps[0]), device)
        for key in streams
    }
    cases = list(product(dits, blocks, steps, STRATEGIES))
    times: dict[tuple[str, int, int, str], list[tuple[float, float]]] = {c: [] for c in cases}
    for turn in tqdm(range(WARM_UP + turns), desc="measuring", unit="turn"):
        for precision, block, count, strategy in cases:
            work = partial(streams[precision, strategy, block], count)
            taken = wall_and_processor(work, device)
            if turn >= WARM_UP:
                times[precision, block, count, strategy].append(taken)
    rows = []
    for (precision, block, count, strategy), each in times.items():
        dit = dits[precision]
        taken, spent = zip(*each, strict=True)
        baseline, baseline_spent = zip(*times[precision, block, count, STRATEGIES[0]], strict=True)
        rows.append(
            {
                "precision": precision,
                "block": block,
                "steps": count,
                "strategy": strategy,
                "tokens": tokens_passed(strategy, block, count),
                "ms": round(median(taken), 2),
                "p99_ms": round(percentile(list(taken), 0.99), 2),
                "processor_ms": round(min(spent), 2),
                "real_time_factor": round(median(taken) / (block * FRAME_MS), 4),
                "speedup": round(median(baseline) / median(taken), 2),
                "processor_speedup": round(min(baseline_spent) / min(spent), 2),
                "cache_mb": round(cache_mb(dit, strategy, block), 1),
                "first_block_ms": round(first[precision, strategy, block], 1),
                "error": error(dits, precision, strategy, block, count),
            }
        )
    return {
        "context_frames": CONTEXT,
        "turns": turns,
        "first_block_steps": steps[0],
        "memory_mb": round(peak_memory_mb(device), 1),
        "rows": rows,
    }


def error(
    dits: dict[str, DiT], precision: str, strategy: str, block: int, steps: int
) -> float | None:
    """RMS of what a precision changes in one block's latents, over the RMS of float32's."""
    if "float32" not in dits or precision == "float32":
        return None
    exact, ours = (_stream(dits[name], strategy, block)(steps) for name in ("float32", precision))
    return round(float((ours.float() - exact).norm() / exact.norm()), 5)


def tokens_passed(strategy: str, block: int, steps: int) -> int:
    """Tokens that go through the network for one block (dossier §1), globals included."""
    context = CONTEXT - CONTEXT % block
    target = block + 1
    if strategy == "outpainting":
        return (context + target) * steps
    once = context if strategy == "encoder-decoder" else block
    return once + target * steps


def cache_mb(dit: DiT, strategy: str, block: int) -> float:
    """MiB of keys and values that a stream holds."""
    if strategy == "outpainting":
        return 0.0
    slots = CONTEXT - CONTEXT % block + block + 1
    width = dit.transformer.project_in.weight.element_size()
    return 2 * dit.config.depth * slots * dit.config.dim * width / 2**20


def _block_stream(dit: DiT, strategy: str, block: int) -> tuple[BlockStream, Any]:
    """A stream without context, and the conditions of its blocks."""
    import torch

    from lmdm.stream.block_stream import BlockConditions, BlockStream
    from lmdm.stream.config import StreamConfig

    window = CONTEXT // block
    config = StreamConfig(
        context_frames=window * block,
        block_frames=block,
        window_blocks=window,
        strategy=strategy,
        sampler="ping-pong",
        absent_context="zeros",
    )
    noise = torch.Generator().manual_seed(0)
    c = dit.config
    stream = BlockStream(dit, config, seed=0)
    conditions = BlockConditions(
        text_tokens=torch.randn(TEXT_TOKENS, c.text_dim, generator=noise).to(stream.device),
        global_condition=torch.randn(c.global_dim, generator=noise).to(stream.device),
    )
    return stream, conditions


def _stream(dit: DiT, strategy: str, block: int) -> Callable[[int], Tensor]:
    """A function that generates the next block in so many steps, the context being full."""
    import torch

    stream, conditions = _block_stream(dit, strategy, block)
    noise = torch.Generator().manual_seed(1)
    frames = stream.config.context_frames
    stream.prime(torch.randn(dit.config.latent_channels, frames, generator=noise))
    return lambda steps: stream.next_block(conditions, steps=steps)


def _fresh(dit: DiT, strategy: str, block: int, steps: int) -> object:
    """The first block of a stream that begins from nothing, its prompt read as well."""
    stream, conditions = _block_stream(dit, strategy, block)
    return stream.next_block(conditions, steps=steps)


def _print(report: dict[str, Any]) -> None:
    machine = report["hardware"]
    print(
        f"{report['size']}: {report['parameters'] / 1e6:.1f} million parameters; "
        f"context {report['context_frames']} frames; {machine['name']}, "
        f"{machine['cores']} cores, {machine['threads']} thread(s), load {machine['load_average']}"
    )
    print(f"peak memory {report['memory_mb']:.0f} MiB; median of {report['turns']} turns\n")
    print(
        f"{'precision':<9} {'block':>5} {'steps':>5} {'strategy':<16} {'tokens':>7} "
        f"{'ms/block':>9} {'p99':>9} {'CPU ms':>9} {'real-time':>10} {'cache MiB':>10} "
        f"{'first ms':>9} {'speed-up':>9} {'by CPU':>7} {'error':>8}"
    )
    for row in report["rows"]:
        error = "" if row["error"] is None else f"{100 * row['error']:.2f} %"
        print(
            f"{row['precision']:<9} {row['block']:>5} {row['steps']:>5} {row['strategy']:<16} "
            f"{row['tokens']:>7} {row['ms']:>9.1f} {row['p99_ms']:>9.1f} "
            f"{row['processor_ms']:>9.1f} "
            f"{row['real_time_factor']:>10.3f} {row['cache_mb']:>10.1f} "
            f"{row['first_block_ms']:>9.0f} {row['speedup']:>8.2f}x "
            f"{row['processor_speedup']:>6.2f}x {error:>8}"
        )
