"""Scores a dual-modal CLIP on scene classification by prompts, and by a linear probe, on AID, EuroSAT and others.

fusionrs eval zero-shot --model runs/clip --dataset EuroSAT_RGB --layout eurosat --output runs/clip/eurosat.json
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusionrs_hf.arguments import Arguments, file_to_write, number, path
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError, shown
from training.data.image_files import embed_files, read_infrared, read_rgb
from training.data.scene_folders import (
    LAYOUTS,
    PROTOCOLS,
    SUFFIXES,
    Layout,
    SceneList,
    class_title,
    last_fifth,
    read_folder,
    scored_images,
)
from training.scoring.probe import L2_GRID, choose, fit_softmax
from training.scoring.significance import bootstrap_mean

logger = logging.getLogger(__name__)
TEMPLATES = {
    "rgb": (
        "a satellite image of {}",
        "an aerial photograph of {}",
        "an overhead view of {}",
        "{} seen from above",
        "a remote sensing image that shows {}",
        "a bird's-eye picture of {}",
    ),
    "ir": (
        "an infrared satellite image of {}",
        "an aerial infrared image of {}",
        "{} seen from above in infrared",
        "a grey infrared picture that shows {}",
    ),
}


def read_templates(path: Path) -> list[str]:
    """Returns the prompts in a file, one a line; raises InputError where there are none, or one has no `{}`."""
    templates = [line for line in read_text(path).splitlines() if line.strip()]
    if not templates:
        raise InputError(f"{path} holds no template; give one a line, with {{}} where the class name goes")
    if wrong := [template for template in templates if "{}" not in template]:
        raise InputError(f"each template needs {{}} where the class name goes, got {shown(wrong[0])}")
    return templates


def class_embeddings(encoder: Encoder, titles: Sequence[str], templates: Sequence[str]) -> np.ndarray:
    """Returns one unit-length embedding a class, `(classes, size)`: the mean of its prompts' embeddings.

    Args:
        encoder: Encodes the prompts.
        titles: Class names.
        templates: With `{}` where the name goes.
    """
    prompts = encoder.text([template.replace("{}", title) for title in titles for template in templates])
    means = prompts.reshape(len(titles), len(templates), -1).mean(1)  # (classes, size)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def accuracy(scores: np.ndarray, readable: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict:
    """Returns top-1 and top-5 accuracy with 95 % intervals over images, top-1 of each class, and their mean.

    Args:
        scores: Of the images that could be read, `(readable images, classes)`; a tie counts against the true class.
        readable: Bool `(images,)`; an image that could not be read is wrong.
        labels: True class of every image, `(images,)`.
        classes: Names.
    """
    ranks = np.full(len(labels), np.iinfo(np.int64).max)
    true = scores[np.arange(len(scores)), labels[readable]]
    ranks[readable] = (scores >= true[:, None]).sum(1) - 1
    per_class = {name: float((ranks[labels == index] < 1).mean()) for index, name in enumerate(classes)}
    return {
        **{f"top{k}": float((ranks < k).mean()) for k in (1, 5)},
        **{f"top{k}_interval": list(bootstrap_mean(ranks < k, 1_000))[1:] for k in (1, 5)},
        "per_class": per_class,
        "mean_per_class": float(np.mean(list(per_class.values()))),
    }


class Embedded:
    """All images of a set as embeddings: RGB, and where an infrared folder is given also infrared and both fused."""

    def __init__(self, encoder: Encoder, scenes: SceneList, infrared: Path | None, weight: float | None) -> None:
        rgb, self.readable = embed_files(encoder.rgb, [scenes.root / name for name in scenes.files], read_rgb)
        self.labels = np.asarray(scenes.labels)
        self.place = dict(zip(scenes.files, range(len(scenes.files))))
        self.images = {"rgb": rgb}
        if infrared is not None:
            ir, ir_readable = embed_files(encoder.ir, infrared_files(scenes, infrared), read_infrared)
            self.images |= {"ir": ir, "fused": encoder.fuse(rgb, ir, weight)}
            self.readable = self.readable & ir_readable

    def part(self, scenes: SceneList, modality: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the readable embeddings of a list's images, which are readable, and all their labels."""
        rows = np.array([self.place[name] for name in scenes.files])
        readable = self.readable[rows]
        return self.images[modality][rows[readable]], readable, self.labels[rows]


def infrared_files(scenes: SceneList, folder: Path) -> list[Path]:
    """Returns the infrared image of each RGB image: the same class folder and stem, any image suffix.

    Raises:
        InputError: Some have none.
    """
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.glob("*/*")}
    paths = {stem: path for stem, path in paths.items() if path.suffix.lower() in SUFFIXES}
    stems = [Path(name).with_suffix("").as_posix() for name in scenes.files]
    if missing := [stem for stem in stems if stem not in paths]:
        raise InputError(
            f"{folder} lacks the infrared of {len(missing)} of {len(stems)} images, such as {missing[0]}; it must "
            "hold <class>/<stem>.<suffix> for each"
        )
    return [paths[stem] for stem in stems]


