"""The words that go with published rows: NOTICE.md, and the card's section on rights; both from the same facts."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_builder.rights.table import CONDITIONS, CONTENT, RightsTable
from fusionrs_hf.atomic import atomic_path
from model_cards.markdown import markdown_table, markdown_text

NOTICES = "NOTICE.md"
NO_ADVICE = "Not legal advice: what a table of rights codes says, and that table is a reading of licences."
LEVELS = {
    "full": "every row with all that it holds.",
    "redacted": "of every row, what its rights code allows; the rest is null or an empty list (captions).",
    "index": "identifiers, place, groups, split and hashes of every row; no image, no caption.",
}
LOSABLE = ("rgb", "ir", "captions", "ir_captions", "joint_captions")
WORDS = {"images": "images", "infrared": "infrared-style images", "captions": "captions", "ir_captions": "ir_captions"}


def rights_facts(
    level: str,
    rows: Sequence[Mapping[str, Any]],
    attribution: Mapping[str, str],
    policy: RightsTable,
    left_out: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """Returns what a published copy's `BuildReport` says in `rights`.

    Args:
        level: Of `LEVELS`.
        rows: Counts `rows` by, among others, `source_dataset` and `rights`, as of a `BuildReport`.
        attribution: By `source_dataset`.
        policy: What was obeyed; it lists every code of the rows.
        left_out: Rows by column (of `LOSABLE`) and code that lost what they had there.

    Returns:
        `level`; `codes`, for each its `rows`, `licence`, `conditions`, `notice`, `evidence` and the parts `allowed`;
        `sources` with `rights`, `rows` and `attribution`; `left_out`.
    """
    codes, sources = Counter(), Counter()
    for item in rows:
        codes[str(item["rights"])] += item["rows"]
        sources[str(item["source_dataset"]), str(item["rights"])] += item["rows"]
    entries = {code: policy.get(code) for code in codes}
    return {
        "level": level,
        "codes": [
            {
                "code": code,
                "rows": codes[code],
                "licence": entry.licence,
                "conditions": list(entry.conditions),
                "notice": entry.notice,
                "evidence": entry.evidence,
                "allowed": [part for part in CONTENT if entry.allows(part)],
            }
            for code, entry in sorted(entries.items())
        ],
        "sources": [
            {"source": source, "rights": code, "rows": count, "attribution": attribution.get(source, "")}
            for (source, code), count in sorted(sources.items())
        ],
        "left_out": {name: dict(sorted(left_out[name].items())) for name in LOSABLE if left_out.get(name)},
    }


def write_notices(out: Path, title: str, facts: Mapping[str, Any]) -> None:
    """Writes NOTICE.md: notices and conditions by code, attributions by source, what was left out, all with counts.

    Args:
        out: Folder of the published copy.
        title: Name and version of the dataset.
        facts: As of `rights_facts`.
    """
    parts = [
        f"# Notices for {markdown_text(title)}",
        f"{NO_ADVICE} Published as `{facts['level']}`: {LEVELS[facts['level']]} A row's terms are those of its code "
        "in the column `rights`.",
        "## By rights code",
    ]
    for item in facts["codes"]:
        lines = [
            f"- Licence or terms: {markdown_text(item['licence'])}",
            f"- Conditions: {_conditions(item)}",
            f"- May be published: {', '.join(WORDS[name] for name in item['allowed']) or 'the index alone'}",
        ]
        lines += [f"- Evidence: {markdown_text(item['evidence'])}"] if item["evidence"] else []
        parts.append(f"### {markdown_text(item['code'])} ({item['rows']} rows)")
        parts += [item["notice"]] if item["notice"] else []  # word for word: `clearance` looks for it
        parts.append("\n".join(lines))
    header = ["source", "rights", "attribution", "rows"]
    body = [
        [
            markdown_text(item["source"]),
            markdown_text(item["rights"]),
            markdown_text(item["attribution"]),
            str(item["rows"]),
        ]
        for item in facts["sources"]
    ]
    parts += ["## By source", markdown_table(header, body, numbers_from=3), "## Left out", _left_out(facts)]
    with atomic_path(out / NOTICES) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def rights_section(facts: Mapping[str, Any]) -> str:
    """Returns the card's section on rights; empty where there are no facts: a build that is no published copy."""
    if not facts:
        return ""
    body = [
        [markdown_text(item["code"]), markdown_text(item["licence"]), _conditions(item), str(item["rows"])]
        for item in facts["codes"]
    ]
    parts = [
        "## Rights",
        f"Published as `{facts['level']}`: {LEVELS[facts['level']]} The notices in `NOTICE.md` go with every copy. "
        f"{NO_ADVICE}",
        markdown_table(["rights", "licence or terms", "conditions", "rows"], body, numbers_from=3),
    ]
    if facts["left_out"]:
        parts += [
            "These rows had more than their code, or this level, allows to be passed on, and are here without it:",
            _left_out(facts),
            "To have the missing parts, get the sources from their own providers, write the recipe in "
            "`build_report.json` (`identity`, `recipe`) to a YAML file with each `path` set to your copy, and run "
            "`fusionrs build RECIPE OUT`: rows come out with the same `sample_id`, and `rgb_phash` and `ir_phash` "
            "tell whether an image is the same.",
        ]
    return "\n\n".join(parts)


def _conditions(item: Mapping[str, Any]) -> str:
    return "; ".join(CONDITIONS[name] for name in item["conditions"]) or "none"


def _left_out(facts: Mapping[str, Any]) -> str:
    """A table of the rows that lost what they held, by code and column."""
    codes: dict[str, dict[str, int]] = defaultdict(dict)
    for column, counts in facts["left_out"].items():
        for code, count in counts.items():
            codes[code][column] = count
    if not codes:
        return "Nothing."
    columns = [name for name in LOSABLE if name in facts["left_out"]]
    body = [
        [markdown_text(code), *(str(counts.get(name, 0)) for name in columns)]
        for code, counts in sorted(codes.items())
    ]
    return markdown_table(["rights", *(f"rows without `{name}`" for name in columns)], body, numbers_from=1)
