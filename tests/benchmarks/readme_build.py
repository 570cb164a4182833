"""Tables of the dataset builder's benchmarks, for the dataset builder's README."""

from collections.abc import Mapping

from tests.benchmarks.markdown import table

SUBJECTS = {
    "build": "this build: decode, rules, hashes, two embedded images",
    "map": "`datasets.map(num_proc=2)`, the same outputs, rules as one writes them",
    "map-quick": "the same with this project's rules and PNG encoder",
    "Pillow": "Pillow alone: decode and encode, no rules, no hashes, no Parquet",
    "img2dataset http": "img2dataset from a loopback server: RGB only, no rules, no hashes",
    "img2dataset kept": "the same, images passed through (`disable_all_reencoding`)",
    "img2dataset file": "img2dataset from `file://`",
}
STEPS = {"plan": "plan", "merge": "group and split", "write": "write", "report": "card and report"}
STAGES = {
    "source": "read the source",
    "decode": "decode",
    "translate": "translate and encode",
    "filter": "rules",
    "add_hashes": "hashes",
    "write": "write work files",
}
METHODS = {"fusionrs": "this project", "datasets": "`train_test_split` of `datasets`"}


def throughput_table(report: Mapping) -> str:
    """Rows a second by subject, and how many times as fast the build is."""
    rows = []
    for name, title in SUBJECTS.items():
        cells = []
        for task in ("pairs", "translate"):
            key = name if name.startswith("img2") else f"{name} {task}"
            if rate := report["rows_per_second"].get(key):
                ratio, further = report["build_to"][task][key], report["ms_per_further_row"][key]
                cells += [f"{rate['median']:.0f}", f"{ratio:.2f}", f"{further:.1f}"]
        if any(cells):
            rows.append([title, *cells])
    each = ["build is times", "ms a further row"]
    header = ["", "RGB and infrared files, rows/s", *each, "infrared made from RGB, rows/s", *each]
    return table(header, 1, rows)


def stages_table(report: Mapping) -> str:
    """Milliseconds of one core a row by stage, and of the steps after reading."""
    rows = []
    for task, title in (("pairs", "RGB and infrared files"), ("translate", "infrared made from RGB")):
        spent = report["stages"][f"build {task}"]
        cells = [f"{spent['worker_ms_per_row'].get(stage, 0):.2f}" for stage in STAGES]
        images = report["images"]
        rows.append([title, *cells, *(f"{1000 * spent['seconds'][step] / images:.2f}" for step in STEPS)])
    return table(["", *STAGES.values(), *STEPS.values()], 1, rows)


def bytes_sentence(report: Mapping) -> str:
    """What passed through unchanged, and what was encoded."""
    parts = []
    for task, title in (("pairs", "with files of both"), ("translate", "with infrared made from RGB")):
        sizes = {name: f"{size / 1e6:.0f} MB" for name, size in report["image_bytes"][f"build {task}"].items()}
        parts.append(
            f"{title}, {sizes['unchanged']} of image bytes pass through unchanged and {sizes['encoded']} are encoded"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def grouping_table(report: Mapping) -> str:
    """Seconds and peak memory by number of rows."""
    curves = {kind: {point["rows"]: point for point in points} for kind, points in report["curves"].items()}
    rows = []
    for size in curves["uniform"]:
        points = [curves[kind][size] for kind in ("uniform", "skewed")]
        cells = [cell for point in points for cell in (f"{point['seconds']:.2f}", f"{point['peak_mib']:,.0f}")]
        rows.append([f"{size:,}", *cells])
    return table(["rows", "uniform, s", "peak MiB", "skewed, s", "peak MiB"], 1, rows)


def peer_sentence(report: Mapping) -> str:
    """How imagededup compares."""
    peer = report["peer"]
    same = all(peer[kind]["same_groups"] for kind in ("planted", "skewed"))
    return (
        f"imagededup {peer['planted']['version']}'s fastest search takes {peer['planted']['ratio']:.0f} times as long "
        f"for 10,000 hashes with planted pairs and {peer['skewed']['ratio']:.0f} times for skewed ones, and finds "
        f"{'the same' if same else 'other'} groups."
    )


def memory_table(report: Mapping) -> str:
    """Peak resident memory by step."""
    rows = []
    for run in report["runs"]:
        steps = run["peak_mb_by_step"]
        cells = [steps["read"]["worker"], steps["write"]["worker"], steps["read"]["main"], steps["merge"]["main"]]
        rows.append([f"{run['rows']:,}", *(f"{value:.0f}" for value in cells), f"{run['seconds']['merge']:.1f}"])
    header = ["a reading worker, MB", "a writing worker, MB", "main, reading, MB", "main, grouping, MB", "grouping, s"]
    return table(["rows", *header], 1, rows)


def leaks_table(report: Mapping) -> str:
    """Leaks by who split."""
    rows = []
    for name, method in report["methods"].items():
        share = f"{100 * method['leak_rate']:.1f} %"
        title = METHODS.get(name, name.replace(", datasets", ", then `datasets`"))
        rows.append([title, share, f"{method['components_in_both']:.0f}"])
    return table(["split by", "test rows that leak", "groups in both splits"], 1, rows)
