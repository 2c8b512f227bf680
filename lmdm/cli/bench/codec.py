"""`lmdm bench codec`: Oobleck's decoder at its true size, in several ways, and held back less."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.bench.timing import hardware, peak_memory_mb, wall_and_processor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lmdm.codec.oobleck import Oobleck

BLOCKS = (4, 10, 48)  # latent frames
HOLD_BACKS = tuple(range(11))  # latent frames
HELD_FRAMES = 40  # on which hold-back is measured
WARM_UP = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--channels", type=shared.whole(2, 1024), default=128, help="of its last stage (128)"
    )
    parser.add_argument("--model", help="a checkpoint's codec, in place of random weights")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda (cpu)")
    parser.add_argument("--threads", type=shared.whole(0, 256), default=0, metavar="N")
    parser.add_argument(
        "--block", type=shared.whole(1, 192), nargs="+", default=list(BLOCKS), metavar="N",
        help="latent frames a block (4 10 48)",
    )  # fmt: skip
    parser.add_argument("--turns", type=shared.whole(1, 1000), default=3)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures and prints two tables, or one JSON object."""
    import torch

    from lmdm.live.engine import torch_threads

    threads = torch_threads(options.threads)
    torch.set_num_threads(threads)
    codec = _codec(options)
    report = {
        "parameters": sum(each.numel() for each in codec.decoder.parameters()),
        "frame_samples": codec.frame_samples,
        "hardware": hardware(options.device, threads),
        "rows": measure(codec, options.block, options.turns, options.device),
        "hold_back": hold_back(codec),
    }
    report["memory_mb"] = round(peak_memory_mb(options.device), 1)
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def _codec(options: argparse.Namespace) -> Oobleck:
    """A checkpoint's codec; or one with torch's own initial weights, and Snakes that do something.

    Its encoder, which nothing here runs, is small.
    """
    import torch

    from lmdm.codec.oobleck import Oobleck, OobleckConfig
    from lmdm.errors import InputError

    if options.model is not None:
        from lmdm.checkpoints import load_codec

        codec, _ = load_codec(options.model, options.device)
        if not isinstance(codec, Oobleck):
            raise InputError(f"the codec of {options.model} is no Oobleck")
        return codec
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = Oobleck(OobleckConfig(encoder_channels=2, decoder_channels=options.channels))
        for name, parameter in codec.named_parameters():
            if name.endswith(("alpha", "beta")):
                torch.nn.init.normal_(parameter, std=0.3)
    return codec.to(options.device).eval().requires_grad_(False)


def ways(codec: Oobleck) -> dict[str, nn.Module]:
    """The decoder in several ways; the first is the baseline, the second what the rest must equal.

    "weight norm" computes every weight from its direction and gain in each pass, as the reference
    implementation does.
    """
    import torch

    from lmdm.codec.packed import packed_decoder

    return {
        "weight norm, float32": _with_weight_norm(codec),
        "folded, float32": codec.decoder,
        "Snake in place, float32": packed_decoder(codec, torch.float32, channels_last=False),
        "channels last, float32": packed_decoder(codec, torch.float32),
        "Snake in place, bfloat16": packed_decoder(codec, torch.bfloat16, channels_last=False),
        "channels last, bfloat16": packed_decoder(codec, torch.bfloat16),
    }


def _with_weight_norm(codec: Oobleck) -> nn.Module:
    import copy

    from torch import nn
    from torch.nn.utils.parametrizations import weight_norm

    decoder = copy.deepcopy(codec.decoder)
    for module in decoder.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            weight_norm(module)
    return decoder


