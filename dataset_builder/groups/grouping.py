"""Keys and footprints -> image groups (rows that show the same thing) and joint groups (held together).

Apart from `splits.py` because training, scoring and audits use the groups without any split.
"""

import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset_builder.groups.components import merge
from dataset_builder.groups.footprints import footprint_components, ground_boxes
from dataset_builder.groups.near_hashes import near_components
from dataset_builder.schema import LOCATOR

IMAGE_RELATIONS = ("bytes", "rgb_phash", "ir_phash", "footprint")
RELATIONS = (*IMAGE_RELATIONS, "caption")
JOINING_ORIGINS = ("source", "hand", "model")  # never `rule`: template captions would join everything
LARGE_SHARE = 0.01  # a joint group of more than this share of the rows calls for a warning
CHUNK = 1 << 20  # rows named at a time
HEX_DIGITS = 24  # of a group's name


@dataclass(frozen=True, slots=True)
class Groups:
    """What `group` found, row by row.

    Args:
        image, joint: int32 `(rows,)`, which group a row is of, numbered from 0 in the order of the first member's id.
        image_group_id, joint_group_id: Strings, a row each: prefix and 24 hex digits of SHA-256 over the members'
            sorted ids, each followed by a line feed.
        components: The ten largest joint groups of two rows or more: `size` in rows, `share` of all rows, the
            `relation` that alone joins most of it, `merges` by relation (joins that each alone makes), `sample_id` of
            the first member by id.
    """

    image: np.ndarray
    joint: np.ndarray
    image_group_id: pa.Array
    joint_group_id: pa.Array
    components: list[dict]


def group(rows: pa.Table, radius: int = 4, relations: Sequence[str] = RELATIONS) -> Groups:
    """Joins rows into image groups and joint groups; the result does not depend on the order of the rows.

    Args:
        rows: `sample_id`, and what the relations read: `rgb_phash`, `ir_phash` (16 hex digits or null), `ir_band`; for
            `bytes` `_rgb_sha256` and `_ir_sha256` (32 bytes or null); for `footprint` `bbox`, `source_locator` and
            `gsd_m`; for `caption` `_caption_keys` (lists of 16 bytes, only of captions of `JOINING_ORIGINS`).
        radius: Hamming radius of the perceptual hashes, in bits of 64.
        relations: Which join, of `RELATIONS`. Infrared hashes join within one `ir_band`; captions only beyond images.

    Raises:
        ValueError: A relation is unknown, two rows have one `sample_id` or one has none, or a hash or a box is none.
    """
    unknown = sorted(set(relations) - set(RELATIONS))
    if unknown:
        raise ValueError(f"unknown relations {unknown}; relations are {list(RELATIONS)}")
    ids = _column(rows, "sample_id", pa.large_string())
    by_id = _order_of_names(ids)
    links = {name: _LINKS[name](rows, radius) for name in RELATIONS if name in relations}
    image = np.arange(len(ids), dtype=np.int32)
    for name in (name for name in IMAGE_RELATIONS if name in links):
        image = merge(image, *links[name])
    joint = merge(image, *links["caption"]) if "caption" in links else image
    image, joint = _numbered(image, by_id), _numbered(joint, by_id)
    image_names, joint_names = _names(ids, by_id, image, joint)
    return Groups(image, joint, image_names, joint_names, _largest(ids, by_id, joint, links))


def _column(rows: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    chunks = rows[name].cast(kind).chunks
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)


def _order_of_names(ids: pa.Array) -> np.ndarray:
    """Returns the rows sorted by id, int32."""
    if ids.null_count:
        raise ValueError(f"sample_id must not be null, it is in {ids.null_count} of {len(ids)} rows")
    order = pc.sort_indices(ids)
    ordered = ids.take(order)
    repeated = pc.sum(pc.equal(ordered[1:], ordered[:-1])).as_py() or 0
    if repeated:
        raise ValueError(f"sample_id must be unique, {repeated} of {len(ids)} rows repeat one")
    return order.to_numpy().astype(np.int32)


