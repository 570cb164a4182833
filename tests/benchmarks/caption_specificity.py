"""Do captions of the default captioner belong to their pair: judged on another tile's images, after noise, by words.

    make bench        (or: python -m tests.benchmarks.caption_specificity)

Each claim that the judge supports on its own tile is judged again with the infrared of another tile of the same scene,
band and split but another image group (`--draws` of them), with such a tile's RGB, and after JPEG at quality 90 and a
shift of both images by half a pixel. Variety is counted over the same captions: words, nouns of things, self-BLEU over
a fixed draw, and the commonest frame (a sentence without its places, tones, numbers and nouns). The held-out split
counts; thresholds and words were chosen on the other splits. Writes tests/benchmarks/results/caption_specificity.json.
"""

import argparse
import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.captioning import GroundedCaptioner
from dataset_builder.captioning.rules.lexicon import lemma, lexicon
from dataset_builder.captioning.variety import self_bleu
from dataset_builder.claims import judge, measure
from dataset_builder.claims.grounding import InfraredFacts
from dataset_builder.claims.kinds import TONES, Kind
from dataset_builder.claims.reading import Claim
from dataset_builder.claims.sentences import sentences
from dataset_builder.claims.things import noun_of
from tests.benchmarks.pair_facts import donor, half_shifted, jpeg
from tests.benchmarks.sides import HARDWARE
from tests.dataset_builder.made.sample_tiles import sample_rows

logger = logging.getLogger(__name__)
RESULT = Path(__file__).parent / "results" / "caption_specificity.json"
FORMS = ("compact", "fluent", "joint")
ABOUT_A_PART = {"thing", "visible", "bright", "dark", "local relation", "object relation"}
OF_BOTH = {"visible", "relation", "local relation", "object relation", "disagreement"}
BLEU_ROWS, COMMON = 300, 3
MASKED = (*TONES, Kind.PLACE, Kind.PART, Kind.GROUND, Kind.AMOUNT)


def of_both(claim: Claim) -> bool:
    """Whether the verdict depends on the RGB: a thing is found by its look, images are compared."""
    if claim.thing is not None:
        return claim.thing.aspect != "line"
    return claim.kind in OF_BOTH


def kind_of(claim: Claim) -> str:
    """Kind of a claim, of a statement about a thing with what is said of it."""
    return f"thing: {claim.thing.aspect}" if claim.thing is not None else claim.kind


def borne_out(text: str, own: InfraredFacts, others: Mapping[str, Sequence[InfraredFacts]]) -> list[tuple]:
    """For each claim of a text that is supported: the claim, and by name what other facts say to it."""
    mine = judge(text, own)
    judged = {name: [judge(text, facts) for facts in several] for name, several in others.items()}
    return [
        (own_.claim, {name: [each[index].verdict for each in several] for name, several in judged.items()})
        for index, own_ in enumerate(mine)
        if own_.verdict == "supported"
    ]


def facts_beside(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, list[InfraredFacts]]:
    """Facts of the pair with what is put in place of its images."""
    infrared, rgb = row["_ir"], row["_rgb"]
    return {
        "another infrared": [measure(other["_ir"], rgb) for other in others],
        "another RGB": [measure(infrared, other["_rgb"]) for other in others],
        "JPEG 90": [measure(jpeg(infrared), jpeg(rgb))],
        "half a pixel": [measure(half_shifted(infrared), half_shifted(rgb))],
    }


def shares(counts: Counter) -> dict[str, float]:
    """Shares of supported and contradicted claims."""
    total = max(1, counts.total())
    return {name: round(counts[name] / total, 3) for name in ("supported", "contradicted")}


