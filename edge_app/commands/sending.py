"""Sends data sets to a running device, in batches that are all or nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_app.client import DeviceClient, RequestRejected
from edge_app.datasets.listing import LeftOut
from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.datasets.contents import Item
    from edge_app.datasets.dataset import Dataset
    from edge_app.learner.bulk import BulkResult, Progress

BATCH = 200
"""Pictures that are taught as one action; an interrupted run sends at most so many again that were not taught."""
TOO_LARGE = 413


def send_dataset(
    device: DeviceClient,
    dataset: "Dataset",
    items: "Sequence[Item]",
    result: "BulkResult",
    *,
    progress: "Progress" = lambda what, items: items,
) -> None:
    """Send the items; `result` is brought up to date with every batch that the device has stored.

    Pictures that the device has stored already are left out by it. Raises DeviceUnreachable, and RequestRejected when a
    batch cannot be stored; the batches before stay.
    """
    upload, sent = "", 0
    try:
        for item in progress("teaching", items):
            # opened with its first picture: a batch that has none needs no upload
            upload = upload or f"/uploads/{device.change('/uploads', {})['id']}"
            sent += _send(device, upload, dataset, item, result)
            if sent == BATCH:
                _teach(device, upload, result)
                upload, sent = "", 0
        if sent:
            _teach(device, upload, result)
            upload = ""
    finally:
        # the device allows few open uploads, and would keep this one for minutes
        if upload:
            device.drop(upload)


def _send(device: DeviceClient, upload: str, dataset: "Dataset", item: "Item", result: "BulkResult") -> bool:
    """Send a picture; return whether the device kept it."""
    try:
        query = {"name": item.name, "label": item.label} | ({"exported": "true"} if dataset.exported else {})
        found: dict[str, Any] = device.send(f"{upload}/files", dataset.read(item), query)
    except InputError as error:
        result.failed.append(LeftOut(item.name, str(error)))
        return False
    except RequestRejected as error:
        # too large is the fault of one picture; anything else would fail for the next one too
        if error.status != TOO_LARGE:
            raise
        result.failed.append(LeftOut(item.name, str(error)))
        return False
    if found["outcome"] == "duplicate":
        result.duplicates.append(item.name)
    elif found["outcome"] != "kept":
        result.failed.append(LeftOut(item.name, found["reason"]))
    return bool(found["outcome"] == "kept")


def _teach(device: DeviceClient, upload: str, result: "BulkResult") -> None:
    done = device.change(f"{upload}/teach", {})
    for label, count in done["taught"].items():
        result.taught[label] += count
    result.ambiguous += [one["name"] for one in done["ambiguous"]["first"]]
