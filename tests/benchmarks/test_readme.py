from tests.benchmarks.readme import BEGIN, END, README, RESULTS, results_block, results_page


def test_the_readme_shows_the_committed_results():
    text = README.read_text()
    assert text.split(BEGIN)[1].split(END)[0] == results_block()


def test_the_results_page_shows_the_committed_results():
    assert RESULTS.read_text() == results_page()
