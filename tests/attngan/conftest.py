import pytest

from datasets import prepare


@pytest.fixture(scope="session")
def silent_birds(tmp_path_factory):
    """96 drawn birds of 8 species, no recordings."""
    return prepare.build(
        prepare.PrepareConfig(
            source="drawn",
            output=tmp_path_factory.mktemp("silent") / "birds.h5",
            recordings_per_picture=0,
            measuring_recordings_per_picture=0,
            short_side=48,
            drawn_pictures=96,
            drawn_species=8,
            workers=1,
        )
    )
