"""Which columns each stage touches, watched on real tiles, against the table of a batch's columns."""

from collections import defaultdict

import pytest

from dataset_builder.building import reading
from dataset_builder.building.columns import WORK_COLUMNS
from dataset_builder.building.reading import add_caption_keys, make_stages
from dataset_builder.building.work_files import WORK_SCHEMA
from dataset_builder.captioning.funnel import CaptionTally
from dataset_builder.captioning.stage import CaptionStage
from dataset_builder.filters import FilterStage
from dataset_builder.recipe import BuildRecipe, CaptionRecipe, TranslateRecipe
from dataset_builder.schema import COLUMNS
from tests.dataset_builder.made.sample_tiles import sample_rows


class Watched(dict):
    """A batch or row that notes which columns are read and written by name."""

    def __init__(self, values, reads, writes):
        super().__init__(values)
        self.reads, self.writes = reads, writes

    def __getitem__(self, name):
        self.reads.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.reads.add(name)
        return super().get(name, default)

    def __setitem__(self, name, values):
        self.writes.add(name)
        super().__setitem__(name, values)

    def setdefault(self, name, default=None):
        (self.reads if name in self else self.writes).add(name)
        return super().setdefault(name, default)

    def __ior__(self, values):
        self.writes.update(values)
        return super().__ior__(values)


def changed(before, after):
    """Names of columns of which a value is another one than before."""
    return {
        name
        for name, values in after.items()
        if len(before.get(name, ())) != len(values)
        or any(new is not old for new, old in zip(values, before[name], strict=True))
    }


class WatchedRule:
    """A rule that notes what it reads of a row."""

    def __init__(self, rule, reads):
        self.rule, self.reads, self.reason = rule, reads, rule.reason

    def __call__(self, *given):
        *text, row = given
        return self.rule(*text, Watched(row, self.reads, set()))


def tiles():
    """Real tiles: with sensor infrared, and without, to be translated; some without captions."""
    for index, row in enumerate(sample_rows(every=350)):
        row = {name: row.get(name) for name in [*COLUMNS, "_split", "_reason"]}
        row |= {"caption_origin": ["source"] * len(row["captions"]), "ir_captions": []}
        yield row | ({"ir": None, "ir_origin": None} if index % 2 else {})


@pytest.fixture(scope="module")
def touched():
    """Names of the columns read and written, by stage."""
    recipe = BuildRecipe(name="watched", sources=[{}], translate=TranslateRecipe(band="nir"), caption=CaptionRecipe())
    reads, writes = defaultdict(set), defaultdict(set)
    (batch,) = reading._batches(tiles())
    for stage in [*make_stages(recipe), add_caption_keys]:
        label = reading._label(stage)
        if isinstance(stage, FilterStage):
            stage.rules = [WatchedRule(rule, reads[label]) for rule in stage.rules]
        before = {name: list(values) for name, values in batch.items()}
        if isinstance(stage, CaptionStage):
            batch = watch_captions(stage, batch, reads, writes)
        else:
            batch = dict(stage(Watched(batch, reads[label], writes[label])))
            writes[label] |= changed(before, batch)
        gone = [index for index, reason in enumerate(batch["_reason"]) if reason]
        batch = {name: [v for i, v in enumerate(values) if i not in gone] for name, values in batch.items()}
    assert len(batch["sample_id"]) >= 4
    return reads, writes


def watch_captions(stage, batch, reads, writes):
    asked = stage.captioner.caption
    stage.rules = [WatchedRule(rule, reads["caption"]) for rule in stage.rules]
    stage.captioner.caption = lambda rows, *rest: asked([Watched(row, reads["caption"], set()) for row in rows], *rest)
    own = type(stage).__call__

    class Counted(type(stage)):
        """The stage's own reads and writes apart from those of what counts afterwards."""

        def __call__(self, given):
            inside = Watched(given, reads["caption"], writes["caption"])
            before = {name: list(values) for name, values in given.items()}
            out = own(self, inside)
            writes["caption"] |= changed(before, out)
            return Watched(out, reads["count"], writes["count"])

    stage.__class__ = Counted
    return dict(CaptionTally().caption(stage, batch))


def test_stages_touch_no_other_name_and_only_as_the_table_allows(touched):
    reads, writes = touched
    assert set(reads) >= {"decode", "translate", "require_infrared", "filter", "add_hashes", "caption", "count"}
    for label in {*reads, *writes}:
        private = (reads[label] | writes[label]) - set(COLUMNS)
        assert private <= set(WORK_COLUMNS), label
        filled = {name for name in writes[label] if name in WORK_COLUMNS}
        assert all(label in WORK_COLUMNS[name].filled for name in filled), (label, filled)
        read = {name for name in reads[label] - writes[label] if name in WORK_COLUMNS}
        assert all(label in WORK_COLUMNS[name].read for name in read), (label, read)


def test_the_table_says_no_more_than_stages_do(touched):
    reads, writes = touched
    for name, column in WORK_COLUMNS.items():
        if name == "_reason":  # good tiles give nobody a reason to tell or to ask
            continue
        unread = {label for label in column.read if label in reads and name not in reads[label]}
        assert unread <= ({"caption"} if name in ("_rgb", "_ir", "_facts") else set()), name  # off rows of its own
        assert not {label for label in column.filled if label in writes and name not in writes[label]}, name


def test_work_files_hold_what_the_table_stores():
    stored = {name: column.stored for name, column in WORK_COLUMNS.items() if column.stored is not None}
    assert {field.name: field.type for field in WORK_SCHEMA if field.name.startswith("_")} == stored
