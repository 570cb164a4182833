"""Rows of a dataset as embeddings, and the ranks of every retrieval direction among them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from scipy import sparse

from dataset_builder.groups.keys import caption_key
from fusionrs_hf.encoders import Encoder
from fusionrs_hf.errors import InputError
from training.metrics.cross_modal_recall.cross_modal_recall import both_ranks, equal_id_positives

TEXT_KINDS = {"scene": "captions", "ir_aware": "ir_captions"}


@dataclass(slots=True)
class EmbeddedTexts:
    """Captions of one kind, none or several a row.

    Args:
        owner: Row that each caption belongs to, `(texts,)`.
        keys: Caption keys, equal where captions are, `(texts,)`.
        embeds: Unit length, `(texts, size)`.
    """

    owner: np.ndarray
    keys: np.ndarray
    embeds: np.ndarray


@dataclass(slots=True)
class EmbeddedRows:
    """Rows of one or more bands as unit-length embeddings.

    Args:
        groups: `image_group_id`, `(rows,)`: rows of one group show the same scene.
        bands, sources: `ir_band` and `source_dataset`, `(rows,)`.
        images: By `rgb`, `ir` and, where asked for, `fused`: `(rows, size)`.
        texts: By kind of `TEXT_KINDS`; a kind that no row has is absent.
    """

    groups: np.ndarray
    bands: np.ndarray
    sources: np.ndarray
    images: dict[str, np.ndarray]
    texts: dict[str, EmbeddedTexts]

    def __len__(self) -> int:
        return len(self.groups)

    def select(self, rows: np.ndarray) -> "EmbeddedRows":
        """Returns these rows with their captions.

        Args:
            rows: Indices without repeats, `(chosen,)`.
        """
        place = np.full(len(self), -1)
        place[rows] = np.arange(len(rows))
        texts = {}
        for kind, captions in self.texts.items():
            inside = place[captions.owner] >= 0
            if inside.any():
                texts[kind] = EmbeddedTexts(
                    place[captions.owner[inside]], captions.keys[inside], captions.embeds[inside]
                )
        images = {modality: embeds[rows] for modality, embeds in self.images.items()}
        return EmbeddedRows(self.groups[rows], self.bands[rows], self.sources[rows], images, texts)


def embed_rows(encoder: Encoder, rows: Dataset, texts: bool = True) -> EmbeddedRows:
    """Embeds a dataset's rows: RGB, infrared and captions of both kinds.

    Raises:
        InputError: A row has no `image_group_id`.
    """
    require_groups(rows)
    bands = rows["ir_band"][:]
    return EmbeddedRows(
        np.asarray(rows["image_group_id"][:]),
        np.asarray(bands),
        np.asarray(rows["source_dataset"][:]),
        {"rgb": encoder.rgb(rows["rgb"]), "ir": encoder.ir(rows["ir"], bands)},
        embed_texts(encoder, rows) if texts else {},
    )


def embed_texts(encoder: Encoder, rows: Dataset) -> dict[str, EmbeddedTexts]:
    """Embeds the rows' captions of both kinds."""
    embedded_texts = {}
    for kind, column in TEXT_KINDS.items():
        captions = [row or [] for row in rows[column][:]]
        texts = [text for row in captions for text in row]
        if texts:
            owner = np.repeat(np.arange(len(captions)), [len(row) for row in captions])
            keys = np.asarray([caption_key(text) for text in texts])
            embedded_texts[kind] = EmbeddedTexts(owner, keys, encoder.text(texts))
    return embedded_texts


def require_groups(rows: Dataset) -> None:
    """Raises InputError unless every row says which group of alike images it belongs to.

    Raises:
        InputError: The column is missing or has empty values: duplicates would count as wrong answers unseen.
    """
    ids = rows["image_group_id"][:] if "image_group_id" in rows.column_names else [None]
    if missing := sum(not value for value in ids):
        raise InputError(
            f"{missing} of {len(rows)} rows have no image_group_id, so images of one scene would count as wrong "
            "answers; build the dataset by `fusionrs build`, or fill the column (a row of its own: its sample_id)"
        )


def text_positives(part: EmbeddedRows, kind: str) -> sparse.csr_array:
    """Returns which caption is a positive of which row's images, bool `(rows, texts)`.

    It is when its own row is of the same image group, or when the row has a caption with an equal key.
    """
    texts = part.texts[kind]
    same_group = equal_id_positives(part.groups, part.groups[texts.owner])
    of_row = sparse.csr_array(
        (np.ones(len(texts.owner), bool), (texts.owner, np.arange(len(texts.owner)))),
        shape=(len(part), len(texts.owner)),
    )
    same_key = of_row @ equal_id_positives(texts.keys, texts.keys)
    return ((same_group + same_key) > 0).tocsr()


def image_ranks(part: EmbeddedRows) -> dict[str, np.ndarray]:
    """Returns the ranks `(rows,)` of RGB -> infrared and back; rows of one image group are positives of each other."""
    positives = equal_id_positives(part.groups, part.groups)
    forward, backward = both_ranks(part.images["rgb"], part.images["ir"], positives)
    return {"rgb_to_ir": forward, "ir_to_rgb": backward}


def text_ranks(part: EmbeddedRows, modalities: Sequence[str] = ("rgb", "ir")) -> dict[str, np.ndarray]:
    """Returns the ranks of image -> text and back, keyed `rgb_to_text/scene` and so on.

    A row without a caption of the kind asks nothing, but stays in the gallery of the texts.
    """
    ranks = {}
    for kind, texts in part.texts.items():
        positives = text_positives(part, kind)
        for modality in modalities:
            forward, backward = both_ranks(part.images[modality], texts.embeds, positives)
            ranks[f"{modality}_to_text/{kind}"] = forward[forward >= 0]
            ranks[f"text_to_{modality}/{kind}"] = backward
    return ranks


def query_groups(part: EmbeddedRows, direction: str) -> np.ndarray:
    """Returns the image group that each query of a direction belongs to, `(queries,)`, in the order of its ranks."""
    pair, _, kind = direction.partition("/")
    if pair.startswith("text_"):
        return part.groups[part.texts[kind].owner]
    if pair.endswith("_text"):
        return part.groups[np.diff(text_positives(part, kind).indptr) > 0]
    return part.groups
