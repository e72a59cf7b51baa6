"""The order of the tests: those that take longest begin first, so that processes side by side end together."""

from pathlib import Path

# Minutes of notebooks, and the book that other files of the folder wait for.
LONGEST = ("notebooks/test_running.py", "browser/test_explorer.py")


def pytest_collection_modifyitems(items) -> None:
    here = Path(__file__).parent
    order = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))
