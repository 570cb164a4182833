"""Encoded pairs beside their measured facts: what the projectors are taught from, before the language model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from dataset_builder.claims.grounding import FACT_KINDS, InfraredFacts, measure
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMModel
from fusionrs_hf.processing_fusionrs_images import check_infrared
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from training.data.fact_texts import VALUES, fact_values

UNKNOWN = -100  # target of what was not measured
PAIR = "<rgb><image><ir><image>"  # the processor checks that RGB comes first


def measure_row(row: Mapping[str, Any], processor: FusionRSVLMProcessor) -> InfraredFacts:
    """Measures a row's infrared and its relation to the RGB; deeper than 8 bit is scaled as the processor does."""
    infrared = check_infrared(row["ir"], processor.limits(row["ir_band"]))
    return measure(np.asarray(infrared), np.asarray(row["rgb"].convert("RGB")))


@dataclass(frozen=True, slots=True)
class FactFeatures(TorchDataset):
    """Pairs as the projectors read them, and what was measured of each.

    Args:
        hidden: Features of RGB and infrared, before standardisation, `(pairs, 2, 1 + tokens, hidden_size)`.
        values: Value of each of `FACT_KINDS` of each pair; None where it was not measured.
    """

    hidden: Tensor
    values: Sequence[Mapping[str, str | None]]

    @classmethod
    @torch.no_grad()
    def encode(
        cls,
        model: FusionRSVLMModel,
        processor: FusionRSVLMProcessor,
        rows: Iterable[Mapping[str, Any]],
        batch_size: int = 32,
    ) -> Self:
        """Encodes and measures rows with `rgb`, `ir` and `ir_band`; each process gets the rows of all."""
        hidden, values, remaining = [], [], iter(rows)
        while part := list(islice(remaining, batch_size)):
            images = [image for row in part for image in (row["rgb"], row["ir"])]
            bands = [row["ir_band"] for row in part]
            pixels = processor(images=images, text=PAIR * len(part), ir_bands=bands, return_tensors="pt")
            encoded = model.get_image_features(pixels["pixel_values"].to(model.device)).last_hidden_state
            hidden += [*encoded.float().cpu().unflatten(0, (-1, 2)).numpy()]  # (2, 1 + tokens, hidden_size) each
            values += [fact_values(measure_row(row, processor)) for row in part]
        gathered = gather_object(list(zip(hidden, values)))
        return cls(torch.from_numpy(np.stack([pair for pair, _ in gathered])), [value for _, value in gathered])

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Returns `hidden` of one pair and `targets`, the place of each kind's value in `VALUES`, `(kinds,)`."""
        values = self.values[index]
        targets = [UNKNOWN if values[kind] is None else VALUES[kind].index(values[kind]) for kind in FACT_KINDS]
        return {"hidden": self.hidden[index], "targets": torch.tensor(targets)}
