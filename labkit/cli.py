"""The command line: `labkit up`, `doctor`, `bench`, `kube-proxy`, `check`, `coverage`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import labkit
from labkit.errors import LabError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when all is well, 1 when not, 2 for a wrong call."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["kube-proxy"]:  # its flags are kube-proxy's own, and read as those are
        return _kube_proxy(given[1:])
    arguments = _parser().parse_args(given)
    try:
        code: int = arguments.run(arguments)
    except LabError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labkit", description="Kubernetes networking, for real, on this machine.")
    parser.add_argument("--version", action="version", version=f"labkit {labkit.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="a lab in the foreground, until Ctrl-C")
    up.add_argument("--nodes", type=int, default=3, help="number of nodes (3)")
    up.add_argument("--zones", default="a,b", help="their zones, with commas (a,b)")
    up.add_argument("--cni", default="ptp", help="how pods hang on their node: ptp or bridge (ptp)")
    up.add_argument("--sandbox", default="", help="what it lives in: namespaces, uml or auto (auto)")
    up.add_argument(
        "--manifest", action="append", default=[], metavar="FILE", help="Kubernetes YAML to apply; may be repeated"
    )
    up.add_argument("--kubeconfig", default="", metavar="PATH", help="where to put the lab's kubeconfig while it runs")
    up.add_argument("--keep", metavar="NAME", help="come back with the objects and keys of this name's lab")
    up.set_defaults(run=_up)

    doctor = commands.add_parser("doctor", help="what this machine offers for a lab, and what is missing")
    doctor.add_argument("--json", action="store_true", help="the same as JSON")
    doctor.set_defaults(run=_doctor)

    bench = commands.add_parser("bench", help="measure, beside the bare tools, in one run")
    bench.add_argument(
        "what",
        choices=["start", "api", "proxy"],
        help="start: from nothing to 30 pods and 10 Services that answer; api: the API over TLS, beside etcd; "
        "proxy: thousands of Services in the modes of kube-proxy",
    )
    bench.add_argument(
        "part",
        nargs="?",
        default="",
        choices=["", "iptables", "nftables", "connect"],
        metavar="PART",
        help="one part of proxy alone: iptables, nftables: Services written and changed; connect: how long it takes to "
        "connect to the last of 10 to 10,000 Services in each mode",
    )
    bench.add_argument("--rounds", type=int, default=5, help="how often to repeat (5)")
    bench.add_argument("--sandbox", choices=["namespaces", "uml"], default="namespaces", help="which kind, for start")
    bench.add_argument("--json", action="store_true", help="figures as JSON")
    bench.set_defaults(run=_bench, wrong=bench.error)

    commands.add_parser("kube-proxy", help="the network proxy of a node by itself, with kube-proxy's own flags")

    check = commands.add_parser("check", help="execute a notebook without a browser and say what it saw")
    check.add_argument("notebook", type=Path)
    check.set_defaults(run=_check)

    coverage = commands.add_parser("coverage", help="which points of the curriculum the notebooks demonstrate")
    coverage.add_argument("--missing", action="store_true", help="also list the points that no notebook demonstrates")
    coverage.add_argument("--notebooks", default="notebooks", metavar="DIR", help="where the notebooks are (notebooks)")
    coverage.set_defaults(run=_coverage)
    return parser


# Each command imports what it needs: `labkit --version` need not wait for pandas.


def _up(arguments: argparse.Namespace) -> int:
    from labkit.lab.up import up

    zones = arguments.zones.split(",")
    a = arguments
    return up(a.nodes, zones, a.cni, a.manifest, a.sandbox, a.kubeconfig, a.keep)


def _kube_proxy(given: Sequence[str]) -> int:
    from labkit.cluster.standalone import main

    return main(given)


def _doctor(arguments: argparse.Namespace) -> int:
    from labkit.lab.doctor import examine

    report = examine()
    print(report.as_json() if arguments.json else report)
    return 0 if report.usable else 1


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.part and arguments.what != "proxy":
        arguments.wrong(f"{arguments.what} has no parts, and {arguments.part} is one of proxy")
    from labkit.lab.bench.api import bench_api
    from labkit.lab.bench.proxy import bench_proxy
    from labkit.lab.bench.start import bench_start

    match arguments.what:
        case "api":
            report = bench_api(arguments.rounds)
        case "proxy":
            report = bench_proxy(arguments.rounds, arguments.part)
        case _:
            report = bench_start(arguments.rounds, arguments.sandbox)
    print(report.as_json() if arguments.json else report)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from labkit.learn.execution import execute

    seen = execute(arguments.notebook)
    print(seen)
    return 0 if seen.good else 1


def _coverage(arguments: argparse.Namespace) -> int:
    from labkit.learn import coverage

    return coverage.main(["--notebooks", arguments.notebooks, *(["--missing"] if arguments.missing else [])])


if __name__ == "__main__":
    sys.exit(main())
