"""Photographs to teach, and a state that was taught some of them with the real encoder and classifier."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_app import cli


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Photographs of three things that scikit-image carries, each from some viewpoints."""
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("photos")
    found: dict[str, list[Path]] = {}
    for name, image in (("cat", data.cat()), ("coffee", data.coffee()), ("astronaut", data.astronaut())):
        for number, margin in enumerate((0, 8, 16, 24, 32)):
            view = np.ascontiguousarray(
                image[margin : image.shape[0] - margin // 2, margin // 2 : image.shape[1] - margin]
            )
            path = folder / f"{name}{number}.jpg"
            Image.fromarray(view[:, ::-1] if number % 2 else view).save(path, quality=92)
            found.setdefault(name, []).append(path)
    return found


@pytest.fixture
def taught(photos: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A state that was taught three views of each thing."""
    state = tmp_path / "state"
    for name, files in photos.items():
        assert cli.run(["teach", "--state", str(state), name, *map(str, files[:3])]) == 0
    capsys.readouterr()
    return state
