import numpy as np

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.ratecode import RateCode
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.profiling.allocation import allocated
from edge_app.profiling.frames import FrameParts, make_frames

FRAMES = np.zeros((4, 8, 8, 3), np.uint8)


def test_what_stays_and_what_is_given_back_are_told_apart() -> None:
    kept: list[bytes] = []
    assert allocated(lambda frame: kept.append(bytes(1000)), FRAMES)["kept"] > 1000
    passing = allocated(lambda frame: np.zeros(100_000, np.uint8), FRAMES)
    assert 100_000 <= passing["peak"] < 110_000
    assert passing["kept"] < 10


def test_a_frame_leaves_nothing_behind_and_takes_no_buffer_of_a_pictures_size() -> None:
    """All that a decided frame allocates is small beside the encoder's input: its embedding, counts and answer."""
    manifest = load_manifest()
    rate_code = RateCode.for_model(manifest)
    network = CoLaNET(Params(), rate_code.n_inputs)
    network.add_class("cup")
    network.learn_one(np.ones(rate_code.n_inputs, np.uint8), "cup")
    frames = make_frames(2, 2).images.reshape(4, 480, 640, 3)
    with TFLiteEncoder(manifest) as encoder:
        found = allocated(FrameParts(Preprocessor(manifest.input_size), encoder, rate_code, network).decide, frames)
    assert found["kept"] < 64
    assert found["peak"] < manifest.input_size**2 * 3 / 4