def specificity(rows: Sequence[dict], candidates: Sequence[dict], draws: int, seed: int) -> tuple[dict, dict]:
    """What others bear out, by form and by kind of claim; and the texts by form."""
    draw = np.random.default_rng(seed)
    strata = defaultdict(list)
    for row in candidates:
        strata[row["source_dataset"], row["ir_band"]].append(row)
    captioner = GroundedCaptioner()
    judged = {form: defaultdict(Counter) for form in FORMS}
    of_part, verdicts = Counter(), {form: Counter() for form in FORMS}
    texts: dict[str, list[str]] = {form: [] for form in FORMS}
    for number, row in enumerate(rows):
        own = measure(row["_ir"], row["_rgb"])
        others = [donor(row, strata[row["source_dataset"], row["ir_band"]], draw) for _ in range(draws)]
        beside = facts_beside(row, others)
        written = captioner.caption([row], [own])[0]
        captions = dict(zip(FORMS, [*written.ir_captions, *written.joint_captions[:1]]))
        for form, text in captions.items():
            texts[form].append(text)
            verdicts[form].update(each.verdict for each in judge(text, own))
            found = borne_out(text, own, beside)
            of_part[form] += any(claim.kind in ABOUT_A_PART for claim, _ in found)
            for claim, said in found:
                for name, values in said.items():
                    kinds = ("all", kind_of(claim), *(["of both images"] if of_both(claim) else []))
                    for kind in kinds:
                        judged[form][kind, name].update(values)
        if number % 100 == 99:
            logger.info("%d of %d rows", number + 1, len(rows))
    report = {}
    for form in FORMS:
        kinds = sorted({kind for kind, _ in judged[form]}, key=lambda kind: -judged[form][kind, "JPEG 90"].total())
        report[form] = {
            "verdicts": dict(verdicts[form]),
            "captions_with_a_part_or_line": round(of_part[form] / max(1, len(texts[form])), 4),
            "kinds": {
                kind: {"claims": judged[form][kind, "JPEG 90"].total()}
                | {name: shares(judged[form][kind, name]) for name in beside}
                for kind in kinds
            },
        }
    return report, texts


def variety(texts: Sequence[str]) -> dict[str, Any]:
    """Words and nouns of things in several captions, self-BLEU, and the commonest frame."""
    words = Counter(word for text in texts for word in set(re.findall(r"[a-z][a-z'-]+", text.casefold())))
    common = [word for word, count in words.items() if count >= COMMON]
    nouns = {lemma(word) for word in common if noun_of(word) or lexicon().senses.get(lemma(word))}
    frames = Counter(frame for text in texts for frame in set(frames_of(text)))
    frame, count = frames.most_common(1)[0]
    drawn = np.random.default_rng(0).permutation(len(texts))[:BLEU_ROWS]
    return {
        "captions": len(texts),
        "mean_words": round(float(np.mean([len(text.split()) for text in texts])), 1),
        "words_in_three_captions": len(common),
        "nouns_of_things": len(nouns),
        "self_bleu": round(self_bleu([texts[index] for index in drawn]), 4),
        "commonest_frame": [frame, round(count / len(texts), 4)],
    }


def frames_of(text: str) -> list[str]:
    """Its sentences without places, tones, numbers and nouns."""
    return [
        " ".join(dict.fromkeys("#" if token.kind in MASKED else token.text for token in sentence))
        for sentence in sentences(text)
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the split asked for and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--every", type=int, default=1, help="takes each n-th row of the split")
    parser.add_argument("--draws", type=int, default=3, help="other tiles a row")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of other tiles")
    parser.add_argument("--out", type=Path, default=RESULT, help="JSON file to write")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    candidates = [row for row in sample_rows() if row["_split"] == arguments.split]
    found, texts = specificity(candidates[:: arguments.every], candidates, arguments.draws, arguments.seed)
    report = {
        "what": "claims of the default captioner that are supported on their own tile, judged with other images",
        "hardware": HARDWARE,
        "split": arguments.split,
        "every": arguments.every,
        "draws": arguments.draws,
        "seed": arguments.seed,
        "forms": found,
        "variety": {form: variety(texts[form]) for form in FORMS if texts[form]},
    }
    for form in FORMS:
        for kind, row in found[form]["kinds"].items():
            beside = "  ".join(
                f"{n} {v['supported']:.2f}/{v['contradicted']:.2f}" for n, v in row.items() if n != "claims"
            )
            logger.info("%-8s %-22s %5d  %s", form, kind, row["claims"], beside)
        logger.info("%s: %s %s", form, found[form]["verdicts"], found[form]["captions_with_a_part_or_line"])
        logger.info("%s", report["variety"].get(form))
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
