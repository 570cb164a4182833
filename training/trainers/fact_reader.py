"""The projectors taught alone: projected tokens learn to point at fixed prototypes of what was measured.

A language model that is still learning the captions' form drowns the little gradient that the place of the brightest
cell has. So the projectors learn the facts first, in seconds, from encoded pairs; the prototypes are dropped.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Trainer

from dataset_builder.claims.grounding import CELLS, FACT_KINDS
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMModel
from training.data.conversations import BOTH
from training.data.fact_features import UNKNOWN, FactFeatures
from training.data.fact_texts import PLACES, VALUES
from training.trainers.captioning import PROJECTOR

NAMED = ("level", "brightest")  # kinds whose prototypes are the words of their values; others are drawn
SHARPNESS = 0.5  # of the scores: projected tokens have a spread of about one, before `projector_scale`
QUIET = 0.02  # of the spread that projectors start with: what they say of facts then stands out


def fact_prototypes(words: Tensor, tokenizer: PreTrainedTokenizerBase, seed: int) -> dict[str, Tensor]:
    """Returns unit vectors `(values, hidden_size)` by kind of fact: the values' words, centred, or drawn at random.

    Args:
        words: Word embeddings `(vocabulary, hidden_size)`.
        tokenizer: Of these words.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    prototypes = {}
    for kind, values in VALUES.items():
        if kind in NAMED:
            ids = [tokenizer(f" {value}", add_special_tokens=False)["input_ids"] for value in values]
            vectors = torch.stack([words[tokens].float().mean(0) for tokens in ids])
            vectors = vectors - vectors.mean(0)
        else:
            vectors = torch.randn(len(values), words.shape[1], generator=generator)
        prototypes[kind] = functional.normalize(vectors.detach().cpu(), dim=1)
    return prototypes


class FactReader(nn.Module):
    """Encoded pairs -> how well their projected tokens tell each value of each kind of fact.

    The mean of an image's projected tokens is compared with the prototypes; for `relation`, which is of both images,
    the sum of both means.

    Args:
        core: Whose projectors are read, and trained where they require gradients.
        prototypes: Of `fact_prototypes`.
        rearranged: Share of the training pairs whose cells change places, in both images alike, the named cells with
            them: no place is learned by heart. Only where image tokens are the cells that facts are measured in.
        images: Which are read, of `rgb` and `ir`: from RGB alone, its mean has to tell all.
    """

    def __init__(
        self,
        core: FusionRSVLMModel,
        prototypes: Mapping[str, Tensor],
        rearranged: float = 0.0,
        images: Sequence[str] = BOTH,
    ) -> None:
        super().__init__()
        self.core, self.images = core, images
        for kind, vectors in prototypes.items():
            self.register_buffer(kind, vectors.clone(), persistent=False)
        cells = core.config.pooling == "grid" and core.config.num_image_tokens == len(CELLS)
        self.rearranged = rearranged if cells else 0.0

    def forward(self, hidden: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Returns the sum of the kinds' cross-entropies, `loss`, and which kinds are right, bool `(pairs, kinds)`.

        Args:
            hidden: `(pairs, 2, 1 + tokens, hidden_size)`, RGB first.
            targets: Of `FactFeatures`, `(pairs, kinds)`.
        """
        if self.training and self.rearranged:
            hidden, targets = rearrange_cells(hidden, targets, self.rearranged)
        with torch.autocast(hidden.device.type, enabled=False):
            scores = self.scores(hidden.float())
        loss = sum(
            functional.cross_entropy(scores[kind], targets[:, column], ignore_index=UNKNOWN, reduction="sum")
            / (targets[:, column] != UNKNOWN).sum().clamp(min=1)
            for column, kind in enumerate(FACT_KINDS)
        )
        right = [scores[kind].argmax(1) == targets[:, column] for column, kind in enumerate(FACT_KINDS)]
        return {"loss": loss, "right": torch.stack(right, dim=1)}

    def scores(self, hidden: Tensor) -> dict[str, Tensor]:
        """Returns logits `(pairs, values)` by kind of fact."""
        is_infrared = torch.arange(2, device=hidden.device).repeat(len(hidden)) == 1  # (2 * pairs,)
        tokens = self.core.project_hidden(hidden.flatten(0, 1), is_infrared) / self.core.config.projector_scale
        said = tokens.mean(1).unflatten(0, (-1, 2))  # (pairs, 2, text hidden_size)
        projectors = self.core.multi_modal_projector
        places = torch.stack([projector.position.mean(0) for projector in (projectors.rgb, projectors.ir)])
        read = dict(zip(BOTH, (said - places).unbind(1)))
        shown = [read[name] for name in self.images]
        return {
            kind: SHARPNESS * (sum(shown) if kind == "relation" else shown[-1]) @ getattr(self, kind).T
            for kind in FACT_KINDS
        }


def rearrange_cells(hidden: Tensor, targets: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Gives the cells of some pairs other places, in both images alike, and names cells by their new places.

    Args:
        hidden: `(pairs, 2, 1 + cells, hidden_size)`, the class token first, which stays.
        targets: `(pairs, kinds)`.
        share: Of the pairs that are changed, drawn from torch's generator.
    """
    pairs, cells = len(hidden), hidden.shape[2] - 1
    chosen = torch.rand(pairs, 1, device=hidden.device) < share
    order = torch.rand(pairs, cells, device=hidden.device).argsort(1)  # the old cell that comes to each place
    order = torch.where(chosen, order, torch.arange(cells, device=hidden.device))
    moved = functional.pad(order + 1, (1, 0))[:, None, :, None].expand_as(hidden)
    places, targets = order.argsort(1), targets.clone()  # new place of each old cell
    for kind in PLACES:
        column = FACT_KINDS.index(kind)
        known = targets[:, column] != UNKNOWN
        new = places.gather(1, targets[:, column].clamp(min=0)[:, None]).squeeze(1)
        targets[:, column] = torch.where(known, new, targets[:, column])
    return hidden.gather(2, moved), targets


def quieten(core: FusionRSVLMModel) -> None:
    """Lowers the spread that new projectors start with, so that they begin by saying next to nothing."""
    with torch.no_grad():
        for projector in (core.multi_modal_projector.rgb, core.multi_modal_projector.ir):
            projector.out.weight.mul_(QUIET)


class ProjectorTrainer(Trainer):
    """HF Trainer of a `FactReader` on `FactFeatures`: of the model it holds, the projectors it reads are trained."""

    def __init__(self, model: FactReader, *args: object, **kwargs: object) -> None:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(any(f"{PROJECTOR}.{image}." in name for image in model.images))
        super().__init__(model, *args, **kwargs)
        self.model_accepts_loss_kwargs = False


@torch.no_grad()
def fact_accuracy(reader: FactReader, features: FactFeatures, batch_size: int = 256) -> dict[str, float]:
    """Returns the share of pairs whose value is told rightly, by kind of fact."""
    reader.eval()
    targets = torch.stack([features[index]["targets"] for index in range(len(features))])
    right = [
        reader(hidden.to(reader.level.device), part.to(reader.level.device))["right"]
        for hidden, part in zip(features.hidden.split(batch_size), targets.split(batch_size))
    ]
    return dict(zip(FACT_KINDS, torch.cat(right).float().mean(0).tolist()))
