"""Contrastive losses as pure functions of embeddings; gathering over processes and gradient caching are the trainer's.

Copied to the Hub as remote code: imports torch only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(left: Tensor, right: Tensor, logit_scale: Tensor, positives: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE (CLIP, arXiv 2103.00020) between two sets of unit-length embeddings, group-aware.

    With `positives`, each row's target is uniform over its positives (SupCon's outer sum, arXiv 2004.11362, eq. 2);
    with none, or with only the diagonal set, it is the plain loss.

    Args:
        left, right: `(batch, projection_dim)`; row i of each is the same scene.
        logit_scale: Inverse temperature, already exponentiated; scalar.
        positives: Bool, `(batch, batch)`, symmetric, diagonal true: which rows are not negatives of each other.

    Returns:
        Scalar loss.
    """
    logits = logit_scale * left @ right.T  # (batch, batch)
    if positives is None:
        target = torch.arange(len(left), device=left.device)  # (batch,)
    else:
        target = positives / positives.sum(1, keepdim=True)  # (batch, batch), rows sum to one
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def sigmoid_loss(
    left: Tensor, right: Tensor, logit_scale: Tensor, logit_bias: Tensor, positives: Tensor | None = None
) -> Tensor:
    """Pairwise sigmoid loss (SigLIP, arXiv 2303.15343, eq. 1), group-aware: every positive is an independent "yes".

    Args:
        left, right: Unit-length embeddings, `(batch, projection_dim)`; row i of each is the same scene.
        logit_scale: Inverse temperature, already exponentiated; scalar.
        logit_bias: Added to every logit; scalar. It starts negative, as most pairs are negatives.
        positives: Bool, `(batch, batch)`, diagonal true; None: the diagonal alone.

    Returns:
        Scalar loss: sum over all pairs, divided by the number of rows.
    """
    logits = logit_scale * left @ right.T + logit_bias  # (batch, batch)
    if positives is None:
        positives = torch.eye(len(left), dtype=torch.bool, device=left.device)
    return -F.logsigmoid(torch.where(positives, logits, -logits)).sum() / len(left)


def same_id(ids: Tensor) -> Tensor:
    """Returns the bool matrix `(batch, batch)` of equal ids, from integer ids `(batch,)`."""
    return ids[:, None] == ids[None, :]


def trimodal_loss(
    embeds: dict[str, Tensor],
    logit_scale: Tensor,
    weights: dict[tuple[str, str], float],
    image_ids: Tensor | None = None,
    caption_ids: Tensor | None = None,
    logit_bias: Tensor | None = None,
) -> Tensor:
    """Weighted mean of a contrastive loss over pairs of modalities (arXiv 2606.17020: RGB-text, IR-text and RGB-IR).

    Args:
        embeds: Unit-length embeddings `(batch, projection_dim)` by modality, `rgb`, `ir`, `fused`, `text`; any subset.
        logit_scale: Inverse temperature, already exponentiated; scalar.
        weights: Non-negative weight by pair of modalities; pairs of which a modality is missing do not count.
        image_ids: Integers `(batch,)`: rows with one id show the same thing and are no negatives of each other.
        caption_ids: Integers `(batch,)`: the same for rows with equal text; used where text is one side.
        logit_bias: Scalar of the sigmoid loss; None: symmetric InfoNCE.

    Returns:
        Scalar loss.

    Raises:
        ValueError: No weighted pair is complete.
    """
    terms = {pair: weight for pair, weight in weights.items() if weight and embeds.keys() >= set(pair)}
    if not terms:
        raise ValueError(f"a loss needs two modalities with a weighted pair, got {sorted(embeds)} and {weights}")
    image_positives = None if image_ids is None else same_id(image_ids)  # (batch, batch)
    text_positives = image_positives
    if caption_ids is not None:
        text_positives = same_id(caption_ids) if image_positives is None else image_positives | same_id(caption_ids)
    total = 0.0
    for (left, right), weight in terms.items():
        positives = text_positives if "text" in (left, right) else image_positives
        if logit_bias is None:
            term = info_nce(embeds[left], embeds[right], logit_scale, positives)
        else:
            term = sigmoid_loss(embeds[left], embeds[right], logit_scale, logit_bias, positives)
        total = total + weight * term
    return total / sum(terms.values())
