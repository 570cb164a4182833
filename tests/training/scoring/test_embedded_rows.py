import numpy as np

from tests.training.made.embedded import embedded
from training.scoring.embedded_rows import EmbeddedTexts, text_ranks


def test_several_captions_a_row_by_hand():
    """Each image's text positives are both its captions; a caption equal to another row's is one of that row, too."""
    part = embedded(rows=4)
    part.texts["scene"].keys[7] = part.texts["scene"].keys[0]  # row 3 says what row 0 says
    scores = part.images["ir"] @ part.texts["scene"].embeds.T  # (4, 8)
    positive = np.zeros((4, 8), bool)
    positive[np.repeat(np.arange(4), 2), np.arange(8)] = True
    positive[0, 7] = positive[3, 0] = True
    found = text_ranks(part)
    for row in range(4):
        best = scores[row, positive[row]].max()
        assert found["ir_to_text/scene"][row] == (scores[row, ~positive[row]] >= best).sum()
    for text in range(8):
        best = scores[positive[:, text], text].max()
        assert found["text_to_ir/scene"][text] == (scores[~positive[:, text], text] >= best).sum()


def test_a_row_without_captions_asks_nothing_but_stays_in_the_gallery():
    part = embedded(rows=3, captions=1)
    texts = part.texts["scene"]
    part.texts["scene"] = EmbeddedTexts(texts.owner[:2], texts.keys[:2], texts.embeds[:2])
    found = text_ranks(part, ["rgb"])
    assert len(found["rgb_to_text/scene"]) == 2 and len(found["text_to_rgb/scene"]) == 2
    scores = part.images["rgb"] @ texts.embeds[:2].T
    assert found["text_to_rgb/scene"][0] == (scores[1:, 0] >= scores[0, 0]).sum()


def test_selected_rows_keep_their_captions():
    part = embedded(rows=6)
    chosen = part.select(np.array([4, 1]))
    assert chosen.groups.tolist() == ["g4", "g1"] and sorted(chosen.texts["scene"].owner.tolist()) == [0, 0, 1, 1]
    assert chosen.texts["scene"].keys.tolist() == ["key2", "key3", "key8", "key9"]
    assert chosen.texts["scene"].owner.tolist() == [1, 1, 0, 0]
