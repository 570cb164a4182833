from model_cards.facts import Estimate, percent
from model_cards.markdown import markdown_table


def test_percent_and_table_helpers():
    assert percent(0.1234) == "12.3"
    assert percent(Estimate(-0.05, -0.1, 0.0), sign=True) == "-5.0 [-10.0, +0.0]"
    assert markdown_table(["a", "b"], [["x|y", "1"]], numbers_from=1) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
