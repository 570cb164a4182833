"""Words for things in a scene: what each looks like in RGB, and the verbs that are said of things.

Standard library only: a metric's release copies the whole folder. A thing is found by its look alone, so a noun stands
for the looks that it may have. New words are new entries here; plurals in -s need none.
"""

from dataclasses import dataclass

from .words import words_of

# What a noun looks like in RGB: weights of the features of `thing_masks`.
LOOKS: dict[str, dict[str, float]] = {
    "woods": {"luminance": -1.0, "green": 0.6},
    "plants": {"green": 1.0},
    "open": {"luminance": 0.6, "warm": 0.5, "green": -0.3},
    "crops": {"luminance": 0.6, "green": 0.3},
    "pale": {"luminance": 1.0},
    "water": {"luminance": -0.6, "blue": 0.8, "teal": 0.4},
    "dark": {"luminance": -1.0},
    "built": {"luminance": 0.7, "rough": 0.5},
    "line": {},
    "any": {},
}

NOUNS: dict[str, str] = {
    "woods": """
        wood woodland forest forested wooded tree grove copse canopy pine conifer thicket coppice orchard stand
        treetop timber spinney underwood foliage evergreen woodlot
    """,
    "plants": "vegetation grass grassland meadow lawn greenery plant pasture turf scrub shrub bush park golf reed",
    "crops": "field farmland plot parcel crop cropland paddock allotment",
    "open": """
        ground soil land earth terrain clearing fallow dirt plateau slope flat desert floor plain bank basin
        hillside ridge valley
    """,
    "pale": """
        salt sand crust playa dune beach snow ice gravel cloud haze sandbank sandbar sandy salty mist chalk quarry
        saltpan pan deposit fog sediment shallow shoal shallows spit surf foam
    """,
    "water": "water lake pond sea ocean bay reservoir pool lagoon wetland marsh swamp inlet river stream creek canal",
    "dark": "shadow shade burn lava",
    "built": """
        farmstead building house roof town city settlement village suburb factory warehouse barn hall farm block
        district neighbourhood neighborhood houses housing built
    """,
    "line": """
        road track street highway line path lane edge boundary border rim shore shoreline hedge hedgerow ditch runway
        railway trail driveway motorway bridge dike dyke levee channel seam outline strand coastline crest fringe river
        stream canal creek strip stripe band belt streak ribbon vein rivulet margin corridor
    """,
    "any": """
        area part patch spot mass blotch region thing object side mark speck dot zone portion section blob piece place
        half corner stretch stripe band strip streak blot fleck feature material element point cluster bit expanse
        corners belt surface crown shape stain veil tongue wedge triangle square rectangle oval ring arm fan crescent
        pentagon hole bulge block clump fringe island
    """,
}
WIDE = words_of(
    "band strip stripe belt streak edge fringe margin river stream channel canal creek"
)  # lines that may be parts as well
LINES = words_of(NOUNS["line"])
PARTS = words_of(NOUNS["any"])
IRREGULAR = {"shadows": "shadow", "beaches": "beach", "branches": "branch", "patches": "patch", "bushes": "bush",
             "ditches": "ditch", "marshes": "marsh", "stretches": "stretch", "houses": "house", "edges": "edge",
             "boundaries": "boundary", "cities": "city", "factories": "factory", "blotches": "blotch",
             "halves": "half", "shores": "shore", "grasses": "grass", "crosses": "cross", "masses": "mass",
             "arches": "arch", "plots": "plot", "valleys": "valley", "pieces": "piece", "surfaces": "surface",
             "bodies": "body", "reaches": "reach", "leaves": "leaf"}  # fmt: skip

