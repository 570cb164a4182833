"""Words that captions of a pair are made of: places, nouns and verbs by what they say. Data; `tellings` composes them.

`{s}`, `{es}` and `{is}` agree with the subject, `{image}` is the infrared image by its name.
"""

PLACES: dict[str, tuple[str, ...]] = {
    "north-west": ("in the upper left", "at the upper left", "in the upper-left corner", "in the top left corner",
                   "in the north-west",
                   "at the top left", "in the north-western corner", "near the upper-left corner"),
    "north-east": ("in the upper right", "at the upper right", "in the upper-right corner", "in the top right corner",
                   "in the north-east",
                   "at the top right", "in the north-eastern corner", "near the upper-right corner"),
    "south-west": ("in the lower left", "at the lower left", "in the lower-left corner", "in the bottom left corner",
                   "in the south-west", "at the bottom left", "in the south-western corner",
                   "near the lower-left corner"),
    "south-east": ("in the lower right", "at the lower right", "in the lower-right corner",
                   "in the bottom right corner", "in the south-east", "at the bottom right",
                   "in the south-eastern corner", "near the lower-right corner"),
    "north": ("at the top", "near the top", "in the north", "at the upper edge",
              "near the upper edge", "up at the top"),
    "south": ("at the bottom", "near the bottom", "in the south", "at the lower edge", "near the lower edge",
              "down at the bottom"),
    "west": ("at the left", "on the left", "in the west", "at the left edge", "near the left edge",
             "on the left-hand side"),
    "east": ("at the right", "on the right", "in the east", "at the right edge", "near the right edge",
             "on the right-hand side"),
    "centre": ("in the middle", "in the centre", "at the centre", "near the middle", "near the centre",
               "around the middle"),
    "north side": ("along the top", "across the top", "along the upper edge", "along the northern side",
                  "along the top edge", "across the north"),
    "south side": ("along the bottom", "across the bottom", "along the lower edge", "along the southern side",
                  "along the bottom edge", "across the south"),
    "west side": ("along the left side", "along the left edge", "down the left side", "along the western side",
                  "along the left", "on the whole left side"),
    "east side": ("along the right side", "along the right edge", "down the right side", "along the eastern side",
                  "along the right", "on the whole right side"),
    "across": ("across the middle", "through the middle", "right across the centre", "across the centre"),
}  # fmt: skip
POINTS: dict[str, tuple[str, ...]] = {  # ends of lines
    "north-west": ("the upper left", "the top left", "the north-west", "the upper-left corner"),
    "north-east": ("the upper right", "the top right", "the north-east", "the upper-right corner"),
    "south-west": ("the lower left", "the bottom left", "the south-west", "the lower-left corner"),
    "south-east": ("the lower right", "the bottom right", "the south-east", "the lower-right corner"),
    "north": ("the top", "the upper edge", "the north"),
    "south": ("the bottom", "the lower edge", "the south"),
    "west": ("the left", "the left edge", "the west"),
    "east": ("the right", "the right edge", "the east"),
    "centre": ("the middle", "the centre"),
}

LOOKS: dict[str, tuple[str, ...]] = {  # of parts, in the visible image
    "dark": ("dark", "dark", "darker", "darkish"),
    "medium": ("grey", "mid-grey", "medium grey"),
    "pale": ("pale", "light", "bright", "pale"),
}
NEARLY_BLACK = ("black", "nearly black", "almost black", "dark")  # of dark parts
GROUNDS = ("ground", "land", "terrain", "earth")  # nouns that name no object and are read as things
PART_NOUNS: dict[str, tuple[str, ...]] = {  # nouns of no kind, by shape
    "small": ("spot", "patch", "piece", "blob", "area", "blot", "mark", "bit", "fleck", "speck"),
    "compact": ("area", "patch", "block", "mass", "zone", "part", "region", "section", "expanse", "surface"),
    "elongated": ("stretch", "band", "belt", "strip", "tongue", "part", "zone", "stripe", "wedge", "arm"),
    "irregular": ("blotch", "area", "patch", "region", "portion", "part", "shape", "cluster", "expanse", "stain"),
}
LINE_NOUNS = ("streak", "strip", "streak", "line", "stripe", "ribbon", "vein", "trace", "seam")

