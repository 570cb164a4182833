"""The table of what captions of the default captioner say of their own pair and of others."""

from collections.abc import Mapping

from tests.benchmarks.markdown import table

BESIDE = ("another infrared", "another RGB", "JPEG 90", "half a pixel")
KINDS = {
    "all": "all",
    "of both images": "of both images",
    "extremes of things": "thing: extreme",
    "lines": "thing: line",
    "tones of things": "thing: tone",
}


def specificity_table(result: Mapping) -> str:
    """By form, claims that are supported on their own pair, and what becomes of them with other images."""
    rows = []
    for form, found in result["forms"].items():
        for name, kind in KINDS.items():
            row = found["kinds"].get(kind)
            if row is not None:
                shares = [f"{100 * row[beside]['supported']:.0f} / {100 * row[beside]['contradicted']:.0f}"
                          for beside in BESIDE]  # fmt: skip
                rows.append([form, name, row["claims"], *shares])
    header = ["", "claims", "supported", *(f"{beside}: supported / contradicted, %" for beside in BESIDE)]
    return table(header, 2, rows)


def variety_table(result: Mapping) -> str:
    """By form, words and frames."""
    rows = [
        [
            form,
            row["captions"],
            row["mean_words"],
            row["words_in_three_captions"],
            row["nouns_of_things"],
            row["self_bleu"],
            f"{100 * row['commonest_frame'][1]:.0f} %",
            f"{100 * result['forms'][form]['captions_with_a_part_or_line']:.0f} %",
        ]
        for form, row in result["variety"].items()
    ]
    header = ["captions", "words", "words in three or more", "nouns of things", "self-BLEU", "commonest frame",
              "with a part or line"]  # fmt: skip
    return table(["", *header], 1, rows)
