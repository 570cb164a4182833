import pytest

from tests.benchmarks.readme import BLOCKS, README, RESULTS, block, results_page, shown


@pytest.mark.parametrize("name", BLOCKS)
def test_the_readme_shows_the_committed_results(name):
    assert shown(README.read_text())[name] == block(name)


def test_the_results_page_shows_the_committed_results():
    assert RESULTS.read_text() == results_page()
