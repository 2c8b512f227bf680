"""`lmdm theory continuous`: verify identities, measure orders, sample, convert predictions."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.errors import InputError
from lmdm.outputs import check_file, make_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lmdm.diffusion.schedule import Schedule
    from lmdm.diffusion.solvers import Solver
    from lmdm.theory.identities import Finding

SCHEDULES = ("vp", "ve", "edm", "fm", "cos")
KINDS = ("eps", "x0", "v", "score", "vp_v", "edm_F")
SOLVERS = ("euler", "heun", "ddim", "ddpm", "euler-maruyama", "dpm++2m", "edm")
GRIDS = ("t", "lambda", "rho", "ddpm", "shifted")
ORDERS = {"vp": SOLVERS, "fm": ("euler", "heun", "ddim", "dpm++2m"), "cos": ("heun", "ddim")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the tools."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)

    verify = tools.add_parser("verify", help="identities and orders; exit 1 if one fails")
    verify.add_argument("--schedule", choices=(*SCHEDULES, "all"), default="all")
    shared.add_json(verify)
    verify.set_defaults(tool_run=run_verify)

    order = tools.add_parser("order", help="the measured order of a solver; exit 1 if it is off")
    order.add_argument("--solver", choices=SOLVERS, required=True)
    order.add_argument("--schedule", choices=SCHEDULES, default="vp")
    order.add_argument("--n", type=shared.whole(2, 2000), nargs="+", default=[50, 100, 200, 400],
                       metavar="N", help="numbers of steps, rising (50 100 200 400)")  # fmt: skip
    shared.add_json(order)
    order.set_defaults(tool_run=run_order)

    _add_sample(tools.add_parser("sample", help="sample data with exact scores; draws a picture"))
    _add_convert(tools.add_parser("convert", help="a prediction of one path and kind as another"))
    plot = tools.add_parser("plot", help="pictures of the schedules and the orders")
    plot.add_argument("--out", type=Path, required=True, metavar="DIR")
    plot.set_defaults(tool_run=run_plot)


def _add_sample(sample: argparse.ArgumentParser) -> None:
    sample.add_argument("--data", choices=("ring", "grid", "gaussian"), default="ring")
    sample.add_argument("--schedule", choices=SCHEDULES, default="vp")
    sample.add_argument("--solver", choices=SOLVERS, default="ddim")
    sample.add_argument("--kind", choices=KINDS, default="eps", help="what the network predicts")
    sample.add_argument("--grid", choices=GRIDS, default="t")
    sample.add_argument("--steps", type=shared.whole(1, 10_000), default=25, metavar="N")
    sample.add_argument("--eta", type=shared.number(0, 1), default=0.0, help="ddim's noise")
    sample.add_argument("--ell", type=shared.number(0, 10), default=1.0,
                        help="euler-maruyama's noise: 1 is the reverse SDE")  # fmt: skip
    sample.add_argument("--churn", type=shared.number(0, 1e4), default=0.0, help="edm's S_churn")
    sample.add_argument("--shift", type=shared.number(0.01, 100), default=3.0,
                        help="of the shifted grid")  # fmt: skip
    sample.add_argument("--count", type=shared.whole(10, 100_000), default=2000, metavar="N")
    sample.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=0, metavar="S")
    sample.add_argument("--out", type=Path, required=True, metavar="DIR")
    shared.add_json(sample)
    sample.set_defaults(tool_run=run_sample)


def _add_convert(convert: argparse.ArgumentParser) -> None:
    convert.add_argument("--from", dest="source", required=True, metavar="PATH:KIND",
                         help="such as vp:eps")  # fmt: skip
    convert.add_argument("--to", dest="target", required=True, metavar="PATH:KIND",
                         help="such as fm:v; the time is matched by log-SNR")  # fmt: skip
    convert.add_argument("--t", type=float, metavar="T", help="the time on the first path")
    convert.add_argument("--x", type=shared.number(-1e12, 1e12), metavar="X", help="a noisy value")
    convert.add_argument(
        "--value", type=shared.number(-1e12, 1e12), metavar="V", help="what is predicted there"
    )
    convert.add_argument("--in", dest="input", type=Path, metavar="FILE",
                         help="safetensors with x, value [B, ...] and t [B]")  # fmt: skip
    convert.add_argument("--out", type=Path, metavar="FILE", help="safetensors for the result")
    shared.add_json(convert)
    convert.set_defaults(tool_run=run_convert)


def run_verify(options: argparse.Namespace) -> int:
    """Prints the identity table and the orders."""
    from lmdm.diffusion import schedule as schedules
    from lmdm.theory.identities import Finding, continuous_findings, measured_order

    names = SCHEDULES if options.schedule == "all" else (options.schedule,)
    findings = continuous_findings(names)
    for name in names:
        for solver in ORDERS.get(name, ()):
            found = measured_order(solver, schedules.SCHEDULES[name](), (200, 400))
            claim = f"{name}: order of {solver} is {found.expected} (measured {found.order:.3f})"
            findings.append(Finding(claim, abs(found.order - found.expected), 0.15))
    return tell_findings(findings, options.json)


def tell_findings(findings: Sequence[Finding], as_json: bool) -> int:
    """Prints a table of claims; returns 1 if one of them fails."""
    failed = [each.name for each in findings if not each.passed]
    if as_json:
        rows = [each._asdict() | {"passed": each.passed} for each in findings]
        print(json.dumps({"findings": rows, "failed": failed}))
        return 1 if failed else 0
    width = max(len(each.name) for each in findings)
    for each in findings:
        verdict = "ok" if each.passed else "FAILED"
        print(f"{each.name:{width}}  {each.error:9.2e}  <= {each.allowed:.2e}  {verdict}")
    print(f"{len(findings) - len(failed)} of {len(findings)} hold")
    return 1 if failed else 0


def run_order(options: argparse.Namespace) -> int:
    """Prints errors by number of steps, and the order."""
    from lmdm.diffusion import schedule as schedules
    from lmdm.theory.identities import measured_order

    steps = options.n
    if len(steps) < 2 or any(after <= before for before, after in itertools.pairwise(steps)):
        raise InputError(f"--n {' '.join(map(str, steps))}: give two or more numbers that rise")
    found = measured_order(options.solver, schedules.SCHEDULES[options.schedule](), steps)
    if options.json:
        print(json.dumps(found._asdict() | {"solver": options.solver, "passed": found.passed}))
    else:
        for count, error in zip(found.steps, found.errors, strict=True):
            print(f"{count:6d} steps   |Var - V|/V = {error:.3e}")
        print(f"order {found.order:.3f}, theory {found.expected}")
    return 0 if found.passed else 1


def run_sample(options: argparse.Namespace) -> int:
    """Samples with the exact score; writes samples, a picture and a report."""
    import torch
    from safetensors.torch import save_file

    from lmdm.diffusion import sampling
    from lmdm.diffusion import schedule as schedules
    from lmdm.diffusion.prediction import Kind
    from lmdm.theory import mixtures, pictures
    from lmdm.theory.reports import write_report
    from lmdm.weights import write_beside

    schedule = schedules.SCHEDULES[options.schedule]()
    data = mixtures.preset(options.data)
    times, solver = _grid(options, schedule), _solver(options)
    numbers = torch.Generator().manual_seed(options.seed)
    x = sampling.prior((options.count, 2), schedule, numbers, torch.float64)
    denoiser = data.denoiser(schedule, Kind(options.kind))
    end = sampling.sample(denoiser, schedule, times, solver, x, numbers)
    fresh = data.draw(options.count, torch.Generator().manual_seed(options.seed + 1))
    another = data.draw(options.count, torch.Generator().manual_seed(options.seed + 2))
    folder = make_folder(options.out)
    write_beside(folder / "samples.safetensors", lambda part: save_file({"x": end}, part))
    pictures.scatter(end, fresh, f"{options.solver}, {options.steps} steps", folder / "samples.png")
    report: dict[str, Any] = {
        "schedule": options.schedule,
        "solver": options.solver,
        "steps": options.steps,
        "nfe": sampling.evaluations(solver, times, schedule),
        "alpha_at_the_start": float(schedule.alpha(float(times[0]))),  # 0: the prior is exact
        "sliced_w2": round(mixtures.sliced_w2(end, fresh), 5),
        "sliced_w2_of_two_fresh_samples": round(mixtures.sliced_w2(fresh, another), 5),
    }
    write_report(folder, report)
    if options.json:
        print(json.dumps(report))
    else:
        for key, value in report.items():
            print(f"{key.replace('_', ' '):32} {value}")
        print(f"written to {folder}")
    return 0


def _grid(options: argparse.Namespace, schedule: Schedule) -> Tensor:
    """The times of a walk that ends at the cleanest one.

    Where alpha is 0 at the noisy end, kinds and solvers that are singular there begin just before.
    """
    from lmdm.diffusion import grid

    clean, noisy = schedule.valid_range
    last = noisy
    if float(schedule.alpha(noisy)) == 0.0:
        last = clean + 0.999 * (noisy - clean)
    first = clean + 1e-4 * (noisy - clean)
    if options.grid == "t":
        times = grid.uniform_t(schedule, options.steps, first, last)
    elif options.grid == "lambda":
        ends = [float(schedule.lambda_(t)) for t in (last, first)]
        times = grid.uniform_lambda(schedule, options.steps, *ends)
    elif options.grid == "rho":
        levels = [float(schedule.sigma(t)) / float(schedule.alpha(t)) for t in (first, last)]
        times = grid.edm_rho(schedule, options.steps, max(0.002, levels[0]), levels[1])
    elif noisy != 1.0:
        raise InputError(f"--grid {options.grid} is for paths on 0..1; edm takes t, lambda or rho")
    elif options.grid == "ddpm":
        if options.steps > 1000:
            raise InputError(f"--grid ddpm has 1000 steps at most; {options.steps} are asked for")
        times = grid.ddpm_indices(options.steps).clamp(first, last)
    else:
        times = grid.shifted(grid.uniform_t(schedule, options.steps, first, last), options.shift)
    return times


def _solver(options: argparse.Namespace) -> Solver:
    from lmdm.diffusion.solvers import DDIM, EDMHeun, Euler
    from lmdm.theory import identities

    if options.solver == "ddim":
        return DDIM(options.eta)
    if options.solver == "euler-maruyama":
        return Euler(options.ell)
    if options.solver == "edm":
        return EDMHeun.churned(options.churn, options.steps)
    return identities.SOLVERS[options.solver][0]


def run_convert(options: argparse.Namespace) -> int:
    """Converts a number or a file of tensors, or prints the numbers of the affine map."""
    import torch

    source, target = (_path_and_kind(each) for each in (options.source, options.target))
    if options.input is not None:
        if options.out is None:
            raise InputError("--in needs --out, the file for the result")
        return _convert_file(options, source, target)
    if options.t is None:
        raise InputError("give --t, the time on the first path, or --in with a file of tensors")
    if (options.x is None) != (options.value is None):
        raise InputError("--x and --value belong together")
    given = [(1.0, 0.0), (0.0, 1.0)]
    if options.x is not None:
        given.append((options.x, options.value))
    probes = torch.tensor(given, dtype=torch.float64)
    t = torch.full((len(given),), options.t, dtype=torch.float64)
    y, value, s = _carried(probes[:, 0], probes[:, 1], t, source, target)
    report: dict[str, Any] = {"t": float(s[0]), "x_scale": float(y[0])}
    report |= {"on_x": float(value[0]), "on_value": float(value[1])}
    if options.x is not None:
        report |= {"x": float(y[2]), "value": float(value[2])}
    if options.json:
        print(json.dumps(report))
        return 0
    print(f"{options.target} at t = {report['t']:.10g}, x' = {report['x_scale']:.10g} x")
    print(f"value' = {report['on_x']:.10g} x + {report['on_value']:.10g} value")
    if options.x is not None:
        print(f"x' = {report['x']:.10g}, value' = {report['value']:.10g}")
    return 0


def _carried(
    x: Tensor, value: Tensor, t: Tensor, source: tuple[Any, Any], target: tuple[Any, Any]
) -> tuple[Tensor, Tensor, Tensor]:
    """x, value and t on the other path, of predictions [B, ...] at times [B]."""
    from lmdm.diffusion.matching import carried
    from lmdm.diffusion.prediction import SingularTimeError

    first, last = source[0].valid_range
    if not bool(((t >= first) & (t <= last)).all()):
        raise InputError(f"times of this path lie in {first:g}..{last:g}; t is {float(t[0]):g}")
    try:
        return carried(x, value, t, source, target)
    except SingularTimeError as problem:
        raise InputError(str(problem)) from None


def _convert_file(
    options: argparse.Namespace, source: tuple[Any, Any], target: tuple[Any, Any]
) -> int:
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    from lmdm.weights import read_header, write_beside

    header = read_header(options.input)
    for name in ("x", "value", "t"):
        if name not in header:
            raise InputError(
                f"{options.input} lacks the tensor {name!r}: x, value and t are needed"
            )
        if not header[name].dtype.startswith(("F", "BF")):
            raise InputError(f"{options.input}: {name!r} is not a floating-point tensor")
    x_shape, value_shape, t_shape = (list(header[name].shape) for name in ("x", "value", "t"))
    if value_shape != x_shape or not x_shape or t_shape != x_shape[:1]:
        raise InputError(
            f"{options.input}: x {x_shape} and value {value_shape} must be of one shape [B, ...], "
            f"and t {t_shape} of shape [B]"
        )
    check_file(options.out)
    try:
        given = load_file(options.input)
    except (SafetensorError, OSError) as problem:
        raise InputError(f"{options.input} cannot be read ({problem})") from None
    y, value, s = _carried(given["x"], given["value"], given["t"].double(), source, target)
    result = {"x": y.contiguous(), "value": value.contiguous(), "t": s.contiguous()}
    write_beside(options.out, lambda part: save_file(result, part))
    print(json.dumps({"out": str(options.out)}) if options.json else f"written to {options.out}")
    return 0


def run_plot(options: argparse.Namespace) -> int:
    """Draws schedules.png and orders.png."""
    from lmdm.theory import plots

    folder = make_folder(options.out)
    plots.schedules(folder / "schedules.png")
    plots.orders(folder / "orders.png")
    print(f"written to {folder}")
    return 0


def _path_and_kind(text: str) -> tuple[Any, Any]:
    """A schedule and a kind from a word such as vp:eps."""
    from lmdm.diffusion import schedule as schedules
    from lmdm.diffusion.prediction import Kind

    path, _, kind = text.partition(":")
    if path not in schedules.SCHEDULES or kind not in KINDS:
        raise InputError(
            f"{text!r} is not PATH:KIND; paths: {', '.join(SCHEDULES)}; kinds: {', '.join(KINDS)}"
        )
    return schedules.SCHEDULES[path](), Kind(kind)