def probe(embedded: Embedded, scenes: SceneList, modality: str) -> dict:
    """Fits a linear probe and scores it on the published test images.

    Of each class the last fifth is the test (as in zero-shot), of the rest the last fifth chooses the penalty; then
    the probe is fitted again on both.

    Args:
        embedded: The set.
        scenes: Its list of all images.
        modality: `rgb`, `ir` or `fused`.
    """
    rest, test = last_fifth(scenes)
    train, validation = last_fifth(rest)
    classes = len(scenes.classes)
    parts = {}
    for name, part in (("train", train), ("validation", validation), ("rest", rest)):
        features, readable, labels = embedded.part(part, modality)
        parts[name] = features, labels[readable]

    def validation_accuracy(l2: float) -> float:
        features, labels = parts["validation"]
        return float((fit_softmax(*parts["train"], classes, l2).scores(features).argmax(1) == labels).mean())

    l2, tried = choose(L2_GRID, validation_accuracy)
    features, readable, labels = embedded.part(test, modality)
    scores = fit_softmax(*parts["rest"], classes, l2).scores(features)
    rows = {name: len(part[1]) for name, part in parts.items() if name != "rest"}
    return {"l2": l2, "validation": tried, "rows": rows, **accuracy(scores, readable, labels, scenes.classes)}


def evaluate(encoder: Encoder, arguments: argparse.Namespace) -> tuple[dict, SceneList]:
    """Scores a set as the arguments say.

    Returns:
        The results, and the list of the images scored.
    """
    layout = LAYOUTS[arguments.layout]
    everything = read_folder(arguments.dataset, layout)
    scored = scored_images(everything, arguments.protocol)
    if arguments.probe and arguments.protocol == "skyscript":
        raise InputError("--probe needs images to train on; protocol skyscript scores all: use --protocol remoteclip")
    embedded = Embedded(
        encoder, everything if arguments.probe else scored, arguments.infrared, arguments.fusion_weight
    )
    titles = [class_title(name, layout) for name in everything.classes]
    templates = arguments.templates
    results = {
        "dataset": layout.title,
        "complete": is_complete(everything, layout),
        "protocol": arguments.protocol,
        "images": len(scored.files),
        "unreadable": int((~embedded.part(scored, "rgb")[1]).sum()),
        "list_sha256": scored.sha256,
        "class_titles": dict(zip(everything.classes, titles)),
        "zero_shot": {},
    }
    for modality in embedded.images:
        wording = templates or TEMPLATES["ir" if modality == "ir" else "rgb"]
        features, readable, labels = embedded.part(scored, modality)
        scores = features @ class_embeddings(encoder, titles, wording).T
        result = accuracy(scores, readable, labels, everything.classes) | {"templates": list(wording)}
        results["zero_shot"][modality] = result
        logger.info("%s, zero-shot, %s: top-1 %.2f %%", layout.title, modality, 100 * result["top1"])
    if arguments.probe:
        results["probe"] = {modality: probe(embedded, everything, modality) for modality in embedded.images}
        for modality, result in results["probe"].items():
            logger.info("%s, linear probe, %s: top-1 %.2f %%", layout.title, modality, 100 * result["top1"])
    return results, scored


def is_complete(scenes: SceneList, layout: Layout) -> bool:
    """Returns whether a folder holds as many classes and images as the published set; says so where it does not."""
    sizes, published = (len(scenes.classes), len(scenes.files)), (layout.classes, layout.images)
    if sizes != published:
        logger.warning(
            "%s has %d classes and %d images, found %d and %d: not the published set", layout.title, *published, *sizes
        )
    return sizes == published


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval zero-shot", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder or Hub id of a FusionRS-CLIP or a CLIP")
    parser.add_argument("--dataset", type=path, required=True, help="folder of the unpacked set")
    parser.add_argument("--layout", choices=LAYOUTS, required=True, help="which set it is")
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default="remoteclip", help="score each class's last fifth, or all images"
    )
    parser.add_argument("--infrared", type=path, help="folder with <class>/<stem> in infrared: also IR and fused")
    parser.add_argument("--fusion_weight", type=number(0, 1), help="of infrared in the mean (default: the model's)")
    parser.add_argument("--templates", type=path, help="prompts of your own, one a line, {} for the class")
    parser.add_argument("--probe", action="store_true", help="also a linear probe, trained on the images not scored")
    parser.add_argument(
        "--output", type=file_to_write, required=True, help="JSON to write, beside it the list of images"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a model on a set; writes the results and the list of images."""
    arguments = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.templates = arguments.templates and read_templates(arguments.templates)
    results, scored = evaluate(Encoder.for_scores(*load_clip(arguments.model), declared=True), arguments)
    logger.info("%d images scored, SHA-256 of their list %s", len(scored.files), scored.sha256)
    arguments.output.with_name(arguments.output.name + ".files.txt").write_text(scored.as_text())
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