VERBS = ("{is}", "{is}", "look{s}", "appear{s}", "come{s} out", "end{s} up", "{is} clearly", "{is} plainly",
         "{is} by far", "seem{s}", "show{s}", "turn{s} out")  # fmt: skip
STAYING = ("stay{s}", "remain{s}", "{is} still", "{is} again", "{is} once more")
NOUN_VERBS = ("{is}", "{is}", "{is} clearly", "make{s}", "become{s}", "turn{s} out to be", "end{s} up",
              "show{s} up as", "{is} by far", "{is} easily", "appear{s} as", "stand{s} out as")  # fmt: skip
STAYING_AS = ("stay{s}", "remain{s}", "{is} still", "{is} again")
ALL_ELSE = ("everything else", "all else", "all the rest", "anything else here", "the rest",
            "anything near it", "the rest of the tile", "anything around",
            "any other place", "anything else in view", "whatever else is there",
            "every other part", "all others")  # fmt: skip
EXTREME_NOUNS = ("part", "part", "area", "patch", "thing", "spot", "surface", "place", "piece", "section", "zone",
                 "portion", "region", "feature", "element", "mass", "expanse", "ground")  # fmt: skip
OF_ALL = ("", "", " of the {image}", " of the scene", " of the tile", " in view", " here", " of all",
          " in the picture"," of the whole view", " in the frame", " anywhere", " to be seen")  # fmt: skip
TONES: dict[str, tuple[str, ...]] = {
    "black": ("turn{s} black", "{is} black", "come{s} out black", "show{s} up as black", "appear{s} nearly black",
              "become{s} black", "look{s} black", "{is} rendered black", "go{es} black", "{is} almost black",
              "end{s} up black", "read{s} as black", "turn{s} almost black", "{is} practically black"),
    "white": ("turn{s} white", "{is} white", "come{s} out white", "shine{s} white", "{is} almost white",
              "become{s} white", "look{s} nearly white", "show{s} up as white", "end{s} up white",
              "{is} rendered white", "turn{s} almost white", "appear{s} practically white"),
    "bright": ("turn{s} bright", "light{s} up", "glow{s} bright", "come{s} out bright", "show{s} up bright",
               "become{s} bright", "turn{s} pale", "{is} rendered in bright tones", "appear{s} bright",
               "turn{s} light grey", "look{s} bright", "end{s} up bright", "shine{s}"),
    "dark": ("turn{s} dark", "come{s} out dark", "become{s} dark", "show{s} up dark", "look{s} dark",
             "{is} rendered in dark tones", "turn{s} dark grey", "end{s} up dark", "appear{s} dark", "go{es} dark",
             "{is} dark grey", "sink{s} into the dark"),
    "medium": ("turn{s} mid-grey", "become{s} a medium grey", "come{s} out mid-grey", "end{s} up mid-grey",
               "{is} rendered in mid-grey", "show{s} up mid-grey", "appear{s} medium grey", "read{s} as mid-grey",
               "take{s} on a mid-grey tone"),
}  # fmt: skip
LIFTED = (  # of what was nearly black
    "turn{s} dark grey",
    "lift{s} to dark grey",
    "rise{s} to dark grey",
    "come{s} out dark grey",
    "{is} rendered in dark grey",
    "end{s} up dark grey",
)
SEEN = ("in the visible image", "in the visible image", "in the RGB image", "in visible light", "in RGB",
        "in the photograph", "in the visible picture", "in the visible view", "in the RGB picture",
        "in the visible bands", "in the visible frame", "in daylight", "in the optical image", "in the RGB view",
        "in the photo", "in the RGB frame", "in the RGB scene", "in ordinary light", "to the naked eye",
        "in the visible scene", "under visible light")  # fmt: skip
