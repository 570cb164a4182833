import pytest
from jinja2 import UndefinedError

from model_cards import TEMPLATES
from model_cards.environment import template_environment


def test_templates_are_the_project_s_and_name_nothing_that_nobody_gives():
    environment = template_environment()
    assert set(environment.list_templates()) == {path.name for path in TEMPLATES.iterdir()}
    with pytest.raises(UndefinedError, match="'missing' is undefined"):
        environment.from_string("{{ missing }}").render()
    assert environment.from_string("{% if true %}\na\n{% endif %}\nb").render() == "a\nb"
