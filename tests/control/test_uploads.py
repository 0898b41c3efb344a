"""Pictures that a client sends are taught together, as one action, or not at all."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from edge_app.config import StateConfig
from edge_app.control import Busy, Corrected, UploadGone
from edge_app.control.uploads import IDLE_NS, MOST_OPEN, TABLE_BYTES, Upload
from edge_app.datasets.exported import COLUMNS
from edge_app.datasets.pictures import decode_image
from edge_app.errors import InputError, StateNotWritable
from edge_app.learner.pictures import exported_picture, thumbnail_of
from support.device import Device
from support.pictures import fill, picture, zipped
from support.pipeline_parts import colour, embedding_of, make_preprocess
from support.simple_network import clean_replay, folder_in_memory, open_learner


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".import-*"))


def add_all(upload: Upload, contents: object) -> None:
    for name, data, label in contents:  # type: ignore[attr-defined]
        upload.add(name, data, label)


def test_pictures_of_one_class_are_taught_and_undone_as_one_action(device: Device, tmp_path: Path) -> None:
    upload = device.control.uploads.open()
    for number in range(5):
        assert upload.add(f"{number}.png", picture("red", number), "mug").outcome == "kept"
    assert device.learner.classes() == {}
    done = device.control.teach_upload(upload.id, source="page")
    assert done.taught == {"mug": 5}
    assert done.action is not None
    device.learner.wait()
    assert device.learner.network_state() == clean_replay(tmp_path)
    sources = [example.source for example in device.learner.examples()]
    assert sources == [f"{number}.png (page)" for number in range(5)]
    device.wait_for(lambda events: any(isinstance(event, Corrected) for event in events))
    assert len(device.control.uploads) == 0
    assert not leftovers(tmp_path)
    undone = device.control.undo()
    assert (undone.id, len(undone.changes)) == (done.action.id, 5)
    assert device.learner.classes() == {}


def test_what_is_stored_is_what_the_decoder_makes_of_the_picture(device: Device) -> None:
    upload = device.control.uploads.open()
    file = io.BytesIO()
    Image.fromarray(colour("green", 1, 40)).save(file, "PNG")
    upload.add("a.png", file.getvalue(), "leaf")
    device.control.teach_upload(upload.id)
    prepared = make_preprocess()(decode_image(file.getvalue()))
    (example,) = device.learner.examples()
    assert device.learner.thumbnail(example.id) == thumbnail_of(prepared)
    assert device.learner._store.embedding(example.id) == embedding_of(prepared).tobytes()


def test_a_retry_gets_the_same_answer(device: Device) -> None:
    upload = device.control.uploads.open()
    upload.add("a.png", picture("red", 1), "mug")
    first = device.control.teach_upload(upload.id, request="k")
    assert device.control.teach_upload(upload.id, request="k") is first
    with pytest.raises(UploadGone, match="send it again"):
        device.control.teach_upload(upload.id, request="other")
    with pytest.raises(UploadGone):
        upload.add("b.png", picture("red", 2), "mug")


def test_duplicates_are_left_out_and_not_encoded(device: Device) -> None:
    for _ in range(2):
        upload = device.control.uploads.open()
        outcomes = [upload.add(f"{number}.png", picture("red", number % 2), "mug").outcome for number in range(4)]
        done = device.control.teach_upload(upload.id)
    assert outcomes == ["duplicate"] * 4
    assert (done.action, done.taught, len(done.plan.duplicates)) == (None, {}, 4)
    assert device.learner.classes() == {"mug": 2}
    again = device.control.uploads.open()
    assert again.add("0.png", picture("red", 0), "cup").outcome == "kept"
    assert device.control.teach_upload(again.id).plan.ambiguous == ["0.png"]
    assert device.learner.classes() == {"mug": 2, "cup": 1}


def test_files_that_are_no_pictures_are_named_with_the_reason(device: Device) -> None:
    upload = device.control.uploads.open()
    for name, data, outcome, reason in (
        ("a.png", picture("red", 1)[:50], "unreadable", "cannot be read"),
        ("page.jpg", b"<html>", "unreadable", "web page"),
        ("._a.png", b"\0\5\x16\7", "left_out", "hidden"),
        ("README", b"words", "left_out", "not a picture"),
        ("list.csv", b"path,label\n", "left_out", "not a picture"),
        ("noname", picture("red", 1), "kept", ""),
    ):
        found = upload.add(name, data, "mug")
        assert (found.outcome, reason in found.reason) == (outcome, True), found
    plan = upload.plan()
    assert plan.classes == {"mug": 1}
    assert [one.name for one in plan.unreadable] == ["a.png", "page.jpg"]
    assert plan.received == 3


def test_a_folder_is_taught_by_its_layout(device: Device, tmp_path: Path) -> None:
    photos = fill(tmp_path / "set", ["red", "green"], count=3)
    upload = device.control.uploads.open()
    for path in sorted(photos.rglob("*.png")):
        upload.add(f"set/{path.relative_to(photos)}", path.read_bytes())
    upload.add("set/red/again.png", picture("red", 0))
    plan = upload.plan()
    assert (plan.layout, plan.classes, plan.problem) == ("CLASS folders", {"green": 3, "red": 3}, "")
    assert len(plan.duplicates) == 1
    assert upload.plan() == plan
    assert device.control.teach_upload(upload.id).taught == {"green": 3, "red": 3}
    assert len(device.learner.history()) == 1


def test_a_table_tells_the_classes(device: Device) -> None:
    upload = device.control.uploads.open()
    assert upload.add("labels.csv", b"path,label\na.png,tea\nb.png,milk\n").outcome == "kept"
    assert upload.add("big.csv", bytes(TABLE_BYTES + 1)).outcome == "left_out"
    for name in ("a.png", "b.png", "c.png"):
        upload.add(name, picture("blue", ord(name[0])))
    plan = upload.plan()
    assert plan.classes == {"milk": 1, "tea": 1}
    assert "c.png" in [one.name for one in plan.left_out]


def test_an_export_of_edge_app_is_not_cropped_again(device: Device) -> None:
    jpeg = thumbnail_of(colour("red", 1, 16))
    table = ",".join(COLUMNS) + "\n" + "".join(f"{path},{path[0]}" + "," * 11 + "\n" for path in ("a/1.jpg", "b/1.jpg"))
    upload = device.control.uploads.open()
    upload.add("examples.csv", table.encode())
    upload.add("a/1.jpg", jpeg)
    upload.add("b/1.jpg", thumbnail_of(colour("blue", 1, 16)))
    assert device.control.teach_upload(upload.id).taught == {"a": 1, "b": 1}
    assert device.learner.thumbnail(device.learner.examples("a")[0].id) == exported_picture(jpeg, 16).thumbnail


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["cup/1.png", "cup/2.png"], "all pictures would be of the class 'cup'"),
        (["1.png", "2.png"], "in no class folders"),
        (["train/1.png", "test/2.png"], "name of a split"),
        ([], "no picture was sent"),
    ],
)
def test_a_set_without_classes_is_refused_with_the_reason(device: Device, names: list[str], words: str) -> None:
    upload = device.control.uploads.open()
    for name in names:
        upload.add(name, picture("red", ord(name[-5])))
    assert words in upload.plan().problem
    with pytest.raises(InputError, match=words):
        device.control.teach_upload(upload.id)
    assert device.learner.classes() == {}


def test_a_zip_is_read_by_its_layout_or_as_one_class(device: Device, tmp_path: Path) -> None:
    photos = fill(tmp_path / "set", ["red", "green"], count=3)
    (photos / "red" / "broken.png").write_bytes(b"x")
    path = zipped(photos, tmp_path / "set.zip")
    upload = device.control.uploads.open()
    contents = upload.open_archive(path, None)
    upload.add(*next(contents))
    assert (upload.plan().expected, upload.plan().received) == (7, 1)
    with pytest.raises(Busy, match="still being read"):
        device.control.teach_upload(upload.id)
    add_all(upload, contents)
    plan = upload.plan()
    assert (plan.classes, plan.expected) == ({"green": 3, "red": 3}, 0)
    assert [one.name for one in plan.unreadable] == ["red/broken.png"]
    one = device.control.uploads.open()
    add_all(one, one.open_archive(path, "leaf"))
    assert one.plan().classes == {"leaf": 6}


def test_what_is_no_zip_or_holds_too_much_is_refused(tmp_path: Path) -> None:
    limits = StateConfig(import_examples=4)
    path = zipped(fill(tmp_path / "set", ["red", "green"], count=3), tmp_path / "set.zip")
    none, many = tmp_path / "none.zip", tmp_path / "many.zip"
    none.write_bytes(b"PK\3\4 no zip")
    with zipfile.ZipFile(many, "w") as file:
        for number in range(17):
            file.writestr(f"{number}.txt", "")
    with open_learner(tmp_path / "state", limits=limits) as learner, Device(tmp_path / "state", learner) as device:
        upload = device.control.uploads.open()
        for file_, words in (
            (path, "the archive holds 6 pictures"),
            (none, "not a readable zip"),
            (many, "17 entries"),
        ):
            with pytest.raises(InputError, match=words):
                upload.open_archive(file_, None)
        for number in range(4):
            upload.add(f"{number}.png", picture("red", number), "mug")
        with pytest.raises(InputError, match="an upload holds at most 4 pictures"):
            upload.add("5.png", picture("red", 5), "mug")
        assert device.control.teach_upload(upload.id).taught == {"mug": 4}


def test_uploads_are_few_and_close_when_left_alone(device: Device, tmp_path: Path) -> None:
    uploads = device.control.uploads
    opened = [uploads.open() for _ in range(MOST_OPEN)]
    with pytest.raises(InputError, match="uploads are open"):
        uploads.open()
    opened[0].used_ns -= IDLE_NS + 1
    uploads.open()
    with pytest.raises(UploadGone):
        uploads.find(opened[0].id)
    uploads.drop(opened[1].id)
    with pytest.raises(UploadGone):
        uploads.drop(opened[1].id)
    uploads.close()
    with pytest.raises(UploadGone):
        opened[2].plan()
    assert not leftovers(tmp_path)


def test_a_class_that_would_be_too_large_is_refused_as_a_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    for tmp_path in folder_in_memory(tmp_path_factory):
        limits = StateConfig(examples_per_class=3)
        with open_learner(tmp_path, limits=limits) as learner, Device(tmp_path, learner) as device:
            upload = device.control.uploads.open()
            for number in range(4):
                upload.add(f"{number}.png", picture("red", number), "mug")
            with pytest.raises(StateNotWritable, match="would hold 4 examples"):
                device.control.teach_upload(upload.id)
            assert learner.classes() == {}
            assert upload.plan().classes == {"mug": 4}


def test_a_name_cannot_pretend_to_be_a_request(device: Device) -> None:
    upload = device.control.uploads.open()
    upload.add("page #0123456789abcdef", picture("red", 1), "mug")
    device.control.teach_upload(upload.id)
    assert device.learner.examples()[0].request is None
