"""Names of tags."""

import pytest

from flamenco_core.tags import checked_tag


@pytest.mark.parametrize("name", ["gpu", "GPU 24 GB", "Ünïcode 🎬", "a/b", "x" * 64])
def test_a_name_is_kept_as_it_is_written(name: str) -> None:
    assert checked_tag(name) == name


def test_space_around_a_name_is_dropped() -> None:
    assert checked_tag("  gpu\t") == "gpu"


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb", "a\0", "a\x7fb", "a\u2028b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="tag's name"):
        checked_tag(name)
