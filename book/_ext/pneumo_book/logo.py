"""The book's logo and icon, drawn as SVG: a pair of lungs, one of them with air between it and the chest wall."""

_LUNG = "M46 16 C30 18 16 40 14 64 C13 76 16 84 20 86 C28 84 40 80 46 72 Z"
_COLLAPSED = "M54 22 C62 24 72 40 74 58 C75 68 72 74 68 76 C62 75 58 74 54 70 Z"
_WALL = "M54 16 C70 18 84 40 86 64 C87 76 84 84 80 86 C72 84 60 80 54 72"
BLUE, ORANGE = "#0072B2", "#D55E00"


def files() -> dict[str, str]:
    """The pictures by file name: one for the sidebar, one for the browser's tab."""
    return {"logo.svg": drawn(256, "2ST-UNet, replicated"), "favicon.svg": drawn(64, "")}


def drawn(side: int, title: str) -> str:
    """A square picture of `side` pixels; readable on light and on dark ground."""
    named = f"<title>{title}</title>" if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 100 100">{named}'
        f'<path d="M50 4 V30 M50 30 L44 40 M50 30 L56 40" fill="none" stroke="{BLUE}" stroke-width="5" stroke-linecap="round"/>'
        f'<path d="{_LUNG}" fill="{BLUE}"/><path d="{_COLLAPSED}" fill="{BLUE}"/>'
        f'<path d="{_WALL}" fill="none" stroke="{ORANGE}" stroke-width="4" stroke-linecap="round"/></svg>\n'
    )
