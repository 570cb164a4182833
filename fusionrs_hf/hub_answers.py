"""The one way to ask a Hub, by whichever library: within `asking_hub` its answers are bounded, see `hub_client`."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def asking_hub() -> Iterator[None]:
    """Lets this process's clients of the Hub take bounded answers, in the block and from then on."""
    from fusionrs_hf.hub_client import bound_answers  # slow to import: who asks no Hub does without

    bound_answers()
    yield
