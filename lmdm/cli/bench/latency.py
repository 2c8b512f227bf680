"""`lmdm bench latency`: from a hand to the ear, through real MIDI and audio cables of JACK.

The instrument plays into a JACK server of its own, and its port is recorded from the cable. Keys
are sent over a MIDI cable, other controls as messages, at random moments. Which sample a control
changes first is known exactly (`partings`), and when that sample was on the cable as well
(`cable`). So a latency is measured from the gesture to the moment of the first changed sample.

Beside it stands the same instrument without a commit horizon, whose controls wait until what was
made ahead has played out.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared

if TYPE_CHECKING:
    from lmdm.checkpoints import Model
    from lmdm.cli.bench.gestures import Gesture
    from lmdm.cli.jack_server import JackServer
    from lmdm.cli.stage.performance import Performance

RATE, PERIOD = 48000, 256
NOTE_TARGET_MS = 350.0
INSTANT_ALLOWANCE_MS = 10.0  # beyond the device's buffer
PLAY_IN_SECONDS = 1.0  # before the first gesture
STANDBY_SECONDS = 15.0  # the engine that stands by loads beside the music: so long is waited
CONTROLS_LEAD = 1.5  # at which every control but keys is measured
BASELINE_KEYS = 6
DATED = 0.8  # share of the gestures that must have been found again


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--keys", type=shared.whole(2, 1000), default=12, metavar="N", help="keys a lead (12)"
    )
    parser.add_argument(
        "--moves",
        type=shared.whole(0, 1000),
        default=6,
        metavar="N",
        help="of every other control (6)",
    )
    parser.add_argument(
        "--lead",
        type=shared.number(0.05, 10),
        nargs="+",
        default=[0.5, 4.0],
        metavar="S",
        help="leads to measure, in seconds (0.5 4)",
    )
    parser.add_argument(
        "--buffer", type=shared.number(5, 500), default=None, metavar="MS", help="of the output"
    )
    parser.add_argument("--period", type=shared.whole(16, 4096), default=PERIOD, metavar="N")
    parser.add_argument(
        "--no-baseline", action="store_true", help="leave out the row without a commit horizon"
    )
    parser.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=1, metavar="S")
    shared.add_model(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures and prints tables, or one JSON object."""
    from lmdm.cli.bench.timing import hardware
    from lmdm.cli.jack_server import JackServer
    from lmdm.live.engine import torch_threads

    deepest = max(options.lead)
    with JackServer(RATE, options.period) as jack, tempfile.TemporaryDirectory() as folder:
        own = _measured(options, jack, Path(folder) / "own", True, _all_gestures(options))
        baseline = None
        if not options.no_baseline:
            keys = min(options.keys, BASELINE_KEYS)
            play = _keys_only(keys, deepest, options.seed)
            baseline = _measured(options, jack, Path(folder) / "baseline", False, play)
    report = _report(options, own, baseline)
    report["hardware"] = hardware("cpu", torch_threads(options.threads))
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


# --- playing and measuring ----------------------------------------------------------------------

Gestures = list["Gesture"]


def _all_gestures(options: argparse.Namespace) -> Callable[[Performance, JackServer], Gestures]:
    """Keys at every lead, and every other control at the usual one."""

    def play(performance: Performance, jack: JackServer) -> Gestures:
        from lmdm.cli.bench import gestures as g

        chance, made = random.Random(options.seed), []
        with g.keyboard(jack) as keys:
            for lead in options.lead:
                g.set_lead(performance, lead)
                made += g.play_keys(keys, options.keys, lead, chance)
        g.set_lead(performance, CONTROLS_LEAD)
        for controls in (g.BLOCK_LANE, g.INSTANT_LANE):
            made += g.move(performance, controls, options.moves, CONTROLS_LEAD, chance)
        return made

    return play


def _keys_only(count: int, lead: float, seed: int) -> Callable[[Performance, JackServer], Gestures]:
    """Keys at one lead, and as long a wait for them to be heard."""

    def play(performance: Performance, jack: JackServer) -> Gestures:
        from lmdm.cli.bench import gestures as g

        g.set_lead(performance, lead)
        with g.keyboard(jack) as keys:
            made = g.play_keys(keys, count, lead, random.Random(seed))
            time.sleep(2 * lead)  # the governor may have made as much more ahead
        return made

    return play


