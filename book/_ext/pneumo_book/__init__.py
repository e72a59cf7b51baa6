"""The book's Sphinx extension, which is no part of the library: pages, tables and figures from the committed records."""


def setup(app) -> dict:
    """Sphinx's entry point; imported late, so that the README's table is made without Sphinx."""
    from pneumo_book import extension

    return extension.setup(app)
