"""Offers as messages: unpacking gives what was packed, and anything else is refused."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.config import StateConfig
from edge_app.control.transfer import export_examples
from edge_app.errors import InputError
from edge_app.mqtt.offers import MAGIC, pack, unpack
from edge_app.storage.exchange import ROOM_LIVE
from support.lying_zip import bomb, claiming, crowded, within
from support.simple_network import embedding, open_learner

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three examples of a cup as `edge-app export` writes them."""
    folder = tmp_path_factory.mktemp("offered")
    with open_learner(folder) as learner:
        for number in range(3):
            learner.teach(embedding(number), "cup", source="test", thumbnail=b"picture")
    stream = io.BytesIO()
    export_examples(folder, ["cup"], stream)
    return stream.getvalue()


@pytest.mark.parametrize("key", [None, KEY])
def test_what_is_packed_comes_out_again(content: bytes, key: bytes | None) -> None:
    offer = unpack(pack("one", "cup", 3, 1234, content, key), key)
    assert offer == ("one", "cup", 3, 1234, content, key is not None)
    assert len(offer.id) == 16
    assert unpack(pack("two", "cup", 3, 99, content, key), key).id == offer.id, "the same content is the same offer"


def test_a_signature_is_that_of_the_key_or_refused(content: bytes) -> None:
    signed, unsigned = pack("one", "cup", 3, 1, content, KEY), pack("one", "cup", 3, 1, content, None)
    assert not unpack(unsigned, KEY).signed
    for key in (OTHER, None):
        with pytest.raises(InputError, match=r"signature was not made with the key in mqtt\.offers_key_file"):
            unpack(signed, key)
    forged = unsigned.replace(b"\n\n", b"\n" + b"0" * 64 + b"\n", 1)
    with pytest.raises(InputError, match="signature"):
        unpack(forged, KEY)


def test_where_only_signed_ones_count_another_is_refused_before_anything_in_it_is_read() -> None:
    """Its zip file is invalid, which would give another error if it were read."""
    with pytest.raises(InputError, match="the offer is not signed"):
        unpack(pack("one", "cup", 3, 1, b"no zip", None), KEY, only_signed=True)
    with pytest.raises(InputError, match="the offer is not signed"):
        unpack(MAGIC + b"no header\n\n", KEY, only_signed=True)
    with pytest.raises(InputError, match="the offer's zip file cannot be read"):
        unpack(pack("one", "cup", 3, 1, b"no zip", KEY), KEY, only_signed=True)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_of_a_signed_offer_is_noticed(content: bytes, data: st.DataObject) -> None:
    message = bytearray(pack("one", "cup", 3, 1, content, KEY))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    try:
        offer = unpack(bytes(message), KEY)
    except InputError:
        return
    pytest.fail(f"byte {place} was changed, and it says {offer[:4]}")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "does not begin with 'edge-app offer 1'"),
        (b"edge-app offer 2\n{}\n\n", "no offer of this version"),
        (MAGIC, "lacks its header, or is cut off"),
        (MAGIC + b"{}\n", "lacks its header, or is cut off"),
        (MAGIC + b" " * 5000 + b"\n\n", "lacks its header, or is cut off"),
        (MAGIC + b"{}\n\n", "header: device is missing, expected 1 to 64 letters"),
        (MAGIC + b"[" * 4000 + b"\n\n", "header is not JSON"),
        (MAGIC + b"3\n\n", "header: device is missing"),
    ],
)
def test_what_is_no_offer_is_refused(message: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        unpack(message, None)


def test_a_header_that_does_not_fit_the_content_is_refused(content: bytes) -> None:
    good = pack("one", "cup", 3, 1, content, None)
    with pytest.raises(InputError, match="it was cut off or changed"):
        unpack(good[:-1], None)
    with pytest.raises(InputError, match="claims 3 examples of 'key', and holds something else"):
        unpack(pack("one", "key", 3, 1, content, None), None)
    with pytest.raises(InputError, match="claims 2 examples of 'cup', and holds something else"):
        unpack(pack("one", "cup", 2, 1, content, None), None)


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (b"no zip", "the offer's zip file cannot be read"),
        (zipped(other_json=b"{}"), "the offer's zip file cannot be read"),
        (zipped(manifest_json=b"{"), "the offer's zip file cannot be read"),
        (zipped(manifest_json=b'{"examples": [3]}'), "the offer's zip file cannot be read"),
        (zipped(manifest_json=b" " * (5 << 20)), "unpacks to 5242880 bytes: more than an export can need"),
        (zipped(manifest_json=b"[]," * 30_000), "'manifest.json' unpacks to 90000 bytes, at most 65536 are expected"),
        (zipped(manifest_json=b"{}", embeddings_bin=bytes(9 << 20)), "more than an export can need"),
    ],
    ids=["none", "no manifest", "no json", "rows", "large manifest", "nested manifest", "bomb"],
)
def test_a_zip_file_that_is_none_or_a_bomb_is_refused(inner: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        unpack(pack("one", "cup", 1, 1, inner, None), None)


@pytest.mark.parametrize("claim", [0, 1000, 60_000])
def test_a_bomb_that_claims_to_be_small_takes_no_memory(claim: int) -> None:
    """A message of 65 kB once took 130 MB: its directory named an allowed size, but the data unpacked to 64 MB."""
    message = pack("one", "cup", 1, 1, claiming(bomb("manifest.json"), "manifest.json", claim), None)
    assert len(message) < 70_000
    with within(1 << 20), pytest.raises(InputError, match=r"the offer cannot be imported: 'manifest\.json'"):
        unpack(message, None)


def test_a_crowded_directory_is_refused_before_it_is_read() -> None:
    message = pack("one", "cup", 3, 1, crowded(20_000), None)
    with within(6 << 20), pytest.raises(InputError, match="it holds 20000 entries, at most 11 are read here"):
        unpack(message, None)


def test_the_header_cannot_ask_for_more_memory_than_an_import_may_take() -> None:
    assert StateConfig().import_examples == ROOM_LIVE, "what an offer may hold is what a running device takes at once"
    with pytest.raises(InputError, match=r"examples = 5001, expected a whole number from 1 to 5000"):
        unpack(pack("one", "cup", ROOM_LIVE + 1, 1, zipped(manifest_json=b"{}"), None), None)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400), st.none() | st.just(KEY))
def test_whatever_comes_is_refused_by_name(tail: bytes, key: bytes | None) -> None:
    for message in (tail, MAGIC + tail, MAGIC + json.dumps({"device": "one"}).encode() + b"\n" + tail):
        with pytest.raises(InputError):
            unpack(message, key)


def test_labels_of_all_scripts_pass(tmp_path: Path) -> None:
    with open_learner(tmp_path / "state") as learner:
        learner.teach(embedding(1), "Täßchen 茶", source="test")
    stream = io.BytesIO()
    export_examples(tmp_path / "state", ["Täßchen 茶"], stream)
    assert unpack(pack("one", "Täßchen 茶", 1, 1, stream.getvalue(), KEY), KEY).label == "Täßchen 茶"
