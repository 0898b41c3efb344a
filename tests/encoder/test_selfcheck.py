"""The built-in picture, and what is made of its embedding."""

import dataclasses
import hashlib
import platform

import numpy as np
import pytest

from edge_app.encoder import selfcheck
from edge_app.encoder.model import SHORT_NAMES, ModelManifest, load_manifest
from edge_app.encoder.tflite import TFLiteEncoder


def test_the_picture_never_changes() -> None:
    """Manifests hold digests of its embedding."""
    picture = selfcheck.picture(224)
    assert hashlib.sha256(picture.tobytes()).hexdigest()[:16] == "c4e2cedfabae793b"
    assert len(np.unique(picture)) == 256
    assert selfcheck.picture(32).shape == (32, 32, 3)


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_the_shipped_models_compute_what_their_manifests_say(name: str) -> None:
    manifest = load_manifest(name)
    with TFLiteEncoder(manifest) as encoder:
        found = selfcheck.check(encoder)
        runtime = selfcheck.distribution(encoder)
    if runtime == "ai-edge-litert" or platform.machine() == "x86_64":
        assert found.equal is True
    assert set(manifest.self_check) == {"ai-edge-litert", "tflite-runtime"}


def test_other_bits_and_nothing_to_compare_with(tiny: ModelManifest) -> None:
    with TFLiteEncoder(tiny) as encoder:
        assert selfcheck.check(encoder).equal is None
        runtime = selfcheck.distribution(encoder)
        own = selfcheck.embedding_digest(encoder)
    for digest, equal in ((own, True), ("0" * 64, False)):
        with TFLiteEncoder(dataclasses.replace(tiny, self_check={runtime: digest})) as encoder:
            found = selfcheck.check(encoder)
            assert (found.embedding, found.expected, found.equal) == (own, digest, equal)


@pytest.mark.parametrize(
    ("runtime", "xnnpack", "features", "machine", "compared"),
    [
        ("ai-edge-litert 2.3.0", True, ("asimd", "asimddp"), "aarch64", True),
        ("ai-edge-litert 2.3.0", True, ("avx2",), "x86_64", True),
        ("ai-edge-litert 2.3.0", False, ("asimd",), "aarch64", False),
        ("ai-edge-litert 2.3.0", None, ("asimd",), "aarch64", False),
        ("tflite-runtime 2.14.0", True, ("asimd",), "aarch64", False),
        ("ai-edge-litert 2.3.0", True, ("asimd", "sve", "sme"), "aarch64", False),
        ("ai-edge-litert 2.3.0", True, (), "riscv64", False),
    ],
)
def test_what_was_compared(
    runtime: str,
    xnnpack: bool,
    features: tuple[str, ...],
    machine: str,
    compared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert selfcheck.compared(load_manifest(), runtime, xnnpack, features) is compared


def test_a_model_without_a_digest_was_not_compared(tiny: ModelManifest) -> None:
    assert not selfcheck.compared(tiny, "ai-edge-litert 2.3.0", True, ())
