"""The reference is what the code says: a page that differs is written anew by `make reference`."""

import pytest
from tools.reference import FOLDER, pages

from postrider.settings import Settings

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name], "run make reference"


def test_there_is_no_page_that_nothing_writes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_every_setting_says_what_it_does() -> None:
    assert [name for name, info in Settings.model_fields.items() if not info.description] == []
