"""The peer's side of `grouping_scale`, for a Python that has imagededup: reads requests, writes answers, a line each.

The first line names a JSON file of hashes by image name; each further one is `[images, search_method, workers,
distance]`, the answer seconds and the pairs found among the first so many images. Imports nothing of this project.
"""

import importlib.metadata
import json
import sys
import time

from imagededup.methods import PHash


def main() -> None:
    """Answers until its input ends."""
    with open(json.loads(sys.stdin.readline())) as file:
        hashes = json.load(file)
    sys.stdout.write(json.dumps(importlib.metadata.version("imagededup")) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        images, method, workers, distance = json.loads(line)
        hasher, some = PHash(verbose=False), dict(list(hashes.items())[:images])
        began = time.perf_counter()
        found = hasher.find_duplicates(
            encoding_map=some, max_distance_threshold=distance, search_method=method, num_dist_workers=workers
        )
        seconds = time.perf_counter() - began
        pairs = [[name, other] for name, others in found.items() for other in others if name < other]
        sys.stdout.write(json.dumps({"seconds": seconds, "pairs": pairs}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
