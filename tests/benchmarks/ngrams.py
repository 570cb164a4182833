"""How much of a reference's wording a text has, which says little of what is true in it: it gates nothing."""

import math
import re
from collections import Counter

ORDER = 4
NO_MATCH = 0.1  # matches counted where there is none, as in the smoothing 1 of Chen and Cherry 2014


def bleu(text: str, reference: str) -> float:
    """Returns BLEU-4 of one text against one reference, 0 to 1 (Papineni et al. 2002); words in lower case."""
    words, expected = (re.findall(r"[\w-]+", part.casefold()) for part in (text, reference))
    if len(words) < ORDER:
        return 0.0
    logs = 0.0
    for n in range(1, ORDER + 1):
        counts, known = (Counter(zip(*(part[start:] for start in range(n)))) for part in (words, expected))
        logs += math.log(((counts & known).total() or NO_MATCH) / counts.total())
    return math.exp(logs / ORDER + min(0.0, 1 - len(expected) / len(words)))
