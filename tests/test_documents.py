"""What README, CONTRIBUTING and CHANGELOG point at is there."""

import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
PATH = re.compile(r"`([\w.]+/[\w./]*)`")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_and_pictures_lead_somewhere(document: str) -> None:
    text = (HOUSE / document).read_text(encoding="utf-8")
    assert [link for link in LINK.findall(text) if not (HOUSE / link).exists()] == []


def test_the_map_of_the_house_names_rooms_that_exist() -> None:
    rooms = {folder.name for folder in HOUSE.iterdir() if folder.is_dir()}
    text = (HOUSE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [path for path in PATH.findall(text) if path.partition("/")[0] in rooms]
    assert len(named) > 20, "the map names its rooms as `folder/…`"
    assert [path for path in named if not (HOUSE / path).exists()] == []
