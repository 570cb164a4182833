from training.scoring.band_tiles import block_of


def test_neighbours_share_a_block():
    assert block_of("s@r0c64s64") == block_of("s@r64c0s64") != block_of("s@r128c0s64")
    assert block_of("photo.png") == "photo.png"
