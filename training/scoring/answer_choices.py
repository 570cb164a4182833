"""Answers that a VLM finds likeliest: of all answers to a question, whole, so that reading is parted from decoding."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import QUESTIONS
from training.data.fact_texts import VALUES, value_words

Choices = Mapping[str, np.ndarray]  # by kind of fact: place in `VALUES` of the likeliest answer of each row, `(rows,)`


def choose_answers(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor | None,
    batch_size: int = 32,
) -> Choices:
    """Asks each of `QUESTIONS` about each row and takes the likeliest of all answers.

    Args:
        model, processor: The VLM.
        pixels: RGB and infrared, `(rows, 2, 3, height, width)`; None: no images, one row.
        batch_size: Rows at a time.
    """
    model.eval()
    return {
        kind: answer_costs(model, processor, question, [value_words(kind, value) for value in VALUES[kind]], pixels,
                           batch_size).argmin(1)
        for kind, question in QUESTIONS.items()
    }  # fmt: skip


@torch.inference_mode()
def answer_costs(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    question: str,
    answers: list[str],
    pixels: Tensor | None,
    batch_size: int = 32,
) -> np.ndarray:
    """Returns the negative log-likelihood of each answer and its end, nats, `(rows, answers)`.

    The prompt is read once a row, and all its answers go on from there.

    Args:
        model, processor, pixels, batch_size: As for `choose_answers`.
        question: What is asked.
        answers: None begins as another ends: the end of the turn counts.
    """
    images = 0 if pixels is None else pixels.shape[1]
    prompt = prompt_ids(processor, question, images).to(model.device)
    ids, mask = answer_ids(processor, question, answers, images)
    ids, mask = ids.to(model.device), mask.to(model.device)  # (answers, longest)
    costs = []
    for start in range(0, 1 if pixels is None else len(pixels), batch_size):
        part = None if pixels is None else pixels[start : start + batch_size].to(model.device)
        rows = 1 if part is None else len(part)
        tokens = prompt.expand(rows, -1)
        read = model(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            pixel_values=None if part is None else part.flatten(0, 1),
            use_cache=True,
            logits_to_keep=1,
        )
        first = read.logits[:, -1].float().log_softmax(-1)[:, ids[:, 0]]  # (rows, answers)
        read.past_key_values.batch_repeat_interleave(len(ids))
        seen = torch.ones(rows * len(ids), tokens.shape[1], dtype=mask.dtype, device=mask.device)
        following = model(
            input_ids=ids.repeat(rows, 1),
            attention_mask=torch.cat([seen, mask.repeat(rows, 1)], dim=1),
            past_key_values=read.past_key_values,
            use_cache=True,
        ).logits[:, :-1]  # (rows * answers, longest - 1, vocabulary)
        chosen = ids[:, 1:].repeat(rows, 1).unsqueeze(-1)
        rest = following.float().log_softmax(-1).gather(2, chosen).squeeze(-1) * mask[:, 1:].repeat(rows, 1)
        costs.append(-(first + rest.sum(1).unflatten(0, (rows, -1))).cpu())
    return torch.cat(costs).numpy()


def prompt_ids(processor: FusionRSVLMProcessor, prompt: str, images: int = 2) -> Tensor:
    """Returns the ids of a prompt about a pair, or about no image, ready for the answer, `(1, length)`."""
    text = processor.apply_chat_template(_asked(prompt, images), add_generation_prompt=True)
    run = processor.image_token * processor.num_image_tokens
    for marker in ("<rgb>", "<ir>")[:images]:
        text = text.replace(processor.image_token, f"{marker}\0", 1)
    return processor.tokenizer(text.replace("\0", run), add_special_tokens=False, return_tensors="pt")["input_ids"]


def answer_ids(processor: FusionRSVLMProcessor, prompt: str, answers: list[str], images: int) -> tuple[Tensor, Tensor]:
    """Returns the ids of answers with their end, as in training, and which are no padding, `(answers, n)` each."""
    asked = _asked(prompt, images)
    begun = processor.apply_chat_template(asked, add_generation_prompt=True)
    told = [[*asked, {"role": "assistant", "content": answer}] for answer in answers]
    texts = [processor.apply_chat_template(turns).removeprefix(begun) for turns in told]
    batch = processor.tokenizer(
        texts, add_special_tokens=False, padding=True, padding_side="right", return_tensors="pt"
    )
    return batch["input_ids"], batch["attention_mask"]


def _asked(prompt: str, images: int) -> list[dict[str, object]]:
    content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": prompt}]
    return [{"role": "user", "content": content}]
