"""Order of the tests (those that take longest begin first) and settings of Hypothesis: no test is timed."""

from pathlib import Path

from hypothesis import settings

# A busy machine is not an error of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Minutes of notebooks, and the book that other files of the folder wait for.
LONGEST = ("notebooks/test_running.py", "browser/test_explorer.py")


def pytest_collection_modifyitems(items) -> None:
    here = Path(__file__).parent
    order = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))