def measure(codec: Oobleck, blocks: list[int], turns: int, device: str) -> list[dict[str, Any]]:
    """Each way, streaming blocks of each length in turns: times a block, and error.

    `real_time_factor` is by the clock, `processor_factor` the processors' time over the block's;
    `error_db` is the RMS of what differs from one float32 pass, over the RMS of the sound.
    """
    import torch
    from tqdm import tqdm

    from lmdm.codec.streaming_oobleck import OobleckStreamingDecoder

    noise = torch.Generator().manual_seed(0)
    latents = torch.randn(codec.latent_channels, 48, generator=noise).to(device)
    with torch.inference_mode():
        exact = codec.decode(latents[None])[0].float()
    streams = {}
    errors = {}
    for name, decoder in ways(codec).items():
        streams[name] = OobleckStreamingDecoder(codec, decoder=decoder)
        sound = torch.cat([streams[name].decode(latents), streams[name].flush()], dim=1)
        errors[name] = decibels(sound - exact, exact)
        streams[name].reset()
        streams[name].decode(latents[:, :24])
    times: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for turn in tqdm(range(WARM_UP + turns), desc="measuring", unit="turn"):
        for block in blocks:
            for name, stream in streams.items():
                taken = wall_and_processor(_decoding(stream, latents[:, :block]), device)
                if turn >= WARM_UP:
                    times.setdefault((name, block), []).append(taken)
    frame_ms = 1000.0 * codec.frame_samples / codec.sample_rate
    return [
        {
            "way": name,
            "block": block,
            "ms": round(median(wall for wall, _ in taken), 2),
            "processor_ms": round(min(spent for _, spent in taken), 2),
            "real_time_factor": round(median(wall for wall, _ in taken) / block / frame_ms, 4),
            "processor_factor": round(min(spent for _, spent in taken) / block / frame_ms, 4),
            "error_db": round(errors[name], 1),
        }
        for (name, block), taken in times.items()
    ]


def _decoding(stream: Any, latents: Tensor) -> Callable[[], object]:
    return lambda: stream.decode(latents)


def hold_back(codec: Oobleck) -> list[dict[str, Any]]:
    """Error against one pass when the sound lags the latents by so many frames; blocks of 10.

    The network is the same, so the figures belong to its weights, not to the machine.
    """
    import torch

    from lmdm.codec.packed import packed_decoder
    from lmdm.codec.streaming_oobleck import OobleckStreamingDecoder

    noise = torch.Generator().manual_seed(1)
    device = next(codec.parameters()).device
    latents = torch.randn(codec.latent_channels, HELD_FRAMES, generator=noise).to(device)
    decoder = packed_decoder(codec)
    with torch.inference_mode():
        exact = codec.decode(latents[None])[0].float()
    rows = []
    for frames in HOLD_BACKS:
        stream = OobleckStreamingDecoder(codec, frames, decoder)
        pieces = [stream.decode(block) for block in latents.split(10, dim=1)]
        sound = torch.cat([*pieces, stream.flush()], dim=1)
        rows.append(
            {
                "frames": frames,
                "ms": round(1000.0 * stream.delay_samples / codec.sample_rate, 1),
                "error_db": round(decibels(sound - exact, exact), 1),
            }
        )
    return rows


def decibels(error: Tensor, sound: Tensor) -> float:
    """RMS of an error over the RMS of the sound, in dB."""
    share = float(error.square().mean() / sound.square().mean())
    return 10.0 * math.log10(max(share, 1e-30))


def _print(report: dict[str, Any]) -> None:
    machine = report["hardware"]
    print(
        f"decoder of {report['parameters'] / 1e6:.1f} million parameters; {machine['name']}, "
        f"{machine['cores']} cores, {machine['threads']} thread(s), "
        f"load {machine['load_average']}; peak memory {report['memory_mb']:.0f} MiB\n"
    )
    print(
        f"{'block':>5} {'way':<26} {'ms/block':>9} {'CPU ms':>8} {'real-time':>10} {'by CPU':>7} "
        f"{'error dB':>9}"
    )
    for row in report["rows"]:
        print(
            f"{row['block']:>5} {row['way']:<26} {row['ms']:>9.1f} {row['processor_ms']:>8.1f} "
            f"{row['real_time_factor']:>10.3f} {row['processor_factor']:>7.3f} "
            f"{row['error_db']:>9.1f}"
        )
    print(f"\n{'held back':>9} {'ms':>7} {'error dB':>9}")
    for row in report["hold_back"]:
        print(f"{row['frames']:>9} {row['ms']:>7.1f} {row['error_db']:>9.1f}")
