"""The learned translator in a build: what ships or was trained, with an interval and a verdict for every image."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.translators.radiometric import RadiometricTranslator
from dataset_builder.translators.stage import Translation, check_band
from fusionrs_hf.errors import InputError, nearest, shown
from fusionrs_hf.modeling_fusionrs_translator import UNKNOWN
from fusionrs_hf.pipeline_fusionrs_translator import RGB2IRPipeline, to_grey
from fusionrs_hf.translator import load_pipeline

logger = logging.getLogger(__name__)

WARN_AFTER = 32  # images that are looked at before it is said that they are of another kind
BLOCK_SHARE = 0.5  # of an image's blocks that must lie in the domain


class LearnedTranslator:
    """Infrared-style images by `FusionRSTranslator`; the seeds are not used.

    Of images of a scene that it was trained on, shown in that scene's stretch, it gives its median. Where nothing is
    known of the radiometry it gives the mean of its median and the radiometric formula, brought to one level by
    numbers that are the same for every image. Each image comes with the mean width of its 80 % interval and with
    whether it is of the kind that was trained on, by the image's own statistics.

    Args:
        model: Folder or Hub id; None: the one that ships.
        revision: Of a Hub id.
        condition: A scene of the model, or `unknown`.
        batch_size: Parts of images in a step.
    """

    name = "learned"

    def __init__(
        self, model: str | None = None, revision: str | None = None, condition: str = UNKNOWN, batch_size: int = 16
    ) -> None:
        self.pipeline: RGB2IRPipeline = load_pipeline(model, revision)
        conditions = list(self.pipeline.translator.config.conditions)
        if condition not in conditions:
            raise InputError(f"the translator knows no condition {shown(condition)}; {nearest(condition, conditions)}")
        self.pipeline.set_progress_bar_config(disable=True)
        self.condition, self.batch_size = condition, batch_size
        self.formula, self._seen, self._foreign = RadiometricTranslator(), 0, 0
        self.bands = tuple(self.pipeline.translator.bands_of(condition))
        self.revision = weights_digest(self.pipeline)
        told = "shipped" if model is None else Path(model).name if Path(model).exists() else model
        self.settings: Mapping[str, Any] = {
            "model": told,
            "condition": condition,
            "blend": condition == UNKNOWN,
            "interval": 0.8,
        }

    def translate(self, images: Sequence[np.ndarray], band: str, seeds: Sequence[int]) -> list[np.ndarray]:
        """Returns uint8 `(h, w)` for each uint8 `(h, w, 3)`; raises InputError for a band that is none of `bands`."""
        return [translation.image for translation in self.translate_with_trust(images, band)]

    def translate_with_trust(self, images: Sequence[np.ndarray], band: str) -> list[Translation]:
        """Returns the same images, each with its interval and verdict; raises InputError as `translate`."""
        check_band(self, band)
        shown = [image.astype(np.float32) / 255 for image in images]
        results = []
        for values, quantiles in zip(shown, self.quantiles(images, shown, band)):
            low, median, high = to_grey(quantiles)
            results.append(Translation(median, low, high, self.share_in_domain(values) >= BLOCK_SHARE))
        self._warn(results)
        return results

    def _warn(self, results: Sequence[Translation]) -> None:
        """Says once, early, that the images are of another kind than the model was trained on."""
        if self._seen >= WARN_AFTER:
            return
        self._seen += len(results)
        self._foreign += sum(not result.in_domain for result in results)
        if self._seen >= WARN_AFTER and self._foreign > self._seen / 2:
            logger.warning(
                "%d of the first %d images are of another kind than the translator was trained on (condition %s): its "
                "intervals do not hold there; see translator_in_domain, or train it on pairs of this imagery",
                self._foreign,
                self._seen,
                self.condition,
            )

    def quantiles(self, images: Sequence[np.ndarray], shown: Sequence[np.ndarray], band: str) -> list[np.ndarray]:
        """Returns low, median and high, float32 `(3, h, w)` each, blended where nothing is known.

        Args:
            images: uint8 `(h, w, 3)`.
            shown: The same in 0 to 1.
            band: One of `bands`.
        """
        predicted = self.pipeline.predict(shown, band, self.condition, self.batch_size)
        if self.condition != UNKNOWN or band not in self.formula.bands:
            return predicted
        formulas = self.formula.translate(images, band, [0] * len(images))
        return [values + self.towards_formula(values, formula, band) for values, formula in zip(predicted, formulas)]

    def towards_formula(self, quantiles: np.ndarray, formula: np.ndarray, band: str) -> np.ndarray:
        """Returns half of what the formula differs from the median by, float32 `(h, w)`."""
        place = list(self.pipeline.translator.config.bands).index(band)
        scale, offset = self.pipeline.translator.blend[place].tolist()
        return (scale * formula.astype(np.float32) / 255 + offset - quantiles[1]) / 2

    def share_in_domain(self, shown: np.ndarray) -> float:
        """Returns the share of an image's blocks that are like the training tiles; `shown` is in 0 to 1."""
        return float((self.pipeline.domain_distance(shown, self.condition) <= 1).mean())


def weights_digest(pipeline: RGB2IRPipeline) -> str:
    """Returns twelve digits that tell these weights from any others."""
    digest = hashlib.sha256()
    for name, value in sorted(pipeline.translator.state_dict().items()):
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
