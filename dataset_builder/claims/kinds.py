"""The classes that words fall in: what the grammar looks at, and, with a value in the class, most of what it knows.

Standard library only: a metric's release copies the whole folder.
"""

from enum import StrEnum, auto

BLACK, DARK, MID, BRIGHT, WHITE = -3, -2, 0, 2, 3  # the values of `Kind.TONE`


class Kind(StrEnum):
    """The legend of word classes, each with the values that its words may have."""

    # Tones
    TONE = auto()  # dark, pale, mid grey; `BLACK` to `WHITE`
    COMPARATIVE = auto()  # a tone compared; -1 darker, 1 brighter
    SUPERLATIVE = auto()  # an extreme tone; -1 darkest, 1 brightest
    TONE_CHANGE = auto()  # -1 darkens, 1 brightens
    BRIGHTNESS = auto()  # what has a tone: grey, shade, pixel value, level, signal
    # Images, and where in them
    INFRARED = auto()  # the infrared image: infrared, swir, here
    VISIBLE = auto()  # the visible image: RGB, photograph, the other panel; both images, too
    IMAGE = auto()  # an image, or all of it: scene, overall, from edge to edge
    PLACE = auto()  # a cell, `north` for a bare side, `north side`, `north half`, `centre` or `margins`
    PART = auto()  # an area of unnamed kind: patch, spot, region
    GROUND = auto()  # things on the ground, and every word of no other class
    COLOUR = auto()  # of the visible image; `green`, `blue` or `warm`
    # Contrast
    CONTRAST = auto()  # the noun: contrast, dynamic range
    CLASH = auto()  # tones set against each other: clashing, two-tone, stands out against
    RANGE = auto()  # a range of tones or a difference: spread, gap, variation
    WIDTH = auto()  # of a range; -1 narrow, 1 wide
    DISTANCE = auto()  # of tones from each other; -1 close together, 1 far apart
    UNIFORM = auto()  # flat, even in tone, monotonous
    PATTERN = auto()  # light and dark as a pattern: layout, lights and shadows
    # Texture
    SURFACE = auto()  # -1 smooth, 1 rough
    DETAIL = auto()  # fine structure; 1, less where the noun often is an object's (0.7) or its border (0.5)
    FOCUS = auto()  # -1 soft, 1 sharp
    # How much
    AMOUNT = auto()  # minimal, low, moderate, high, extreme; -2 to 2
    COMPARED_AMOUNT = auto()  # -1 lower, 1 higher; -2 lowest, 2 highest
    MOST = auto()  # most or all of it: mainly, fills, nearly everything
    NEGATION = auto()  # not, hardly, without, nothing
    ABSENCE = auto()  # negation behind its noun: missing, gone
    # Comparison and change
    THAN = auto()  # than
    COMPARISON = auto()  # compared with, beside, relative to
    LIKENESS = auto()  # of two images; 1 the same, -1 different, -2 reversed
    CHANGE = auto()  # -1 decreases, 1 increases
    FROM = auto()  # from
    TOWARDS = auto()  # to, towards
    BECOMES = auto()  # becomes, turns, shows up as
    STAYS = auto()  # stays, remains, still, too
    # What joins the others
    COPULA = auto()  # is, looks, has, shows
    AND = auto()  # and, or
    BUT = auto()  # but, while, however
    COMMA = auto()  # a comma or a bracket
    FUNCTION = auto()  # articles, prepositions, hedges


TONES = (Kind.TONE, Kind.COMPARATIVE, Kind.SUPERLATIVE)