CONTRASTED = (  # a part with its look in the visible image
    "{noun} {place}, {look} {seen}, {said}",
    "{noun} {place} that {is} {look} {seen} {said}",
    "{look} {seen}, {noun} {place} {said}",
    "{place}, {noun} that {is} {look} {seen} {said}",
    "{noun} {place}, which {is} {look} {seen}, {said}",
    "{noun} {place} that look{s} {look} {seen} {said}",
    "{noun} {place} that appear{s} {look} {seen} {said}",
    "{noun} {place}, so {look} {seen}, {said}",
    "{noun} {place}, seen as {look} {seen}, {said}",
    "the {look} {bare} {place} of the visible image {said}",
    "{place} of the image, {noun} that show{s} {look} {seen} {said}",
)
RINGS = (
    "{is} {comp} than {pos} surroundings",
    "{is} {comp} than the ground around {it}",
    "become{s} {comp} than the ground around {it}",
    "come{s} out {comp} than {pos} surroundings",
    "look{s} {comp} than the land around {it}",
    "turn{s} {comp} than {pos} surroundings",
)
GAINED = (
    "stand{s} out more clearly than in the visible image",
    "{is} more distinct than in the visible image",
    "{is} more conspicuous than in the visible image",
    "{is} more prominent than in the visible image",
    "stand{s} out more strongly than in the visible image",
)
LOST = (
    "can no longer be made out",
    "disappear{s}",
    "vanish{es}",
    "blend{s} into {pos} surroundings",
    "cannot be told from {pos} surroundings",
    "fade{s} away",
    "merge{s} with {pos} surroundings",
    "{is} lost",
    "dissolve{s} into the ground around {it}",
    "can hardly be seen",
    "{is} swallowed by {pos} surroundings",
)
FAINTER = (
    "{is} fainter than in the visible image",
    "stand{s} out less than in the visible image",
    "{is} less distinct than in the visible image",
    "{is} less conspicuous than in the visible image",
    "{is} more subdued than in the visible image",
)
COMPARED = (
    "{is} {comp} than {other}",
    "look{s} {comp} than {other}",
    "come{s} out {comp} than {other}",
    "turn{s} {comp} than {other}",
    "end{s} up {comp} than {other}",
    "appear{s} {comp} than {other}",
)
SWAPS = (
    "{one} and {other} swap brightness",
    "{one} and {other} trade brightness",
    "{one} and {other} exchange their brightness",
    "{one} and {other} trade their tones",
    "{one} and {other} swap their tones",
)
RUNS = {
    "straight": ("runs from {start} to {end}", "leads from {start} to {end}", "crosses from {start} to {end}",
                 "cuts across from {start} to {end}", "stretches from {start} to {end}",
                 "passes from {start} to {end}", "extends from {start} to {end}"),
    "winding": ("winds from {start} to {end}", "curves from {start} to {end}", "bends from {start} to {end}",
                "curves from {start} to {end}", "snakes from {start} to {end}"),
    "place": ("runs {place}", "crosses {place}", "cuts {place}", "passes {place}", "lies {place}"),
}  # fmt: skip
LINE_TURNS = (
    "turn{s} {tone}",
    "{is} {tone} here",
    "become{s} {tone}",
    "turn{s} into a {tone} line",
    "show{s} up {tone}",
    "come{s} out {tone}",
    "change{s} to {tone}",
    "{is} rendered {tone}",
)
ABSENT = (", absent from the visible image", ", missing in the visible image", ", not seen in the visible image", "")
REGIONS = (
    "{a} {tone} {noun} lies {place}",
    "{a} {tone} {noun} sits {place}",
    "{place} there is {a} {tone} {noun}",
    "{place} {a} {tone} {noun} stands out",
    "{a} {tone} {noun} stands out {place}",
    "{a} {tone} {noun} takes up the space {place}",
    "{a} {tone} {noun} shows {place}",
    "{place} lies {a} {tone} {noun}",
    "{a} {tone} {noun} can be seen {place}",
)
REGION_EXTREMES = (
    "the {sup} tones lie {place}",
    "it is {sup} {place}",
    "the {sup} part lies {place}",
    "{place} it is {sup}",
    "the {sup} {noun} of the {image} is {place}",
    "the {image} is {sup} {place}",
    "{place} lie the {sup} tones",
    "the {sup} {noun} lies {place}",
    "the {sup} tones are found {place}",
    "{place} one finds the {sup} tones",
    "the {sup} {noun} is {place}",
    "its {sup} {noun} lies {place}",
)
OPENINGS = (
    "{band} view of {subject}.",
    "{band} image of {subject}.",
    "{subject} in {band} view.",
    "{subject}, seen in {band}.",
    "This {band} image shows {subject}.",
    "The {band} scene shows {subject}.",
    "{subject} from above, in {band}.",
    "A {band} picture of {subject}.",
    "{band} tile with {subject}.",
    "Seen from above in {band}: {subject}.",
    "This is {subject} in {band}.",
    "{subject}: a {band} scene.",
    "{subject}, pictured in {band}.",
    "{band}, from overhead: {subject}.",
    "The view is {band}, the place {subject}.",
    "{subject} as {band} shows it.",
    "Overhead {band} frame of {subject}.",
    "Here {band} looks at {subject}.",
    "Below: {subject}, in {band}.",
)
INTO = (  # a fact goes on behind these
    "in this {band} view of {subject}, ",
    "in the {band} image of {subject}, ",
    "over {subject}, seen in {band}, ",
    "in {band}, with {subject} below, ",
    "in {band} light over {subject}, ",
    "in this {band} scene of {subject}, ",
)
CLOSINGS = (
    "The {band} scene shows {subject}.",
    "The place in this {band} view: {subject}.",
    "The {band} image shows {subject}.",
    "This is {subject}, seen in {band}.",
    "The {band} tile shows {subject}.",
    "Seen here in {band}: {subject}.",
    "All of it: {subject}, in {band}.",
    "What lies below is {subject}, in {band}.",
    "So {band} shows {subject}.",
    "The ground below, in {band}: {subject}.",
)
VISIBLE = (
    "The visible image shows {subject}.",
    "In RGB this is {subject}.",
    "RGB shows {subject}.",
    "What the RGB image shows is {subject}.",
    "In visible light one sees {subject}.",
)
VISIBLE_WITH_PARTS = (
    "The RGB image shows {parts} in a scene of {subject}.",
    "In visible light one sees {parts}, as part of {subject}.",
    "What the RGB image shows is {subject} and {parts}.",
    "The visible image of {subject} shows {parts}.",
    "In RGB one sees {subject} and {parts}.",
)
VISIBLE_PARTS = (
    "The visible image shows {parts}.",
    "In visible light one sees {parts}.",
    "The RGB image shows {parts}.",
)
IN_INFRARED = ("In infrared, ", "In the infrared image, ", "The infrared differs: ", "In the infrared, ", "")
BOTH_LEVELS = (
    "On the whole, the infrared is {comp} than the visible image.",
    "The infrared image as a whole is {comp} than the visible one.",
    "Side by side, the infrared is {comp} than the visible image.",
    "Overall the infrared image is {comp} than the visible image.",
)
BOTH_ALIKE = (
    "Otherwise the infrared follows the pattern of the visible image.",
    "For the rest, its pattern resembles that of the visible image.",
    "The pattern of both images is much the same.",
    "By and large the infrared pattern mirrors the visible image.",
)
BOTH_DIFFERENT = (
    "Side by side, the pattern of the two images is different.",
    "Its pattern differs from that of the visible image.",
    "The infrared pattern is unlike that of the visible image.",
    "Compared with the visible image, the pattern is different.",
)
