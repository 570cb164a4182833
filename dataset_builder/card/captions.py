"""The card's section on infrared-aware captions."""

from collections.abc import Mapping
from typing import Any

from dataset_builder.captioning.funnel import CLAIMS, VERDICTS
from model_cards.markdown import markdown_table, markdown_text

CAPTIONS_START, CAPTIONS_END = "<!-- captions:start -->", "<!-- captions:end -->"  # around the card's section


def captions_section(captions: Mapping[str, Any]) -> str:
    """Returns the card's section on infrared-aware captions, between markers; texts of others are shown as they are.

    Args:
        captions: `Funnel.report()`, with `captioner`, `revision` and `repairs`.
    """
    total, variety = captions["total"], captions["variety"]
    out = [
        CAPTIONS_START,
        "## Infrared-aware captions",
        f"Written by {markdown_text(captions['captioner'])}, revision {markdown_text(captions['revision'])}. Each "
        "caption was judged by rules on its words and by what is measured in its image before it was taken; a row "
        "whose captions were all rejected stays, without. Rows are counted as they reached the captioner.",
        markdown_table(
            ["source", "rows in", "rows captioned", "captions written", "captions accepted", "share accepted"],
            [_source_row(name, counts) for name, counts in [*captions["sources"].items(), ("all", total)]],
            numbers_from=1,
        ),
    ]
    if total["rejected"]:
        out.append("Rejected captions, all in `quarantine/captions.jsonl` of the folder, which is not published:")
        header = ["reason", "captions", "by source", "for example"]
        body = [
            [f"`{reason}`", str(count), _by_source(captions, "rejected", reason), _examples(captions, reason)]
            for reason, count in total["rejected"].items()
        ]
        out.append(markdown_table(header, body))
    if total["failed"]:
        body = [[f"`{name}`", str(n), _by_source(captions, "failed", name)] for name, n in total["failed"].items()]
        out.append(markdown_table(["row without an answer", "rows", "by source"], body))
    if total["scene_captions"]:
        out.append(
            f"{total['scene_captions']} scene captions were written for rows that had none (origin `model`); groups "
            "and splits do not know them."
        )
    if total["written"]:
        verdict_counts = [f"{', '.join(f'{total[kind].get(name, 0)} {name}' for name in VERDICTS)}" for kind in CLAIMS]
        out.append(
            f"Claims about the image: {verdict_counts[0]} in accepted captions; {verdict_counts[1]} in rejected ones."
        )
    if total["accepted"]:
        out.append(
            f"Accepted captions have {variety['mean_words']} words in the mean. Of {variety['captions']} of them, "
            f"drawn by hash: distinct-1 {variety['distinct_1']}, distinct-2 {variety['distinct_2']}, self-BLEU "
            f"{variety['self_bleu']}."
        )
    if total["usage"]:
        asked = ", ".join(f"{name.replace('_', ' ')} {amount:g}" for name, amount in total["usage"].items())
        out.append(f"Asking took: {asked}.")
    return "\n\n".join([*out, CAPTIONS_END])


def _source_row(name: str, counts: Mapping[str, Any]) -> list[str]:
    share = f"{counts['accepted'] / counts['written']:.2%}" if counts["written"] else "none written"
    numbers = [str(counts[kind]) for kind in ("rows", "captioned", "written", "accepted")]
    return [markdown_text(name), *numbers, share]


def _by_source(captions: Mapping[str, Any], kind: str, reason: str) -> str:
    counts = {name: source[kind].get(reason, 0) for name, source in captions["sources"].items()}
    return ", ".join(f"{markdown_text(name)} {count}" for name, count in counts.items() if count)


def _examples(captions: Mapping[str, Any], reason: str) -> str:
    examples = captions["examples"].get(reason, [])
    return "<br>".join(f"“{markdown_text(item['text'])}” ({markdown_text(item['detail'])})" for item in examples)
