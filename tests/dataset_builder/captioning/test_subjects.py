import pytest

from dataset_builder.captioning.subjects import core_of, scene_subject


@pytest.mark.parametrize(
    ("caption", "subject"),
    [
        ("An aerial image of a farm with two barns.", "a farm and two barns"),
        ("Many cars are parked in a lot.", "many cars"),
        ("There is a river between two meadows", "a river and two meadows"),
        ("Farmland and woods, seen from above", "farmland and woods"),
        (
            "A patchwork of woodland, dry land and water, driest in the north.",
            "a patchwork of woodland, dry land and water",
        ),
        ("Mostly warm open ground, with shaded slopes", "mostly open ground"),
        ("A mosaic of mildly warm open ground, cool open ground and water", "a mosaic of open ground and water"),
        ("New York harbour near the bridge", "New York harbour and the bridge"),
        ("Dense forest next to a lake", "dense forest and a lake"),
        ("A bright old roof in the north", "an old roof"),
        ("Dense Green Park", None),
        ("Red Square at noon", None),
        ("{subject} <script>alert(1)</script>", None),
        ("one two three four five six seven eight nine ten eleven twelve thirteen", None),
        ("", None),
    ],
)
def test_scene_subject(caption, subject):
    assert scene_subject(caption) == subject


@pytest.mark.parametrize(
    ("subject", "core"),
    [
        ("a patchwork of woods and water", "woods and water"),
        ("mostly open ground", "open ground"),
        ("an almost unbroken stretch of dry ground", "dry ground"),
        ("a farm and two barns", "a farm and two barns"),
        ("mostly", "mostly"),
    ],
)
def test_core_leaves_out_how_it_is_laid_out(subject, core):
    assert core_of(subject) == core
