"""Answers that a VLM finds likeliest: of all answers, whole, so that reading is parted from decoding."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor
from fusionrs_hf.prompts import FACTS_PROMPT, QUESTIONS
from training.data.fact_texts import VALUES, facts_sentence, value_words

Choices = Mapping[str, np.ndarray]  # by kind of fact: place in `VALUES` of the answer of each row, -1: none, `(rows,)`


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
    images = 0 if pixels is None else pixels.shape[1]
    choices = {}
    for kind, question in QUESTIONS.items():
        answers = [value_words(kind, value) for value in VALUES[kind]]
        ends = answer_ids(processor, question, answers, images)
        prompt = prompt_ids(processor, question, images).expand(1 if pixels is None else len(pixels), -1)
        choices[kind] = continuation_costs(model, pixels, prompt, torch.ones_like(prompt), *ends, batch_size).argmin(1)
    return choices


def choose_in_sentences(
    model: FusionRSVLMForConditionalGeneration,
    processor: FusionRSVLMProcessor,
    pixels: Tensor | None,
    written: Sequence[Mapping[str, str | None]],
    batch_size: int = 32,
) -> Choices:
    """Takes the likeliest value of each fact at its place in the sentence of facts, after what was written before it.

    Args:
        model, processor, pixels, batch_size: As for `choose_answers`.
        written: Value of each fact that the model wrote of each row, None where it told none; one row without pixels.
    """
    model.eval()
    asked = prompt_ids(processor, FACTS_PROMPT, 0 if pixels is None else pixels.shape[1])[0].tolist()
    tokenizer, pad = processor.tokenizer, processor.tokenizer.pad_token_id
    choices = {}
    for column, kind in enumerate(FACT_KINDS):
        forms = [_parts({kind: value}) for value in VALUES[kind]]
        ids, mask = _padded([tokenizer(form, add_special_tokens=False)["input_ids"] for form in forms], pad)
        begun = [
            asked + tokenizer(_begun(values, FACT_KINDS[:column]), add_special_tokens=False)["input_ids"]
            for values in written
        ]
        tokens, seen = _padded(begun, pad, left=True)
        choices[kind] = continuation_costs(model, pixels, tokens, seen, ids, mask, batch_size).argmin(1)
    return choices


def _begun(values: Mapping[str, str | None], kinds: Sequence[str]) -> str:
    """The sentence of facts up to a kind: `Infrared: dark, low contrast,`."""
    told = facts_sentence({kind: values[kind] for kind in kinds})[:-1]
    return f"{told}," if any(values[kind] for kind in kinds) else "Infrared:"


def _parts(values: Mapping[str, str]) -> str:
    """A value as the sentence of facts goes on with it, and what ends it: ` brightest north,`."""
    (kind,) = values
    told = facts_sentence(values).removeprefix("Infrared:")
    return told if kind == FACT_KINDS[-1] else f"{told[:-1]},"


def _padded(sequences: Sequence[list[int]], pad: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Token ids in rows of one length, and which are no padding, `(rows, longest)` each."""
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(longest - len(sequence), None) if left else slice(len(sequence))
        ids[row, place], mask[row, place] = torch.tensor(sequence), 1
    return ids, mask


@torch.inference_mode()
def continuation_costs(
    model: FusionRSVLMForConditionalGeneration,
    pixels: Tensor | None,
    tokens: Tensor,
    seen: Tensor,
    ids: Tensor,
    mask: Tensor,
    batch_size: int,
) -> np.ndarray:
    """Returns the negative log-likelihood of each continuation of each row, nats, `(rows, continuations)`.

    What comes before is read once a row, and all continuations go on from there.

    Args:
        model: The VLM.
        pixels: `(rows, images, 3, height, width)`; None: no images.
        tokens, seen: What each row begins with, and which of it is no padding, `(rows, length)`; padding is left.
        ids, mask: The continuations, and which of them is no padding, `(continuations, longest)`; padding is right.
        batch_size: Rows at a time.
    """
    ids, mask = ids.to(model.device), mask.to(model.device)
    costs = []
    for start in range(0, len(tokens), batch_size):
        part = None if pixels is None else pixels[start : start + batch_size].to(model.device).flatten(0, 1)
        begun, kept = (rows[start : start + batch_size].to(model.device) for rows in (tokens, seen))
        read = model(input_ids=begun, attention_mask=kept, pixel_values=part, use_cache=True, logits_to_keep=1)
        first = read.logits[:, -1].float().log_softmax(-1)[:, ids[:, 0]]  # (rows, continuations)
        read.past_key_values.batch_repeat_interleave(len(ids))
        rest = mask.repeat(len(begun), 1)  # (rows * continuations, longest)
        following = model(
            input_ids=ids.repeat(len(begun), 1),
            attention_mask=torch.cat([kept.repeat_interleave(len(ids), dim=0), rest], dim=1),
            past_key_values=read.past_key_values,
            use_cache=True,
        ).logits[:, :-1]  # (rows * continuations, longest - 1, vocabulary)
        chosen = ids[:, 1:].repeat(len(begun), 1).unsqueeze(-1)
        told = following.float().log_softmax(-1).gather(2, chosen).squeeze(-1) * rest[:, 1:]
        costs.append(-(first + told.sum(1).unflatten(0, (len(begun), -1))).cpu())
    return torch.cat(costs).numpy()


def prompt_ids(processor: FusionRSVLMProcessor, prompt: str, images: int = 2) -> Tensor:
    """Returns the ids of a prompt about a pair, or about no image, ready for the answer, `(1, length)`."""
    text = processor.apply_chat_template(_asked(prompt, images), add_generation_prompt=True)
    run = processor.image_token * processor.num_image_tokens
    for marker in ("<rgb>", "<ir>")[:images]:
        text = text.replace(processor.image_token, f"{marker}\0", 1)
    return processor.tokenizer(text.replace("\0", run), add_special_tokens=False, return_tensors="pt")["input_ids"]


def answer_ids(processor: FusionRSVLMProcessor, prompt: str, answers: list[str], images: int) -> tuple[Tensor, Tensor]:
    """Returns the ids of answers with their end, as in training, and which are no padding, `(answers, n)` each.

    With its end no answer begins another.
    """
    asked = _asked(prompt, images)
    begun = processor.apply_chat_template(asked, add_generation_prompt=True)
    told = [[*asked, {"role": "assistant", "content": answer}] for answer in answers]
    texts = [processor.apply_chat_template(turns).removeprefix(begun) for turns in told]
    tokens = [processor.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return _padded(tokens, processor.tokenizer.pad_token_id)


def _asked(prompt: str, images: int) -> list[dict[str, object]]:
    content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": prompt}]
    return [{"role": "user", "content": content}]
