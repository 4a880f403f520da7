"""``python -m benchmarks SUITE [NAME ...]``: run the figures of a suite, or some of them."""

import sys
from collections.abc import Callable, Iterable
from itertools import chain

from benchmarks import contracts, core
from benchmarks.crms import figures as crms
from benchmarks.figures import Figure
from benchmarks.flow import figures as flow
from benchmarks.join import figures as join

SUITES: dict[str, Callable[[frozenset[str]], Iterable[Figure]]] = {
    "core": core.figures,
    "contracts": contracts.figures,
    "crms": crms.figures,
    "join": join.figures,
    "kafka": lambda names: chain(flow.figures(names), join.figures(names) if not names else ()),
}


def main() -> None:
    """Print the figures as they are measured."""
    suite, *names = sys.argv[1:] or ["core"]
    if suite not in SUITES:
        sys.exit(f"unknown suite '{suite}'; there are: {', '.join(SUITES)}")
    for figure in SUITES[suite](frozenset(names)):
        print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
