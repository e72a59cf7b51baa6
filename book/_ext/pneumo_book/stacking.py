"""Charts of several panels on narrow screens: a second drawing, panels one above the other; CSS shows one of the two."""

from collections.abc import Callable, Iterator
from pathlib import Path

from docutils import nodes
from matplotlib.figure import Figure
from sphinx.transforms import SphinxTransform


def stacked(name: str) -> str:
    """The file of the second drawing."""
    return f"{Path(name).with_suffix('')}-stacked{Path(name).suffix}"


def both(name: str, draw: Callable[..., Figure], *args) -> Iterator[tuple[str, Figure]]:
    """(file name, figure) of the drawing and of the second one."""
    yield name, draw(*args)
    yield stacked(name), draw(*args, stacked=True)


class BothDrawings(SphinxTransform):
    """Puts the second drawing into the figure that shows the first, so that a page names one file only."""

    # Before Sphinx collects a page's images.
    default_priority = 500

    def apply(self, **kwargs) -> None:
        for figure in self.document.findall(nodes.figure):
            first = next(figure.findall(nodes.image), None)
            if first is not None and self._is_there(second := stacked(first["uri"])):
                image = nodes.image(uri=second, alt=first.get("alt", ""), classes=["stacked"])
                figure += nodes.legend("", image)

    def _is_there(self, uri: str) -> bool:
        return uri.startswith("/") and Path(self.app.srcdir, uri[1:]).is_file()
