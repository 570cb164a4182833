"""HTML pages that need nothing beside them: images are inside, and no text of a row can act or hide."""

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from model_cards.environment import template_environment
from model_cards.markdown import UNSEEN


def write_page(path: Path, template: str, filters: Mapping[str, Callable], **values: object) -> None:
    """Writes the page that a template makes of values.

    Args:
        path: HTML to write; its folder exists.
        template: Name in the templates' folder; `data_uri` is there for its images.
        filters: More filters, by name.
        **values: What the template names; one that nobody gives is an error.

    Raises:
        OSError: The file cannot be written.
    """
    environment = template_environment(autoescape=True, finalize=visible, lstrip_blocks=True)
    environment.filters |= {"data_uri": data_uri, **filters}
    path.write_text(environment.get_template(template).render(values), encoding="utf-8")


def visible(value: object) -> object:
    """Texts without characters that no reader sees: escaping alone leaves NUL and marks that turn text around."""
    return UNSEEN.sub("\ufffd", value) if isinstance(value, str) and not isinstance(value, Markup) else value


def data_uri(image: Image.Image) -> str:
    """Returns an image as a `data:` address, PNG, so that every grey level is the stored one.

    Args:
        image: Mode RGB or L, 8 bit.
    """
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
