"""Thresholds of the facts of a pair.

Those marked fitted are written by hand from what `tests/benchmarks/pair_facts.py` prints for the training tiles of the
shipped sample: between two of them lies what a shift by one pixel or JPEG at quality 90 moves.
"""

# Parts of the RGB and regions of the infrared, on the working grid.
LEAST_SHARE = 0.015  # of the area
MOST_SHARE = 0.6  # of what stands out from the rest of an image: more is the image itself
MOST_PARTS = 8  # of an image, the largest
SOLID = 0.4  # share of a part that is not its outline: below, it is speckle
TONE_GAP = 16.0  # grey levels between the means of two tones of one image: below, they are one
DARK_BELOW, PALE_ABOVE = 110.0, 100.0  # luminance that a dark part has at most, and a pale one at least

# Colours. Chroma is the largest minus the smallest channel, grey levels.
CHROMA, SATURATION = 8.0, 0.14  # least chroma, and least share of the largest channel
HAZE = 25.0  # up to here, a blue that half of the image has is haze and no colour
GREEN_FROM, TEAL_FROM, BLUE_FROM, BLUE_TO = 65.0, 150.0, 200.0, 265.0  # hue angles, degrees; warm below green

TINT_STEP = 6.0  # grey levels of a colour against its opponent that are plain; a quarter of it is none

# Standing.
RING = 5  # width of the ring around a part, working pixels; the first beside the part is left out
DARK_RANK, BRIGHT_RANK = 0.3, 0.7
MEDIUM_RANK = (0.4, 0.6)
TONE_STEP = 8.0  # grey levels from the image's median, for `dark` and `bright`
AGAINST_AUC = 0.75  # of `brighter`, or 1 minus it of `darker`
LEVEL_AUC = (0.38, 0.62)
AGAINST_STEP, LEVEL_STEP = 8.0, 6.0  # grey levels

# Claims: what is claimed stands clear of what is measured, so that noise does not take it back.
CLAIM_AUC, CLAIM_STEP = 0.82, 12.0  # of `brighter`, or 1 minus the AUC of `darker`; grey levels
CLAIM_LEVEL_AUC, CLAIM_LEVEL_STEP = (0.43, 0.57), 4.0  # of `level`
CLAIM_RANKS = (0.24, 0.76)
CLAIM_SHARE = 0.02  # of the area
CLAIM_LINE = 0.86  # AUC of a line against its sides
CLAIM_LENGTH, CLAIM_STRENGTH = 0.33, 13.0  # of a line: longer sides; grey levels

# Lines, on the level of the image pyramid where they are narrow.
LEAST_SIDE = 24  # pixels of a pyramid level's shorter side
LINE_STEP = 9.0  # grey levels to both of its sides, mean over the line's run
LINE_CLUTTER = 4.5  # the same over the median step of the image
LINE_AUC = 0.8  # of a bright line against its sides in the image that traces it, or 1 minus it of a dark one
LINE_LENGTH = 0.25  # of the longer side
LINE_SEEN, LINE_UNSEEN = 0.6, 0.25  # share of its run where the other image shows it, or does not
MOST_LINES = 6  # of an image

# Edges, on the working grid.
EDGE_STEP, EDGE_SPREAD = 7.0, 0.12  # grey levels a pixel; share of the image's spread
LEAST_EDGES = 0.02  # of the area: with fewer there is nothing to share
MANY_SHARED, FEW_SHARED = (0.75, 0.5), (0.45, 0.15)  # share of the infrared's edges; the same beyond chance