def _known(values: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Returns the rows whose value is not null, int32, and these values."""
    if not values.null_count:
        return np.arange(len(values), dtype=np.int32), values
    return np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False)).astype(np.int32), values.drop_null()


def _star(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Edges `(2, edges)` of rows from each to the one that labels its component: a forest."""
    moved = np.flatnonzero(labels != np.arange(len(labels)))
    return np.stack([rows[moved], rows[labels[moved]]])


def _forest(count: int, edges: np.ndarray) -> np.ndarray:
    rows = np.arange(count, dtype=np.int32)
    return _star(rows, merge(rows, *edges))


def _equal_links(values: pa.Array, rows: np.ndarray) -> np.ndarray:
    """Edges `(2, edges)` that link rows of equal value one after the other.

    Args:
        values: Fixed-size binary of whole words of 8 bytes, without nulls.
        rows: Integers, the row of each value.
    """
    if not len(values):
        return np.empty((2, 0), np.int32)
    words = values.type.byte_width // 8
    keys = np.frombuffer(values.buffers()[1], np.uint64, len(values) * words, values.offset * words * 8)
    keys = keys.reshape(-1, words)
    order = np.argsort(keys[:, 0])
    same = np.diff(keys[order, 0]) == 0
    order = order[np.append(same, False) | np.insert(same, 0, False)]  # few: those whose first word repeats
    order = order[np.lexsort(keys[order].T)]
    same = (keys[order[1:]] == keys[order[:-1]]).all(1)
    return np.stack([rows[order[:-1][same]], rows[order[1:][same]]])


def _byte_links(rows: pa.Table, radius: int) -> np.ndarray:
    edges = []
    for name in ("_rgb_sha256", "_ir_sha256"):
        indices, values = _known(_column(rows, name, pa.binary(32)))
        edges.append(_equal_links(values, indices))
    return _forest(len(rows), np.concatenate(edges, axis=1))


def _hashes(rows: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows with a hash, and the hashes as uint64."""
    indices, texts = _known(_column(rows, name, pa.large_binary()))
    if not len(texts):
        return indices, np.empty(0, np.uint64)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64, len(texts) + 1, texts.offset * 8)
    try:
        if (np.diff(ends) != 16).any():
            raise binascii.Error
        return indices, np.frombuffer(binascii.unhexlify(data[ends[0] : ends[-1]]), ">u8").astype(np.uint64)
    except binascii.Error:
        raise ValueError(f"{name} must be 16 hex digits a row, or null") from None


def _rgb_links(rows: pa.Table, radius: int) -> np.ndarray:
    indices, hashes = _hashes(rows, "rgb_phash")
    return _star(indices, near_components(hashes, radius))


def _ir_links(rows: pa.Table, radius: int) -> np.ndarray:
    indices, hashes = _hashes(rows, "ir_phash")
    bands = _column(rows, "ir_band", pa.string()).dictionary_encode()
    band = bands.indices.fill_null(-1).to_numpy()[indices]
    edges = [np.empty((2, 0), np.int32)]
    for code in range(len(bands.dictionary)):
        inside = np.flatnonzero(band == code)
        edges.append(_star(indices[inside], near_components(hashes[inside], radius)))
    return np.concatenate(edges, axis=1)


def _footprint_links(rows: pa.Table, radius: int) -> np.ndarray:
    """Rows that share more than half of the smaller footprint: in scene pixels where known, else by WGS 84 box."""
    locators = pc.extract_regex(_column(rows, "source_locator", pa.string()), f"^{LOCATOR.pattern}$")
    indices, locators = _known(locators)
    scenes = np.full(len(rows), -1, dtype=np.int32)
    scenes[indices] = locators.field("scene").dictionary_encode().indices.to_numpy()
    left, top, size = (locators.field(name).cast(pa.float64()).to_numpy() for name in ("column", "row", "size"))
    tiles, corners = np.full((2, len(rows), 4), np.nan)
    tiles[indices] = np.stack([left, top, left + size, top + size], axis=1)
    indices, boxes = _known(_column(rows, "bbox", pa.list_(pa.float64())))
    sizes = boxes.value_lengths().to_numpy()
    if not np.isin(sizes, (0, 4)).all():
        raise ValueError("bbox must be west, south, east and north, or null")
    corners[indices[sizes == 4]] = boxes.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    pixel_m = _column(rows, "gsd_m", pa.float64()).to_numpy(zero_copy_only=False)
    corners = ground_boxes(corners, (tiles[:, 2] - tiles[:, 0]) * pixel_m)
    return _star(np.arange(len(rows), dtype=np.int32), footprint_components(scenes, tiles, corners))


def _caption_links(rows: pa.Table, radius: int) -> np.ndarray:
    lists = _column(rows, "_caption_keys", pa.list_(pa.binary(16)))
    parents = np.repeat(np.arange(len(lists), dtype=np.int32), lists.value_lengths().fill_null(0))
    indices, values = _known(lists.flatten())
    return _forest(len(rows), _equal_links(values, parents[indices]))


_LINKS: Mapping[str, Callable[[pa.Table, int], np.ndarray]] = {
    "bytes": _byte_links,
    "rgb_phash": _rgb_links,
    "ir_phash": _ir_links,
    "footprint": _footprint_links,
    "caption": _caption_links,
}


def _numbered(labels: np.ndarray, by_id: np.ndarray) -> np.ndarray:
    """Returns labels int32 that count components from 0, by their first member in the order given."""
    ordered = labels[by_id]
    first = np.full(len(labels), len(labels), dtype=np.int32)  # by label, where in the order it comes first
    np.minimum.at(first, ordered, np.arange(len(labels), dtype=np.int32))
    leads = first[ordered] == np.arange(len(labels))
    return (np.cumsum(leads, dtype=np.int32) - 1)[first[labels]]


def _names(ids: pa.Array, by_id: np.ndarray, image: np.ndarray, joint: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """Returns the names of the image groups and of the joint groups, row by row."""
    sizes, joint_sizes = np.bincount(image), np.bincount(joint)
    digests = _digests(ids, by_id[np.argsort(image[by_id], kind="stable")], sizes)
    names = _spelled("image-group:", digests, image)
    image_group = np.zeros(len(joint_sizes), dtype=np.int32)
    image_group[joint] = image  # any image group of a joint group; the only one where they are of one size
    wider = joint_sizes != sizes[image_group]
    digests = digests[image_group]
    order = by_id[wider[joint[by_id]]]
    digests[wider] = _digests(ids, order[np.argsort(joint[order], kind="stable")], joint_sizes[wider])
    return names, _spelled("joint-group:", digests, joint)


def _digests(ids: pa.Array, order: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """First half of each group's digest, bytes `(groups, 12)`; groups follow each other in the order of rows."""
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.arange(CHUNK, len(order), CHUNK), side="right")
    digests = np.empty((len(sizes), HEX_DIGITS // 2), dtype=np.uint8)
    sha256 = hashlib.sha256
    nothing, line_feed = (pa.scalar(text, ids.type) for text in ("", "\n"))
    for cut, stop in zip([0, *cuts], [*cuts, len(sizes)], strict=True):
        start = ends[cut - 1] if cut else 0
        if cut == stop:
            continue
        lines = pc.binary_join_element_wise(ids.take(pa.array(order[start : ends[stop - 1]])), nothing, line_feed)
        _, offsets, data = lines.buffers()
        edges = np.frombuffer(offsets, np.int64)[np.concatenate([[0], ends[cut:stop] - start])].tolist()
        text = memoryview(data)
        digest_bytes = b"".join([sha256(text[low:high]).digest() for low, high in zip(edges, edges[1:], strict=False)])
        digests[cut:stop] = np.frombuffer(digest_bytes, np.uint8).reshape(stop - cut, -1)[:, : HEX_DIGITS // 2]
    return digests


def _spelled(prefix: str, digests: np.ndarray, labels: np.ndarray) -> pa.Array:
    digits = np.frombuffer(digests.tobytes().hex().encode(), np.uint8).reshape(-1, HEX_DIGITS)
    width = len(prefix) + HEX_DIGITS
    text = np.empty((len(labels), width), dtype=np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    for start in range(0, len(labels), CHUNK):
        text[start : start + CHUNK, len(prefix) :] = digits[labels[start : start + CHUNK]]
    wide = text.size >= 1 << 31
    ends = np.arange(len(labels) + 1, dtype=np.int64 if wide else np.int32) * width
    kind = pa.large_string() if wide else pa.string()
    return pa.Array.from_buffers(kind, len(labels), [None, pa.py_buffer(ends), pa.py_buffer(text)])


def large_components(components: Sequence[dict]) -> list[dict]:
    """Returns those of `Groups.components` that call for a warning: over `LARGE_SHARE` of the rows."""
    return [component for component in components if component["share"] > LARGE_SHARE]


def _largest(
    ids: pa.Array, by_id: np.ndarray, labels: np.ndarray, links: Mapping[str, np.ndarray], count: int = 10
) -> list[dict]:
    sizes, ordered = np.bincount(labels), labels[by_id]
    several = np.flatnonzero(sizes > 1)
    components = []
    for index in several[np.lexsort((several, -sizes[several]))[:count]]:
        # Each relation's links are a forest: as many as rows that it joins to others.
        merges = {name: int(np.count_nonzero(labels[edges[0]] == index)) for name, edges in links.items()}
        components.append(
            {
                "size": int(sizes[index]),
                "share": int(sizes[index]) / len(labels),
                "relation": max(merges, key=merges.get),
                "merges": {name: merged for name, merged in merges.items() if merged},
                "sample_id": ids[by_id[np.argmax(ordered == index)]].as_py(),
            }
        )
    return components