def _measured(
    options: argparse.Namespace,
    jack: JackServer,
    folder: Path,
    rewinds: bool,
    play: Callable[[Performance, JackServer], Gestures],
) -> dict[str, Any]:
    """One performance: its dated gestures, and what the instrument says of itself."""
    from audio_io.input import Input
    from lmdm.cli.bench.cable import Recording
    from lmdm.cli.bench.gestures import BEGINNING
    from lmdm.cli.stage.performance import BUFFER_MS, Performance, PerformanceSettings

    performance = Performance(
        PerformanceSettings(
            model=options.model,
            controls=replace(BEGINNING, seed=options.seed),
            lead=min(options.lead),
            threads=options.threads,
            precision=options.precision,
            audio_device="system",
            take=folder,
            buffer_ms=options.buffer or BUFFER_MS,
            rewinds=rewinds,
        )
    )
    recording = Recording(RATE)
    performance.open()
    try:
        capture = Input(recording.keep, "system", target_rate=RATE)
        try:
            performance.wait_playing()
            capture.start()
            jack.plug_output_into_input()
            _wait_for_standby(performance)
            time.sleep(PLAY_IN_SECONDS)
            made = play(performance, jack)
            time.sleep(1.0)
            last = performance.snapshot()
        finally:
            capture.close()
    finally:
        figures = performance.close()
    return {
        "latencies": _dated(options, folder, recording, made),
        "readout": {kind: each.p95 for kind, each in last.control_latency.items()},
        "buffer_ms": round(last.buffer_ms, 1),
        "generation_ms": last.generation_ms,
        "real_time_factor": last.real_time_factor,
        "underruns": figures["underruns"],
    }


def _wait_for_standby(performance: Performance) -> None:
    end = time.monotonic() + STANDBY_SECONDS
    while not performance.supervisor.standby_ready() and time.monotonic() < end:
        time.sleep(0.1)


def _dated(
    options: argparse.Namespace, folder: Path, recording: Any, made: Gestures
) -> list[tuple[Gesture, float | None, float | None]]:
    """Every gesture with the milliseconds until it changed the sound, and plainly; None unknown."""
    import torch

    from lmdm.checkpoints import load
    from lmdm.cli.bench import gestures as g
    from lmdm.cli.bench.cable import Cable
    from lmdm.cli.bench.partings import partings
    from lmdm.live.engine import torch_threads
    from lmdm.live.messages import kind_of
    from lmdm.live.take import read_take

    torch.set_num_threads(torch_threads(options.threads))
    model: Model = load(options.model, precision=options.precision)
    instant = {kind_of(type(pair[0])) for pair in g.INSTANT_LANE}
    block = {each.kind for each in made} - instant
    heard, parted = partings(model, read_take(folder), block)
    cable = Cable(recording, heard)
    for kind in block:
        asked = sum(each.kind == kind for each in made)
        if asked != len(parted[kind]):
            raise RuntimeError(
                f"{asked} {kind} were sent, but {len(parted[kind])} are in the take: this machine "
                f"is too busy to measure now"
            )
    dated = []
    for gesture in made:
        if gesture.kind in instant:
            moment = cable.level_moved(gesture.sent)
            moments = [moment, moment]
        else:
            parting = parted[gesture.kind].pop(0)
            places = [
                None if at is None else cable.place(at) for at in (parting.changed, parting.plain)
            ]
            moments = [None if place is None else cable.time(place) for place in places]
        changed, plain = (None if at is None else 1000.0 * (at - gesture.sent) for at in moments)
        dated.append((gesture, changed, plain))
    return dated


# --- telling ------------------------------------------------------------------------------------


