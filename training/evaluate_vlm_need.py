"""Scores which image a VLM needs for what it writes: both, one alone, none, and what another tile's image costs.

    fusionrs eval vlm-need --model runs/vlm --dataset runs/dataset --output runs/vlm/need.json

By generation alone, for any `AutoModelForImageTextToText` that takes two images. Claims that are judged by both images
(what becomes of a part of the visible image, how the two compare) are scored beside the facts: ask a model that writes
captions of the pair for one, `--prompt "Describe both images."`.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from tqdm.auto import tqdm

import fusionrs_hf.auto  # noqa: F401 - registers the classes
from dataset_builder.claims.grounding import InfraredFacts, measure
from dataset_builder.claims.judging import judge
from dataset_builder.shards.limits import declared_ir_range, reading_limits
from fusionrs_hf.arguments import Arguments, file_to_write, whole
from fusionrs_hf.processing_fusionrs_images import check_infrared
from fusionrs_hf.prompts import FACTS_PROMPT
from training.clip_arguments import IR_ORIGIN_SCORED, IR_ORIGINS
from training.data.dataset_contents import chosen_origin, scored_split
from training.data.held_folders import adding, holding
from training.evaluate_vlm import load_vlm
from training.scoring.fact_tables import balanced_sample, match_table, other_of_band
from training.scoring.held_out import representative_rows
from training.scoring.image_need import ClaimSupport, NeedResults, PairSupport, needed, pair_claims, swap_costs
from training.scoring.vlm_results import FactAccuracy

logger = logging.getLogger(__name__)

SHOWN = {  # condition -> which row's RGB and infrared are shown: its own, a donor's, none
    "both": ("own", "own"),
    "ir_alone": (None, "own"),
    "rgb_alone": ("own", None),
    "neither": (None, None),
    "ir_shuffled": ("own", "donor"),
    "rgb_shuffled": ("donor", "own"),
}
BOTH_SHUFFLED = "both_shuffled"  # what was written of the donor's pair
MAX_NEW_TOKENS = 128


def evaluate(
    model: Any,
    processor: Any,
    dataset: str,
    split: str = "test",
    pairs: int = 150,
    prompt: str = FACTS_PROMPT,
    batch_size: int = 32,
    seed: int = 0,
    ir_origin: str | None = "sensor",
) -> NeedResults:
    """Scores what a model writes of held-out pairs when it is shown both images, one, none, or another tile's.

    Args:
        model, processor: Any that take two images; ours takes infrared of one channel, others of three.
        dataset: Folder or Hub id. Deep infrared is scaled by our processor's limits, for others by the dataset's.
        split, pairs, seed, ir_origin: As for `fusionrs eval vlm`.
        prompt: What is asked.
        batch_size: Conversations at a time.
    """
    rows = representative_rows(dataset, split, ir_origin)
    rows = rows.select(balanced_sample(rows["ir_band"], pairs, seed))
    limits = processor.limits if is_ours(processor) else declared_ir_range(dataset).get
    infrared = [check_infrared(row["ir"], limits(row["ir_band"])) for row in rows]
    facts = [measure(np.asarray(ir), np.asarray(row["rgb"].convert("RGB"))) for ir, row in zip(infrared, rows)]
    donors = other_of_band(rows["ir_band"], rows["image_group_id"], seed)
    written = {}
    for name, kinds in SHOWN.items():
        asked = conversations_of(rows, infrared, donors, kinds, processor, prompt)
        alike = not any(kinds)  # one answer for all
        texts = write(model, processor, asked[:1] if alike else asked, batch_size, name)
        written[name] = texts * len(rows) if alike else texts
    written[BOTH_SHUFFLED] = [written["both"][donor] for donor in donors]
    matches = {name: match_table(texts, facts) for name, texts in written.items()}
    claimed = {name: pair_claims(texts, facts) for name, texts in written.items()}
    told = rows["joint_captions"][:] if "joint_captions" in rows.column_names else []
    if any(told):
        claimed["reference"] = pair_claims([texts[0] if texts else "" for texts in told], facts)
    bands, sources = np.asarray(rows["ir_band"]), np.asarray(rows["source_dataset"])
    tiles = list(rows["image_group_id"])
    return NeedResults(
        pairs=len(rows),
        seed=seed,
        prompt=prompt,
        facts={name: FactAccuracy.of_matches(table, bands, sources, tiles) for name, table in matches.items()},
        claims={name: claim_support(texts, facts) for name, texts in written.items()},
        needed=needed(matches),
        captions={name: texts[:5] for name, texts in written.items()},
        tiles=len({*tiles}),
        pair_claims={name: PairSupport.of_shares(*found, tiles, seed) for name, found in claimed.items()},
        costs=swap_costs(matches, {name: claimed[name][0] for name in matches}, tiles, seed),
    )


def is_ours(processor: Any) -> bool:
    """Whether a processor tells modalities by their channels, and knows limits of deeper infrared."""
    return hasattr(processor, "ir_image_processor")  # its class is another where it comes with the model's own code


def conversations_of(
    rows: Dataset,
    infrared: Sequence[Image.Image],
    donors: np.ndarray,
    kinds: tuple[str | None, str | None],
    processor: Any,
    prompt: str,
) -> list[list[dict[str, Any]]]:
    """Returns a conversation a row, with the images of a condition of `SHOWN`."""
    single = is_ours(processor)
    conversations = []
    for index, donor in enumerate(donors):
        images = []
        for place, kind in enumerate(kinds):
            if kind:
                row = int(donor) if kind == "donor" else index
                image = rows[row]["rgb"] if place == 0 else infrared[row]
                images.append(image if place == 1 and single else image.convert("RGB"))
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": prompt}]
        conversations.append([{"role": "user", "content": content}])
    return conversations


@torch.inference_mode()
def write(
    model: Any, processor: Any, conversations: Sequence[list[dict[str, Any]]], batch_size: int, name: str
) -> list[str]:
    """Returns the answers to conversations, greedily."""
    model.eval()
    texts: list[str] = []
    for start in tqdm(range(0, len(conversations), batch_size), desc=name):
        inputs = processor.apply_chat_template(
            conversations[start : start + batch_size],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        ).to(model.device)
        written = model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        texts += processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def claim_support(texts: Sequence[str], facts: Sequence[InfraredFacts]) -> dict[str, ClaimSupport]:
    """Counts the verdicts on all claims by kind."""
    verdicts: dict[str, Counter[str]] = {}
    for text, fact in zip(texts, facts, strict=True):
        for judged in judge(text, fact):
            verdicts.setdefault(judged.claim.kind, Counter())[judged.verdict] += 1
    return {kind: ClaimSupport.of_verdicts(counts) for kind, counts in sorted(verdicts.items())}


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval vlm-need", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a model that takes two images")
    parser.add_argument("--dataset", required=True, help="folder or Hub id of the dataset")
    parser.add_argument("--split", help="which split (default: test, else validation, else train)")
    parser.add_argument("--ir_origin", choices=IR_ORIGINS, default="auto", help=IR_ORIGIN_SCORED)
    parser.add_argument("--pairs", type=whole(), default=150, help="held-out pairs, balanced over bands; 0: all")
    parser.add_argument("--prompt", default=FACTS_PROMPT, help="what is asked")
    parser.add_argument("--batch_size", type=whole(1, 100_000), default=32)
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)
    parser.add_argument("--bf16", action="store_true", help="multiply in bfloat16")
    parser.add_argument("--output", type=file_to_write, help="JSON to write")
    return parser


def main(argv: Sequence[str] | None = None) -> NeedResults:
    """Scores a saved model; writes and returns the result."""
    options = vars(make_parser().parse_args(sys.argv[1:] if argv is None else argv))
    name, output, bf16 = (options.pop(key) for key in ("model", "output", "bf16"))
    with holding(name, options["dataset"]):
        dataset, split = options["dataset"], scored_split(options["dataset"], options["split"])
        options |= {"split": split, "ir_origin": chosen_origin(dataset, options["ir_origin"], split)}
        model, processor = load_vlm(name)
        if is_ours(processor):
            processor.ir_range = reading_limits({}, processor.ir_range, declared_ir_range(dataset))
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            results = evaluate(model, processor, **options)
    for condition, scores in results.facts.items():
        supported = results.pair_claims[condition].supported
        logger.info("%s: facts %.3f, claims about the pair %.3f", condition, scores.mean, supported)
    if output:
        with adding(output):
            results.save(output)
    return results


if __name__ == "__main__":
    main()
