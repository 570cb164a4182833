"""Scene captions in the manner of RSICD, UCM and NWPU: all of their things are named."""

import pytest

from dataset_builder.captioning.rules.lexicon import lexicon, objects
from dataset_builder.captioning.subjects import scene_subject

OPENINGS = """
A dense stand of pines beside a meadow
An area with many houses
A place with several ships
A bridge over a river with a boat
Many green trees are around a square building.
Many planes are parked next to a terminal in an airport.
A baseball field is near some green trees.
Some buildings are around a large stadium.
There are two tennis courts surrounded by trees.
It is a piece of green farmland.
It is a large piece of desert.
A large number of boats are docked at the harbor.
A river goes through this dense forest.
The white buildings are near the river.
Several storage tanks are near a road.
A curved road passes through the meadow.
On the left is a parking lot with cars.
In the middle of the image there is a lake.
The picture shows a church surrounded by houses.
This is a dense residential area.
This image shows a golf course with sand bunkers.
There is a swimming pool next to a house.
A row of houses lines the street.
Lots of cars are in the parking lot.
The rows of trailers are neatly arranged.
Waves wash the yellow beach.
A viaduct crosses a wide road.
Both sides of the river are lined with trees.
An intersection with two roads vertical to each other.
Here is a mobile home park.
Near the runway are several airplanes.
The mountain is covered with snow.
Patches of farmland with different crops
Half of the image is water and the other half is forest.
An overpass with cars on it goes over a railway.
Lots of containers piled up in a port.
A cluster of small islands in the sea
Surrounded by green plants, the building is a school.
Two baseball diamonds and a playground beside a road
A circular pond in the middle of a park
A pond is surrounded by dense trees
Some sparse vegetation on the sand
Industrial buildings with grey roofs stand in lines.
A playground is between the buildings.
The airport has several runways.
One side of the coast is a beach.
Aerial view of a medium residential area
A part of a runway with marks
Four circular storage tanks stand on bare ground
There are many cars on the bridge.
""".strip().splitlines()


def senses(text):
    return {m.senses for m in objects(text) if not m.loose and not m.senses <= lexicon().anywhere}


@pytest.mark.parametrize("caption", OPENINGS)
def test_a_scene_captions_things_are_all_kept(caption):
    subject = scene_subject(caption)
    assert subject is not None
    missing = senses(caption) - senses(subject)
    assert len(missing) <= len(senses(caption)) / 4, (subject, missing)


def test_fifty_openings_are_tried():
    assert len(OPENINGS) == len(set(OPENINGS)) == 50
