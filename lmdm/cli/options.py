"""Options that several commands share, and how they become `Controls`."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.sharding import Shard

LONGEST_SECONDS = 24 * 3600.0


def add_model(parser: argparse.ArgumentParser) -> None:
    """--model and --threads."""
    parser.add_argument(
        "--model",
        default="starter",
        metavar="M",
        help="a known model, a checkpoint's folder or file, or owner/name of the hub (starter)",
    )
    add_precision(parser)
    add_threads(parser)


def add_compute(parser: argparse.ArgumentParser, precisions: bool = False) -> None:
    """--device, --precision (or several) and --threads, for what brings its own network."""
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu, cuda (cpu)")
    add_precision(parser, precisions)
    add_threads(parser)


def add_precision(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """--precision; several: a list of them."""
    names = ("auto", "float32", "bfloat16", "float16", "int8")
    about = "of the weights (auto: bfloat16 for a large model where that is faster)"
    if several:
        parser.add_argument("--precision", choices=names, nargs="+", default=["auto"], help=about)
    else:
        parser.add_argument("--precision", choices=names, default="auto", help=about)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """--threads."""
    parser.add_argument(
        "--threads", type=whole(0, 256), default=0, metavar="N", help="torch threads (0: automatic)"
    )


def add_shard(parser: argparse.ArgumentParser) -> None:
    """--shard."""
    parser.add_argument(
        "--shard",
        metavar="K/N",
        help="make only this share, without a report (by default what `accelerate launch` says)",
    )


def shard_of(options: argparse.Namespace) -> Shard:
    """The share that is asked for, or this process's own under a launcher. Raises InputError."""
    return Shard.parse(options.shard) if options.shard else Shard.of_this_process()


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_controls(parser: argparse.ArgumentParser) -> None:
    """What the musician asks of the model at the beginning. Unset options are None."""
    group = parser.add_argument_group("music")
    group.add_argument(
        "--prompt",
        nargs="+",
        action="extend",
        metavar="TEXT[:WEIGHT]",
        help='text prompts with weights, such as "felt piano:0.7" "choir:0.3"',
    )
    group.add_argument("--blend", type=number(0, 1), metavar="X", help="0 first prompt .. 1 last")
    group.add_argument("--guidance", type=number(0, 20), metavar="G", help="1 is none")
    group.add_argument("--steps", type=whole(1, 64), metavar="K", help="denoising steps a block")
    group.add_argument("--seed", type=whole(0, 2**31 - 1), metavar="S")
    group.add_argument("--bpm", type=number(20, 400), metavar="BPM", help="tempo, beats a minute")
    group.add_argument("--drums", choices=("on", "off", "model"), help="model: the model decides")
    group.add_argument("--density", type=number(0, 1), metavar="X", help="0 sparse .. 1 busy")
    group.add_argument("--brightness", type=number(0, 1), metavar="X", help="0 dark .. 1 bright")
    group.add_argument("--mute-bass", action="store_true", default=None, help="without bass")
    group.add_argument("--loudness", type=number(-72, 0), metavar="DB", help="of the mix, dB RMS")
    group.add_argument(
        "--notes-mode",
        choices=("auto", "follow", "free"),
        metavar="MODE",
        help="auto: follow while notes sound; follow: always; free: never",
    )
    group.add_argument("--scene", type=Path, metavar="FILE", help="TOML file with these settings")


def controls_from(options: argparse.Namespace, defaults: dict[str, Any]) -> Controls:
    """The controls of a command line: its options over its scene file over `defaults`.

    Raises:
        InputError: an unreadable scene, an unknown setting, or a value outside its range.
    """
    values = dict(defaults)
    if options.scene is not None:
        values |= read_scene(options.scene)
    if options.prompt is not None:
        values["prompts"] = [parse_prompt(text) for text in options.prompt]
    for name, given in (
        ("blend", options.blend),
        ("guidance", options.guidance),
        ("steps", options.steps),
        ("seed", options.seed),
        ("bpm", options.bpm),
        ("density", options.density),
        ("brightness", options.brightness),
        ("bass_mute", options.mute_bass),
        ("loudness_db", options.loudness),
        ("notes_mode", options.notes_mode),
    ):
        if given is not None:
            values[name] = given
    if options.drums is not None:
        values["drums"] = {"on": True, "off": False, "model": None}[options.drums]
    return Controls.from_dict(values, source="settings")


def read_scene(path: Path) -> dict[str, Any]:
    """The settings of a scene file; prompts may be "text:weight" or [text, weight].

    Raises:
        InputError: the file cannot be read, is not TOML, or has a setting that is not one.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"the scene {path} cannot be read: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise InputError(f"the scene {path} is not TOML: {problem}") from None
    prompts = values.get("prompts")
    if isinstance(prompts, list):
        values["prompts"] = [parse_prompt(p) if isinstance(p, str) else p for p in prompts]
    Controls.from_dict(values, source=f"scene {path}")
    return values


def parse_prompt(text: str) -> tuple[str, float]:
    """The text and weight of a prompt, "felt piano:0.7" for example; without one it is 1."""
    words, colon, weight = text.rpartition(":")
    if colon:
        try:
            return words, float(weight)
        except ValueError:
            pass
    return text, 1.0


def number(low: float, high: float) -> Any:
    """An argparse type: a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} lies outside {low:g} to {high:g}")
        return value

    return parse


def whole(low: int, high: int) -> Any:
    """An argparse type: a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} lies outside {low} to {high}")
        return value

    return parse


def address(text: str | None, host: str | None, option: str) -> tuple[str, int] | None:
    """The (host, port) of "host:port" or "port"; `host` is the default, None: it must be given.

    Raises:
        InputError: it is neither, naming `option`.
    """
    if text is None:
        return None
    named, colon, port = text.rpartition(":")
    chosen = named if colon else host
    if not chosen or not port.isdecimal() or not 0 < int(port) < 65536:
        form = "HOST:PORT" if host is None else "PORT or HOST:PORT"
        raise InputError(f"{option} needs {form}, not {text!r}")
    return chosen, int(port)


def duration(text: str) -> float:
    """An argparse type: seconds, above 0 and at most a day."""
    value: float = number(0, LONGEST_SECONDS)(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("the duration must be above 0 seconds")
    return value
