"""What every test gets: one thread, empty caches, no network but loopback, a loopback Hub and a client of it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.made.hub_server import LoopbackHub, set_environment

# Set before any test module imports a library that reads them. One thread: small tensors are up to 18 times slower on
# two. Hub libraries stay offline here; a test of theirs runs in `hub_client` or in a process with `hub.environment()`.
HOME = tempfile.TemporaryDirectory(prefix="fusionrs-tests-")
for name in [name for name in os.environ if name.startswith("HF_")]:
    del os.environ[name]
os.environ |= {"HF_HOME": HOME.name, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def refuse_network(event: str, arguments: tuple) -> None:
    """Audit hook: lets sockets connect to this machine only."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
        if host not in ("localhost", "::1") and not str(host).startswith("127."):
            raise RuntimeError(f"a test connected to {host}; tests may use this machine only, see the `hub` fixture")


sys.addaudithook(refuse_network)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    """A running loopback Hub, shared by all tests: take a repository name of your own."""
    with LoopbackHub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="session")
def hub_client(hub: LoopbackHub) -> Iterator[ProcessPoolExecutor]:
    """One process that knows the Hub: `hub_client.submit(function, *arguments).result()`.

    The function is one of a test module's own, imports Hub libraries inside, takes and returns what pickles.
    """
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=set_environment, initargs=(hub.environment(),)) as client:
        yield client
