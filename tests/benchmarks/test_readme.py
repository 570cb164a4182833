import pytest

from tests.benchmarks.readme import BLOCKS, RESULTS, block, block_in, results_page


@pytest.mark.parametrize("name", BLOCKS)
def test_the_pages_show_the_committed_results(name):
    assert block_in(BLOCKS[name].read_text(), name) == block(name)


def test_the_results_page_shows_the_committed_results():
    assert RESULTS.read_text() == results_page()
