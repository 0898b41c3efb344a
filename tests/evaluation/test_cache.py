import sqlite3
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import InputError
from edge_app.evaluation import cache as embedding_cache
from edge_app.evaluation.cache import EmbeddingCache

VALUE = np.arange(48, dtype=np.uint8)


def test_keeps_by_content_and_encoder(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "deep" / "cache", "a" * 64)
    assert cache.get(b"image") is None
    cache.put(b"image", VALUE)
    found = cache.get(b"image")
    assert found is not None
    np.testing.assert_array_equal(found, VALUE)
    assert found.flags.writeable
    cache.close()
    again = EmbeddingCache(tmp_path / "deep" / "cache", "a" * 64)
    assert again.get(b"image") is not None
    assert again.get(b"imagf") is None
    again.close()
    other = EmbeddingCache(tmp_path / "deep" / "cache", "b" * 64)
    assert other.get(b"image") is None
    other.close()


def test_interrupted_run_keeps_what_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_cache, "COMMIT_EVERY", 2)
    cache = EmbeddingCache(tmp_path, "a" * 64)
    for name in (b"1", b"2", b"3"):
        cache.put(name, VALUE)
    reader = sqlite3.connect(cache.path)
    assert reader.execute("SELECT count(*) FROM embeddings").fetchone() == (2,)
    reader.close()
    cache.close()


def test_two_processes_may_share_it(tmp_path: Path) -> None:
    one, two = EmbeddingCache(tmp_path, "a" * 64), EmbeddingCache(tmp_path, "a" * 64)
    one.put(b"1", VALUE)
    one.close()
    assert two.get(b"1") is not None
    two.put(b"1", VALUE)
    two.close()


def test_unusable_folder_and_damaged_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"embedding cache .*file"):
        EmbeddingCache(tmp_path / "file", "a" * 64)
    cache = EmbeddingCache(tmp_path, "a" * 64)
    cache.close()
    cache.path.write_bytes(b"this is no database, whatever its name may say")
    with pytest.raises(InputError, match="delete the file if it is damaged"):
        EmbeddingCache(tmp_path, "a" * 64)
