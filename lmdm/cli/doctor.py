"""`lmdm doctor`: what this machine can do, and a verdict."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.util import find_spec
from typing import Any

from lmdm.cli import options as shared
from lmdm.errors import InputError

LIBRARIES = {  # package -> what is lost without it
    "sounddevice": "sound",
    "rtmixer": "sound",
    "rtmidi": "MIDI",
    "PyQt6": "the window",
    "onnxruntime": "text prompts",
    "soundfile": "sound files",
    "mido": "MIDI files",
}
STAGE_FACTOR = 0.6  # of real time; leaves room for a hiccup one and a half times as long


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    shared.add_model(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Looks, measures and prints; the exit status is 0 also if the verdict is bad."""
    report = examine(options.model, options.threads, options.precision)
    if options.json:
        print(json.dumps(report))
        return 0
    for name in ("machine", "model", "engine", "output", "midi", "window"):
        print(f"{name:<9} {report[name]['says']}")
    for line in report["missing"]:
        print(f"{'missing':<9} {line}")
    print(f"{'verdict':<9} {report['verdict']}")
    return 0


def examine(model: str, threads: int, precision: str = "auto") -> dict[str, Any]:
    """Everything the verdict rests on."""
    machine = _machine()
    missing = [
        f"{package}: no {what}" for package, what in LIBRARIES.items() if find_spec(package) is None
    ]
    engine, described = _engine(model, threads, precision)
    report = {
        "machine": machine,
        "model": described,
        "engine": engine,
        "output": _output(),
        "midi": _midi(),
        "window": _display(),
        "missing": missing,
    }
    return report | {"verdict": _verdict(report)}


def _machine() -> dict[str, Any]:
    cores = os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return {"cores": cores, "system": system, "says": f"{system}, {cores} core(s)"}


def _engine(name: str, threads: int, precision: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The measured speed, and the model it was measured with."""
    try:
        import torch

        from lmdm.checkpoints import load
        from lmdm.cli.bench import measure
        from lmdm.live.engine import torch_threads

        torch.set_num_threads(torch_threads(threads))
        model = load(name, precision=precision)
    except InputError as problem:
        said = {"says": str(problem), "ready": False}
        return {"says": "not measured: no model", "real_time_factor": None}, said
    report = measure(model, [model.stream_config.steps], blocks=12, guidance=1.0)
    row = next(row for row in report["rows"] if row["strategy"] == model.stream_config.strategy)
    factor = row["real_time_factor"]
    figures = {
        "real_time_factor": factor,
        "generate_ms": row["generate_ms"],
        "decode_ms": report["decode_ms"],
        "block_ms": report["block_ms"],
        "memory_mb": report["memory_mb"],
        "says": f"real-time factor {factor:.2f}: {row['generate_ms'] + report['decode_ms']:.0f} ms "
        f"for a block of {report['block_ms']:.0f} ms, {report['memory_mb']:.0f} MiB",
    }
    parameters = sum(each.numel() for each in model.dit.parameters())
    said = {
        "says": f"{model.name}, {parameters / 1e6:.1f} million parameters, {model.sha256[:12]}",
        "sha256": model.sha256,
        "ready": True,
    }
    return figures, said


def _output() -> dict[str, Any]:
    from audio_io.devices import choose_device
    from audio_io.hosted import list_devices

    try:
        devices = list_devices()
        default = choose_device(None, "output", devices)
        names = [each.name for each in devices if each.output_channels > 0]
    except InputError as problem:
        return {"says": str(problem), "devices": [], "default": None}
    says = f"{default.name} at {default.rate} Hz ({default.host}), {len(names)} device(s)"
    return {"says": says, "devices": names, "default": default.name}


def _midi() -> dict[str, Any]:
    from audio_io.midi_ports import available_apis, list_ports

    try:
        apis = available_apis()
        ports = [each.name for each in list_ports()]
    except InputError as problem:
        return {"says": str(problem), "apis": [], "ports": []}
    if not apis:
        return {"says": "no MIDI: neither ALSA nor JACK is there", "apis": [], "ports": []}
    return {"says": f"{', '.join(apis)}; {len(ports)} port(s)", "apis": apis, "ports": ports}


def _display() -> dict[str, Any]:
    if find_spec("PyQt6") is None:
        return {"says": "no window: PyQt6 is not installed", "ready": False}
    displays = [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    if sys.platform.startswith("linux") and not displays:
        return {"says": "no display: the terminal view will be used", "ready": False}
    return {"says": "ready", "ready": True}


def _verdict(report: dict[str, Any]) -> str:
    factor = report["engine"]["real_time_factor"]
    if factor is None:
        return "This machine cannot play yet: there is no model."
    if factor >= 1.0:
        return (
            f"This machine is too slow for this model (real-time factor {factor:.2f}): render, or "
            "play with fewer --steps."
        )
    where = "" if report["output"]["default"] else " There is no sound device: takes go to files."
    if factor > STAGE_FACTOR:
        return (
            f"This machine plays (real-time factor {factor:.2f}), with little in reserve: close "
            f"other programs, or play with fewer --steps.{where}"
        )
    return f"This machine plays, with room to spare (real-time factor {factor:.2f}).{where}"
