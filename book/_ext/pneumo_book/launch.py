"""Links that open the notebooks on Binder and Colab, where the repository's public address is known."""

import os
import re
import subprocess
from typing import NamedTuple

import pandas as pd

from pneumo_book.markdown import command, table
from pneumo_lib import paths

NOTEBOOKS = ("data", "train", "sweep", "test", "predict", "study")
BRANCH = "main"
# Whole, so that an address with a password in it matches nothing and is shown nowhere.
_ON_GITHUB = re.compile(r"https://github\.com/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?")


class Address(NamedTuple):
    """A repository on GitHub, at a tag or a branch."""

    owner: str
    name: str
    reference: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.owner}/{self.name}"

    def binder(self, notebook: str) -> str:
        path = f"{self.owner}/{self.name}/{self.reference}"
        return f"https://mybinder.org/v2/gh/{path}?urlpath=lab/tree/notebooks/{notebook}.ipynb"

    def colab(self, notebook: str) -> str:
        path = f"{self.owner}/{self.name}/blob/{self.reference}"
        return f"https://colab.research.google.com/github/{path}/notebooks/{notebook}.ipynb"

    def install(self) -> str:
        """The cell that Colab needs first."""
        return f'%pip install "git+{self.url}@{self.reference}"'


def address() -> Address | None:
    """Of the workflow that builds the book, else of the clone's `origin`; None where that is not GitHub over https."""
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        url = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}"
    else:
        url = _origin()
    found = _ON_GITHUB.fullmatch(url)
    is_tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
    return (
        Address(**found.groupdict(), reference=os.environ["GITHUB_REF_NAME"] if is_tag else BRANCH) if found else None
    )


def line(notebook: str) -> str:
    """One sentence with the links of a notebook; empty without an address."""
    at = address()
    if at is None:
        return ""
    return (
        f"Open `notebooks/{notebook}.ipynb` [on Binder]({at.binder(notebook)}) or [on Colab]({at.colab(notebook)}); "
        f"Colab needs `{at.install()}` in a first cell."
    )


def buttons() -> str:
    """The front page's links to the first notebook; empty without an address."""
    at = address()
    if at is None:
        return ""
    return f"[Open a notebook on Binder]({at.binder('data')}){{.launch}} [on Colab]({at.colab('data')}){{.launch}}"


def clone() -> str:
    """How to get the repository: the command where its address is known, else what to replace."""
    at = address()
    if at:
        return f"First get the repository: `git clone {at.url}.git && cd {at.name}`."
    return (
        "First get the repository: `git clone ADDRESS 2st-unet && cd 2st-unet`, with the address from which you know this book "
        "in place of `ADDRESS`."
    )


def block() -> str:
    """Every notebook's links, and what to do on Colab; without an address, where they would be."""
    at = address()
    if at is None:
        return (
            "This copy of the book was built from a folder whose public address is not known. Where it is known, this section "
            "has links that open the notebooks on Binder and on Colab.\n"
        )
    rows = {
        f"`{name}`": {"on Binder": f"[open]({at.binder(name)})", "on Colab": f"[open]({at.colab(name)})"}
        for name in NOTEBOOKS
    }
    return (
        table(pd.DataFrame.from_dict(rows, orient="index"), "The notebooks elsewhere.", "notebook")
        + "\nBinder installs everything by itself, which takes some minutes. On Colab, run this in a cell of its own before "
        "the others, and restart the session if it asks for it:\n\n" + command(at.install())
    )


def _origin() -> str:
    done = subprocess.run(
        ["git", "-C", str(paths.repository()), "remote", "get-url", "origin"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout.strip() if done.returncode == 0 else ""
