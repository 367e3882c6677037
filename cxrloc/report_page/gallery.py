"""One page with every figure of a run, to choose from."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from cxrloc.report_page.page import filled_page


def gallery_page(
    title: str, pictures: Mapping[str, tuple[bytes, str]], width: int, refused: Mapping[str, str]
) -> str:
    """The page, which needs no other file.

    Args:
        title: of the page.
        pictures: PNG of each panel, and the command that draws it.
        width: of the pictures, in pixels of the page.
        refused: why each of the other panels cannot be drawn.
    """
    source = "data:image/png;base64,"
    figures = "\n".join(
        f"<figure><figcaption><b>{escape(name)}</b> <code>{escape(command)}</code></figcaption>"
        f'<img width="{width}" alt="{escape(name)}" src="{source}{b64encode(png).decode()}">'
        "</figure>"
        for name, (png, command) in pictures.items()
    )
    reasons = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(why)}</dd>" for name, why in refused.items()
    )
    styles = ("page.css", "gallery.css")
    return filled_page("gallery.html", title, {}, styles, "", pictures=figures, refused=reasons)
