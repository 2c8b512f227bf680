"""`lmdm bench engine`: milliseconds a block by steps and strategy, decoding, memory."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.bench.timing import milliseconds, peak_memory_mb

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

STRATEGIES = ("outpainting", "encoder-decoder", "block-causal")  # the first is the baseline
STEPS = (1, 2, 4, 8)
WARM_UP = 2  # turns that are not counted


def add_arguments(engine: argparse.ArgumentParser) -> None:
    """Declares the options."""
    shared.add_model(engine)
    engine.add_argument(
        "--steps",
        type=shared.whole(1, 64),
        nargs="+",
        default=list(STEPS),
        metavar="K",
        help="steps a block to measure (1 2 4 8)",
    )
    engine.add_argument(
        "--blocks", type=shared.whole(1, 1000), default=8, metavar="N", help="blocks a figure (8)"
    )
    engine.add_argument(
        "--guidance", type=shared.number(0, 20), default=1.0, metavar="G", help="1: one pass a step"
    )
    shared.add_json(engine)


def run(options: argparse.Namespace) -> int:
    """Measures and prints a table, or one JSON object."""
    import torch

    from lmdm.checkpoints import load
    from lmdm.live.engine import torch_threads

    threads = torch_threads(options.threads)
    torch.set_num_threads(threads)
    model = load(options.model, precision=options.precision)
    report = measure(model, options.steps, options.blocks, options.guidance)
    report["threads"] = threads
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def measure(model: Model, steps: list[int], blocks: int, guidance: float) -> dict[str, Any]:
    """Figures of one model on this machine, all taken in one run.

    The strategies take turns, block by block, so that whatever else the machine does hits all of
    them alike; the context is full. Times are medians over `blocks` blocks, `fastest_ms` the
    shortest. `real_time_factor` is (generation + decoding) over the block's duration; `speedup` is
    the baseline's fastest time over this one's at equal steps.
    """
    config = model.stream_config
    block_ms = 1000.0 * config.block_frames * model.codec.frame_samples / model.codec.sample_rate
    able = STRATEGIES if model.dit.config.routed else STRATEGIES[:1]
    streams = {strategy: _stream(model, strategy, guidance) for strategy in able}
    decode = _decoding(model)
    times: dict[tuple[str, int], list[float]] = {}
    decode_times: list[float] = []
    for turn in range(WARM_UP + blocks):
        heard = turn >= WARM_UP
        for (strategy, stream), count in product(streams.items(), steps):
            taken = milliseconds(partial(stream, count))
            times.setdefault((strategy, count), []).extend([taken] * heard)
        decode_times.extend([milliseconds(decode)] * heard)
    decode_ms = median(decode_times)
    rows = [
        {
            "strategy": strategy,
            "steps": count,
            "generate_ms": round(median(taken), 2),
            "fastest_ms": round(min(taken), 2),
            "real_time_factor": round((median(taken) + decode_ms) / block_ms, 4),
            "speedup": round(min(times[STRATEGIES[0], count]) / min(taken), 2),
            "default": strategy == config.strategy and count == config.steps,
        }
        for (strategy, count), taken in times.items()
    ]
    return {
        "model": model.name,
        "model_sha256": model.sha256,
        "block_frames": config.block_frames,
        "context_frames": config.context_frames,
        "block_ms": round(block_ms, 2),
        "guidance": guidance,
        "decode_ms": round(decode_ms, 2),
        "memory_mb": round(peak_memory_mb(), 1),
        "rows": rows,
    }


def _stream(model: Model, strategy: str, guidance: float) -> Callable[[int], object]:
    """A function that generates the next block in so many steps, the context being full."""
    import torch

    from lmdm.stream.block_stream import BlockConditions, BlockStream

    config = replace(model.stream_config, strategy=strategy)
    stream = BlockStream(model.dit, config, seed=0)
    noise = torch.Generator().manual_seed(0)
    text = model.text_encoder.dim if model.text_encoder is not None else 0
    tokens = getattr(model.text_encoder, "tokens", 1)
    local = model.conditioning.channels if model.conditioning is not None else 0
    conditions = BlockConditions(
        text_tokens=torch.randn(tokens, text, generator=noise) if text else None,
        local=torch.zeros(local, config.block_frames) if local else None,
        global_condition=model.global_condition,
        guidance=guidance,
    )
    channels = model.codec.latent_channels
    stream.prime(torch.randn(channels, config.context_frames, generator=noise), None)

    @torch.inference_mode()
    def next_block(steps: int) -> None:
        stream.next_block(conditions, steps=steps)

    return next_block


def _decoding(model: Model) -> Callable[[], object]:
    """A function that decodes one more block."""
    import torch

    from lmdm.codec.streaming import streaming_decoder

    decoder = streaming_decoder(model.codec, model.decoder_dtype)
    latents = torch.randn(
        model.codec.latent_channels,
        model.stream_config.block_frames,
        generator=torch.Generator().manual_seed(0),
    )
    return lambda: decoder.decode(latents)


def _print(report: dict[str, Any]) -> None:
    print(
        f"model {report['model']}: blocks of {report['block_frames']} frames "
        f"({report['block_ms']:.0f} ms), context {report['context_frames']} frames, "
        f"guidance {report['guidance']:g}, {report['threads']} thread(s)"
    )
    print(f"decoding {report['decode_ms']:.1f} ms a block, memory {report['memory_mb']:.0f} MiB\n")
    print(
        f"{'strategy':<16} {'steps':>5} {'ms/block':>9} {'fastest':>8} "
        f"{'real-time':>10} {'vs outpainting':>15}"
    )
    for row in report["rows"]:
        mark = "  <- default" if row["default"] else ""
        print(
            f"{row['strategy']:<16} {row['steps']:>5} {row['generate_ms']:>9.1f} "
            f"{row['fastest_ms']:>8.1f} "
            f"{row['real_time_factor']:>10.3f} {row['speedup']:>14.2f}x{mark}"
        )
