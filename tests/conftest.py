"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the measuring data sets (zips); EDGE_APP_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("EDGE_APP_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "sign_digits.zip").is_file():
        pytest.skip(f"measuring data not found in {folder}: set EDGE_APP_DATA to the folder that holds sign_digits.zip")
    return folder
