"""Runs all attacks and prints a table kind x verb: held of tried; exit code 1 if any failed."""

import argparse
import importlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

KINDS = {
    "A": "tests.attacks.kind_a",
    "B": "tests.attacks.schedules",
    "C": "tests.attacks.kind_c",
    "M": "tests.attacks.kind_m",
    "O": "tests.attacks.kind_o",
    "training": "tests.attacks.finished_training",
    "kills": "tests.attacks.kills",
    "files": "tests.attacks.hostile_corpus",
    "values": "tests.attacks.wrong_values",
    "memory": "tests.attacks.memory",
}
MEANING = {"M": "M and N", "files": "D, H and I", "values": "E, F, G, K, P and Q"}


def set_environment(home: Path) -> None:
    """As `tests/conftest.py`: one thread, empty caches, no Hub; scratch files in a folder of this run's own."""
    for name in [name for name in os.environ if name.startswith("HF_")]:
        del os.environ[name]
    os.environ |= {"HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.environ |= {"TMPDIR": str(home / "tmp"), "MPLCONFIGDIR": str(home / "mpl"), "CUDA_VISIBLE_DEVICES": ""}
    (home / "tmp").mkdir()
    tempfile.tempdir = None


def tried(attacks: Iterable, home: Path, stock: object, say: Callable[[str], None]) -> Iterator[tuple]:
    """Yields each attack and why it failed, `""` where it held."""
    from tests.attacks.attack import Room

    for number, attack in enumerate(attacks):
        room, begin = Room(home / f"room{number}", stock), time.monotonic()
        room.path.mkdir()
        try:
            attack.go(room)
            failure = ""
        except AssertionError as error:
            failure = str(error) or "failed"
        except (OSError, ValueError, KeyError, LookupError, RuntimeError) as error:  # the attack itself is at fault
            failure = f"could not be tried: {type(error).__name__}: {error}"
        shutil.rmtree(room.path, ignore_errors=True)
        mark = f"FAILED: {failure}" if failure else "held"
        say(f"{attack.kind:8} {attack.verb:11} {attack.name:48} {time.monotonic() - begin:5.1f} s  {mark}")
        yield attack, failure


def table(results: Iterable[tuple]) -> str:
    """Returns the table kind x verb; a cell is `held/tried`."""
    counts, held = Counter(), Counter()
    for attack, failure in results:
        counts[attack.kind, attack.verb] += 1
        held[attack.kind, attack.verb] += not failure
    kinds = list(dict.fromkeys(kind for kind, _ in counts))
    verbs = list(dict.fromkeys(verb for _, verb in counts))
    lines = [f"{'kind':10}" + "".join(f"{verb:>12}" for verb in verbs)]
    for kind in kinds:
        cells = [f"{held[kind, verb]}/{counts[kind, verb]}" if counts[kind, verb] else "-" for verb in verbs]
        lines.append(f"{kind:10}" + "".join(f"{cell:>12}" for cell in cells))
    lines.append(f"{held.total()} of {counts.total()} held, {counts.total() - held.total()} failed")
    return "\n".join(lines)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--verb", nargs="+", help="those on these verbs only")
    parser.add_argument("--name", default="", help="those whose name holds this only")
    parser.add_argument("--kills", type=int, default=50, help="of each verb that is killed (default: 50)")
    parser.add_argument("--points", type=int, default=6, help="write points of each pair of verbs (default: 6)")
    parser.add_argument("--list", action="store_true", help="print what would be tried")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fusionrs-attacks-") as place:
        home = Path(place).resolve()
        set_environment(home)
        settings = {"B": {"points": arguments.points}, "kills": {"kills": arguments.kills}}
        attacks = [
            attack
            for kind in arguments.kind
            for attack in importlib.import_module(KINDS[kind]).attacks(**settings.get(kind, {}))
            if (not arguments.verb or attack.verb in arguments.verb) and arguments.name in attack.name
        ]
        if arguments.list:
            sys.stdout.writelines(f"{attack.kind} {attack.verb}: {attack.name}\n" for attack in attacks)
            return 0
        results = list(_tried_all(attacks, home))
    sys.stdout.write("\n" + table(results) + "\n")
    return int(any(failure for _, failure in results))


def _tried_all(attacks: list, home: Path) -> Iterator[tuple]:
    from tests.attacks.stock import make_stock
    from tests.attacks.verbs import PRELOADED

    for name in PRELOADED:
        importlib.import_module(name)
    logging.disable(logging.NOTSET)
    stock = make_stock(home / "stock")

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    yield from tried(attacks, home, stock, say)


if __name__ == "__main__":
    sys.exit(main())