# Verbs and states of things; words that are classified in `words` already are matched by their text, too.
RUNS = words_of("""
    runs run running crosses cross crossing cuts cut cutting winds winding wind curves curving bends bending climbs
    slants slanting traverses follows skirts borders bounds bound traces splits divides passes leads extends zigzags
    snakes meanders arcs forks branches crossed divided cuts separates separate bordering stretches stretch slices
    bisects hugs descends rises separating dividing flanking lining fringing parts
""")
LIES = words_of("""
    lies lie lying sits sit sitting located situated touches touch touching fills fill filling covers cover covering
    occupies occupy occupying stretches extends taken takes take clusters crowded scattered concentrated gathered
    sprinkled found spread spreads spreading hugs nestles strewn dotted confined limited placed positioned huddle abuts
    adjoins reaches huddled stand stands surrounds surround rings ring gather borders
""")
FADES = words_of("""
    disappears disappear vanishes vanish blends blend blending merges merge merging dissolves dissolve melts melt
    fades fade faded vanished disappeared invisible lost indistinguishable unrecognisable untraceable unseen subdued
    muted inconspicuous fainter faint blended merged swallowed absorbed unnoticeable drowned imperceptible undetectable
    gone absent missing traced erased hidden weak weaker
""")
SEEN = words_of(
    "seen made traced recognised recognized distinguished told discerned picked visible noticeable perceptible"
)
STANDS_OUT = words_of("""
    conspicuous prominent distinct contrasts striking clear obvious recognisable recognizable traceable
    pronounced outlined unmistakable
""")
COLOURS = {  # what `Kind.COLOUR` does not list, or sees as warm alone
    "brown": "brown",
    "brownish": "brown",
    "tan": "brown",
    "pink": "pink",
    "pinkish": "pink",
    "reddish": "pink",
    "red": "pink",
    "maroon": "pink",
    "purple": "pink",
    "purplish": "pink",
    "salmon": "pink",
    "cream": "pale",
    "creamy": "pale",
    "beige": "pale",
    "buff": "pale",
    "yellow": "warm",
    "turquoise": "teal",
    "teal": "teal",
    "cyan": "teal",
    "blue green": "teal",
    "green blue": "teal",
    "bluish green": "teal",
    "greenish blue": "teal",
}
SURROUNDINGS = words_of("surroundings surrounding surround neighbours neighbors neighbourhood background neighbouring")
SWAPS = words_of("swap swaps swapped reverse reverses reversed exchange exchanges trade switch switches inverted flip")
HEDGES = words_of("partly partially some few several places occasional occasionally mainly mostly")
FILLED = words_of("taken covered filled occupied dominated crossed cut lined bordered overgrown")
LESSENED = words_of("subdued muted fainter faint weaker weak inconspicuous")
RELATIVES = words_of("which that who where whose")


def noun_of(word: str) -> tuple[str, str] | None:
    """The look class of a noun and its singular; None for a word that names no thing."""
    for form in (word, IRREGULAR.get(word, ""), word.removesuffix("s")):
        if form in _CLASSES:
            return _CLASSES[form], form
    return None


_CLASSES: dict[str, str] = {}
for _class in ("any", "line", *(name for name in NOUNS if name not in ("any", "line"))):
    for _noun in NOUNS[_class].split():
        _CLASSES[_noun] = _class
for _noun in ("strip", "stripe", "band", "streak", "river", "stream", "canal", "creek"):
    _CLASSES[_noun] = "line"


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing as a statement describes it.

    Attributes:
        looks: Names of `LOOKS` that its nouns have, the head's first; empty where it is named by its place alone.
        head: Its noun; empty where there is none.
        tones: Values of `Kind.TONE` that are said of it.
        colours: Colour words said of it.
        places: Names of places, as `Kind.PLACE` has them.
        offset: `north`, `south`, `west` or `east` of its place, or empty.
        image: Where its tones are seen: `rgb`, `infrared`, or empty where nobody says.
        beside: Of another thing: the side where it lies, `around`, `rest`; or empty.
        top: 1 for the brightest one, -1 for the darkest, else 0.
    """

    looks: tuple[str, ...] = ()
    head: str = ""
    tones: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    offset: str = ""
    image: str = ""
    beside: str = ""
    top: int = 0

    @property
    def plain(self) -> bool:
        """Whether nothing tells how it looks: a place, or a part of unnamed kind."""
        return not self.tones and not self.colours and set(self.looks) <= {"any", "line"}

    def __str__(self) -> str:
        """The words that tell it: `dark green woods, north-east`."""
        tones = ["black" if t < -2 else "dark" if t < 0 else "white" if t > 2 else "bright" if t > 0 else "grey"
                 for t in self.tones]  # fmt: skip
        tones += {1: ["brightest"], -1: ["darkest"]}.get(self.top, [])
        name = " ".join([*tones, *self.colours, self.head or "place"])
        where = " ".join(part for part in (self.beside, self.offset, *self.places) if part)
        return f"{name}, {where}" if where else name


@dataclass(frozen=True, slots=True)
class ThingStatement:
    """What is said of a thing.

    Attributes:
        aspect: `tone`, `than` (another thing), `beside rgb`, `extreme`, `apart` (whether it stands out), `place`,
            `line`, `texture`, `swap` or `contrast` (of two things, beside RGB).
        subject: Of whom.
        value: A tone, `brighter`, `brightest`, `lost`, `seen`, `smooth`, `rough`, `same` and so on.
        other: The thing that it is compared with.
        denied: Whether it is said not to be so.
        hedged: Whether it is said of a part only, so that what contradicts it may be the other part.
    """

    aspect: str
    subject: Thing
    value: str
    other: Thing | None = None
    denied: bool = False
    hedged: bool = False

    def __str__(self) -> str:
        """One line, in a fixed order."""
        other = f" [{self.other}]" if self.other else ""
        return f"[{self.subject}] {self.aspect} {'not ' if self.denied else ''}{self.value}{other}"
