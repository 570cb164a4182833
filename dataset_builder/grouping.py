"""Keys and footprints -> image groups (rows that show the same thing) and joint groups (held together).

Apart from `splits.py` because training, scoring and audits use the groups without any split.
"""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from dataset_builder.hashing import HASH_BITS, caption_key, normalize_caption

IMAGE_RELATIONS = ("bytes", "rgb_phash", "ir_phash", "footprint")
RELATIONS = (*IMAGE_RELATIONS, "caption")
JOINING_ORIGINS = ("source", "hand", "model")  # never `rule`: template captions would join everything
LOCATOR = re.compile(r"(?P<scene>.+)@r(?P<row>\d+)c(?P<column>\d+)s(?P<size>\d+)")


@dataclass(frozen=True, slots=True)
class Groups:
    """What `group` found, row by row.

    Args:
        image_group_id, joint_group_id: An id a row: prefix and 24 hex digits of SHA-256 over the members' ids.
        components: The ten largest joint groups of two rows or more: `size` in rows, the `relation` that alone joins
            most of it, `merges` by relation (joins that each alone makes), `sample_id` of the first member by name.
    """

    image_group_id: list[str]
    joint_group_id: list[str]
    components: list[dict]


def near_pairs(hashes: np.ndarray, radius: int) -> np.ndarray:
    """Finds every pair of distinct hashes within a Hamming radius, exactly.

    `radius` differing bits touch at most `radius` of `radius + 2` bands, so two near hashes agree in two whole bands:
    only hashes that share such a pair of bands are compared (pigeonhole).

    Args:
        hashes: uint64 `(n,)`, without duplicates.
        radius: Largest number of differing bits, 0 to 62.

    Returns:
        int64 `(pairs, 2)`, indices with the smaller first, sorted, each pair once.
    """
    edges = np.linspace(0, HASH_BITS, radius + 3).astype(int)
    masks = [((1 << int(high)) - (1 << int(low))) for low, high in itertools.pairwise(edges)]
    found = [np.empty((0, 2), np.int64)]
    for first, second in itertools.combinations(masks, 2):
        keys = hashes & np.uint64(first | second)
        order = np.argsort(keys, kind="stable")
        for left, right in _pairs_in_runs(keys[order]):
            pairs = np.stack([order[left], order[right]], axis=1)
            distance = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
            found.append(np.sort(pairs[distance <= radius], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _pairs_in_runs(ordered: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields all pairs of positions inside runs of equal values, one distance after the other: memory stays O(n)."""
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
    lengths = np.diff(np.r_[starts, len(ordered)])
    end = np.repeat(starts + lengths, lengths)  # (n,), one past the run that holds each position
    left = np.flatnonzero(np.arange(len(ordered)) + 1 < end)
    distance = 1
    while len(left):
        yield left, left + distance
        distance += 1
        left = left[left + distance < end[left]]


def connected_components(count: int, edges: np.ndarray) -> np.ndarray:
    """Labels the connected components of an undirected graph.

    Args:
        count: Number of nodes.
        edges: Integers `(edges, 2)`.

    Returns:
        int32 `(count,)`: equal labels, equal component.
    """
    ones = np.ones(len(edges), dtype=bool)
    graph = sparse.coo_array((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def group(columns: Mapping[str, Sequence], radius: int = 4, relations: Sequence[str] = RELATIONS) -> Groups:
    """Joins rows into image groups and joint groups; the result does not depend on the order of the rows.

    Args:
        columns: `sample_id`, and what the relations read: `rgb_phash`, `ir_phash` (hex or null), `ir_band`; for
            `bytes` `_rgb_sha256` and `_ir_sha256`; for `footprint` `bbox` and `source_locator`; for `caption`
            `captions` and `caption_origin`.
        radius: Hamming radius of the perceptual hashes, in bits of 64.
        relations: Which join, of `RELATIONS`. Infrared hashes join within one `ir_band`; captions only beyond images.

    Raises:
        ValueError: A relation is unknown, or two rows have one `sample_id`.
    """
    unknown = sorted(set(relations) - set(RELATIONS))
    if unknown:
        raise ValueError(f"unknown relations {unknown}; relations are {list(RELATIONS)}")
    ids = list(columns["sample_id"])
    if len(set(ids)) != len(ids):
        raise ValueError(f"sample_id must be unique, {len(ids) - len(set(ids))} of {len(ids)} rows repeat one")
    edges = {name: _EDGES[name](columns, radius) for name in RELATIONS if name in relations}
    none = [np.empty((0, 2), np.int64)]
    image_edges = np.concatenate(none + [edges[name] for name in IMAGE_RELATIONS if name in edges])
    image = connected_components(len(ids), image_edges)
    joint = connected_components(len(ids), np.concatenate([image_edges, edges.get("caption", none[0])]))
    return Groups(
        image_group_id=_name_components(ids, image, "image-group"),
        joint_group_id=_name_components(ids, joint, "joint-group"),
        components=_largest(ids, joint, edges),
    )


def _chain(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Edges `(edges, 2)` that link rows of equal value one after the other: n rows, n - 1 edges."""
    order = np.argsort(values, kind="stable")
    same = values[order][1:] == values[order][:-1]
    return np.stack([rows[order][:-1][same], rows[order][1:][same]], axis=1).astype(np.int64)


def _known(values: Sequence) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([row for row, value in enumerate(values) if value is not None], dtype=np.int64)
    return rows, np.array([values[row] for row in rows])


def _byte_edges(columns: Mapping[str, Sequence], radius: int) -> np.ndarray:
    digests = [_known(columns[name]) for name in ("_rgb_sha256", "_ir_sha256")]
    return np.concatenate([_chain(values, rows) for rows, values in digests])


def _hash_edges(hashes: Sequence[str | None], radius: int) -> np.ndarray:
    rows, texts = _known(hashes)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    values = np.array([int(text, 16) for text in texts], dtype=np.uint64)
    distinct, first = np.unique(values, return_index=True)
    return np.concatenate([_chain(values, rows), rows[first][near_pairs(distinct, radius)]])


def _ir_hash_edges(columns: Mapping[str, Sequence], radius: int) -> np.ndarray:
    found = [np.empty((0, 2), np.int64)]
    bands = columns["ir_band"]
    for band in sorted({band for band in bands if band is not None}):
        hashes = [value if own == band else None for value, own in zip(columns["ir_phash"], bands, strict=True)]
        found.append(_hash_edges(hashes, radius))
    return np.concatenate(found)


def _footprint_edges(columns: Mapping[str, Sequence], radius: int) -> np.ndarray:
    """Rows that share more than half of the smaller footprint: in scene pixels where known, else by WGS 84 box."""
    parsed = [LOCATOR.fullmatch(locator or "") for locator in columns["source_locator"]]
    scenes = {name: index for index, name in enumerate(sorted({found["scene"] for found in parsed if found}))}
    tiles, boxes = [], []
    for row, (found, bbox) in enumerate(zip(parsed, columns["bbox"], strict=True)):
        scene = scenes[found["scene"]] if found else -1
        if found:
            left, top, size = int(found["column"]), int(found["row"]), int(found["size"])
            tiles.append((row, scene, left, top, left + size, top + size))
        if bbox:
            west, south, east, north = bbox
            boxes.append((row, scene, west, south, east + 360 * (east < west), north))  # across the antimeridian
    within = _overlapping(np.array(tiles, dtype=np.float64).reshape(-1, 6), same_scene=True)
    between = _overlapping(np.array(boxes, dtype=np.float64).reshape(-1, 6), same_scene=False)
    return np.concatenate([within, between])


def _overlapping(boxes: np.ndarray, same_scene: bool) -> np.ndarray:
    """Pairs of rows whose boxes share more than half of the smaller one's area.

    Args:
        boxes: `(n, 6)`: row, scene (-1 where unknown), then corners `x0, y0, x1, y1`. Empty ones join none.
        same_scene: Compare boxes of one scene (pixels of its grid), or only those not known to be of one (degrees).
    """
    boxes = boxes[(boxes[:, 4:] > boxes[:, 2:4]).all(1)]
    distinct, member = np.unique(boxes[:, 1:], axis=0, return_inverse=True)
    rows = boxes[:, 0].astype(np.int64)
    member = member.reshape(-1)
    edges = [_chain(member, rows)]
    if len(distinct):
        first = rows[np.unique(member, return_index=True)[1]]
        scene, low, high = distinct[:, 0], distinct[:, 1:3], distinct[:, 3:5]
        size = high - low
        # More than half in common means that the smaller one's centre lies inside the larger one.
        reach = size.max() / 2
        centre = np.c_[(low + high) / 2, scene * 4 * reach if same_scene else np.zeros(len(scene))]
        left, right = cKDTree(centre).query_pairs(reach, p=np.inf, output_type="ndarray").reshape(-1, 2).T
        shared = np.clip(np.minimum(high[left], high[right]) - np.maximum(low[left], low[right]), 0, None).prod(1)
        smaller = np.minimum(size[left].prod(1), size[right].prod(1))
        keep = (shared > smaller / 2) & (((scene[left] == scene[right]) & (scene[left] >= 0)) == same_scene)
        edges.append(np.stack([first[left[keep]], first[right[keep]]], axis=1))
    return np.concatenate(edges)


def _caption_edges(columns: Mapping[str, Sequence], radius: int) -> np.ndarray:
    rows, keys = [], []
    for row, (captions, origins) in enumerate(zip(columns["captions"], columns["caption_origin"], strict=True)):
        for text, origin in zip(captions, origins, strict=True):
            if origin in JOINING_ORIGINS and normalize_caption(text):
                rows.append(row)
                keys.append(caption_key(text))
    return _chain(np.array(keys, dtype="U64"), np.array(rows, dtype=np.int64))


_EDGES = {
    "bytes": _byte_edges,
    "rgb_phash": lambda columns, radius: _hash_edges(columns["rgb_phash"], radius),
    "ir_phash": _ir_hash_edges,
    "footprint": _footprint_edges,
    "caption": _caption_edges,
}


def _name_components(ids: Sequence[str], labels: np.ndarray, prefix: str) -> list[str]:
    digests = {}
    for row in sorted(range(len(ids)), key=ids.__getitem__):
        digests.setdefault(labels[row], hashlib.sha256()).update(ids[row].encode() + b"\n")
    names = {label: f"{prefix}:{digest.hexdigest()[:24]}" for label, digest in digests.items()}
    return [names[label] for label in labels]


def _largest(ids: Sequence[str], labels: np.ndarray, edges: Mapping[str, np.ndarray], count: int = 10) -> list[dict]:
    by_name = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    found, first, sizes = np.unique(labels[by_name], return_index=True, return_counts=True)
    largest = [index for index in np.lexsort((first, -sizes))[:count] if sizes[index] > 1]
    alone = {name: connected_components(len(ids), pairs) for name, pairs in edges.items()}
    components = []
    for index in largest:
        rows = np.flatnonzero(labels == found[index])
        merges = {name: len(rows) - len(np.unique(parts[rows])) for name, parts in alone.items()}
        components.append(
            {
                "size": len(rows),
                "relation": max(merges, key=merges.get),
                "merges": {name: merged for name, merged in merges.items() if merged},
                "sample_id": ids[by_name[first[index]]],
            }
        )
    return components
