"""The endpoints that take pictures from outside: one to decide on, or many to be taught."""

import tempfile
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from edge_app.control import Upload
from edge_app.control.uploads import PICTURE_BYTES, Contents
from edge_app.storage.folder import IMPORT_PREFIX
from edge_app.web import translate
from edge_app.web.calls import Call, media_type, wrong_media_type
from edge_app.web.responses import ANY_PICTURE, BYTES, ZIP, json_response
from edge_app.web.services import Services, check_announced, received
from edge_app.web.threads import in_thread

PICTURE_S = 60.0
"""Longest time for one picture to arrive."""


async def classify(services: Services, request: Request, call: Call) -> Response:
    """Decide on a picture that a client sends; teach nothing."""
    _check_picture(request)
    async with services.slots.take(call.client.key):
        data = await received(request, PICTURE_BYTES, PICTURE_S)
        found = await services.share.run(lambda: services.control.classify(data), call.client.key)
    return json_response(translate.classification(found))


async def add_file(services: Services, request: Request, call: Call) -> Response:
    """Receive one file of an upload."""
    _check_picture(request)
    upload = services.control.uploads.find(call.id)
    async with services.slots.take(call.client.key):
        data = await received(request, PICTURE_BYTES, PICTURE_S)
        add = partial(upload.add, call.query.name, data, call.query.label, exported=call.query.exported)
        found = await services.share.run(add, call.client.key)
    return json_response(translate.sent_file(found), 201)


async def add_archive(services: Services, request: Request, call: Call) -> Response:
    """Receive a zip of pictures, and read them."""
    if (media := media_type(request)) not in (ZIP, BYTES):
        raise wrong_media_type(media, ZIP)
    control, key = services.control, call.client.key
    upload = control.uploads.find(call.id)
    check_announced(request, services.upload_bytes)
    async with services.only_import():
        with tempfile.NamedTemporaryFile(dir=control.identity.folder, prefix=IMPORT_PREFIX) as file:
            await services.receive_file(request, call, file, "teach", services.upload_bytes)
            path, query = Path(file.name), call.query
            contents = await in_thread(lambda: upload.open_archive(path, query.label, query.names), key)
            try:
                while await services.share.run(partial(_add_next, upload, contents), key):
                    control.uploads.find(call.id)  # it is still in use
            finally:
                await in_thread(contents.close, key)
    plan = await in_thread(upload.plan, key)
    return json_response(translate.upload(upload.id, plan), 201)


def _add_next(upload: Upload, contents: Contents) -> bool:
    """Add the next picture of an archive; return whether there was one."""
    found = next(contents, None)
    if found is not None:
        upload.add(*found)
    return found is not None


def _check_picture(request: Request) -> None:
    media = media_type(request)
    # a form on another site can send only form types and text/plain without asking first
    if media != BYTES and not media.startswith("image/"):
        raise wrong_media_type(media, f"{ANY_PICTURE} or {BYTES}")