def _report(
    options: argparse.Namespace, own: dict[str, Any], baseline: dict[str, Any] | None
) -> dict[str, Any]:
    from lmdm.cli.bench import gestures as g
    from lmdm.live.messages import kind_of

    latencies = own.pop("latencies")
    missed = sum(changed is None for _, changed, _ in latencies)
    if missed > (1.0 - DATED) * len(latencies):
        raise RuntimeError(
            f"{missed} of {len(latencies)} gestures were not found in the recording, since the "
            f"sound had gaps: this machine is too busy to measure now"
        )
    instant = [kind_of(type(pair[0])) for pair in g.INSTANT_LANE]
    kinds = list(dict.fromkeys(each.kind for each, _, _ in latencies))
    controls = [
        {
            "kind": kind,
            "lane": "instant" if kind in instant else "block",
            **_summary([row for row in latencies if row[0].kind == kind]),
            "readout_p95": own["readout"].get(kind),
        }
        for kind in kinds
    ]
    leads = [
        {
            "lead": lead,
            "commit_horizon": True,
            **_summary(
                [row for row in latencies if (row[0].kind, row[0].lead) == ("note_on", lead)]
            ),
        }
        for lead in options.lead
    ]
    period_ms = 1000.0 * options.period / RATE
    report: dict[str, Any] = {
        "model": options.model,
        "rate": RATE,
        "period": options.period,
        "period_ms": round(period_ms, 2),
        "note_target_ms": NOTE_TARGET_MS,
        "instant_target_ms": round(period_ms + INSTANT_ALLOWANCE_MS, 1),
        "controls": controls,
        "leads": leads,
        **{name: value for name, value in own.items() if name != "readout"},
    }
    by_lead = [row["p95"] for row in sorted(leads, key=lambda row: row["lead"])]
    report["p95_deepest_over_shallowest"] = round(by_lead[-1] / by_lead[0], 2)
    if baseline is not None:
        row = _summary(baseline["latencies"])
        leads.append({"lead": max(options.lead), "commit_horizon": False, **row})
        report["p95_without_over_with"] = round(row["p95"] / by_lead[-1], 2)
    note = next(row for row in controls if row["kind"] == "note_on")
    report["note_holds"] = note["p95"] <= NOTE_TARGET_MS
    report["instant_holds"] = all(
        row["p95"] <= report["instant_target_ms"] for row in controls if row["lane"] == "instant"
    )
    return report


def _summary(rows: list[tuple[Gesture, float | None, float | None]]) -> dict[str, float | int]:
    """Percentiles of latencies in milliseconds; `plain` is the 95th of plainly changed sound."""
    import numpy as np

    changed = [each for _, each, _ in rows if each is not None]
    plain = [each for _, _, each in rows if each is not None]
    if not changed:
        return {"count": 0, "p50": 0.0, "p95": 0.0, "worst": 0.0, "plain_p95": 0.0}
    p50, p95 = np.percentile(changed, [50, 95])
    return {
        "count": len(changed),
        "p50": round(float(p50), 1),
        "p95": round(float(p95), 1),
        "worst": round(max(changed), 1),
        "plain_p95": round(float(np.percentile(plain, 95)), 1) if plain else 0.0,
    }


def _print(report: dict[str, Any]) -> None:
    print(
        f"model {report['model']}; JACK at {report['rate']} Hz, {report['period']} samples "
        f"({report['period_ms']} ms); output buffer {report['buffer_ms']} ms; a block takes "
        f"{report['generation_ms']} ms, real-time factor {report['real_time_factor']}; "
        f"{report['underruns']} underruns\n\n"
        f"milliseconds from the gesture to changed sound on the cable\n"
    )
    columns = f"{'n':>4} {'p50':>7} {'p95':>7} {'worst':>7} {'plainly':>8}"
    print(f"{'control':<16} {'lane':<8} {columns} {'readout':>8}")
    for row in report["controls"]:
        readout = "" if row["readout_p95"] is None else row["readout_p95"]
        print(f"{row['kind']:<16} {row['lane']:<8} {_numbers(row)} {readout:>8}")
    print(f"\n{'keys at a lead of':<20} {'horizon':<8}{columns}")
    for row in report["leads"]:
        horizon = "yes" if row["commit_horizon"] else "no"
        print(f"{row['lead']:>18g} s {horizon:<8}{_numbers(row)}")
    print(
        f"\np95 is where the change has reached -40 dB of the sound, plainly is p95 at -20 dB;\n"
        f"readout is the instrument's own p95 of the kind.\n"
        f"p95 at the deepest lead over that at the shallowest: "
        f"{report['p95_deepest_over_shallowest']}"
    )
    if "p95_without_over_with" in report:
        print(f"p95 without a commit horizon over that with: {report['p95_without_over_with']}")
    for name, holds in (("note", "note_holds"), ("instant", "instant_holds")):
        target = report[f"{name}_target_ms"]
        print(f"{name} within {target:g} ms at p95: {'yes' if report[holds] else 'no'}")


def _numbers(row: dict[str, Any]) -> str:
    return (
        f"{row['count']:>4} {row['p50']:>7} {row['p95']:>7} {row['worst']:>7} {row['plain_p95']:>8}"
    )
