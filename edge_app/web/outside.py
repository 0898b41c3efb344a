"""The endpoints that take pictures from outside."""

from starlette.requests import Request
from starlette.responses import Response

from edge_app.web import translate
from edge_app.web.calls import Call, media_type, wrong_media_type
from edge_app.web.responses import ANY_PICTURE, BYTES, json_response
from edge_app.web.services import Services, received

PICTURE_BYTES = 32 << 20
"""Largest picture that is taken: it is held in memory."""
PICTURE_S = 60.0
"""Longest time for one picture to arrive."""


async def classify(services: Services, request: Request, call: Call) -> Response:
    """Decide on a picture that a client sends; teach nothing."""
    media = media_type(request)
    if media != BYTES and not media.startswith("image/"):
        raise wrong_media_type(media, f"{ANY_PICTURE} or {BYTES}")
    async with services.places.take(call.client.key):
        data = await received(request, PICTURE_BYTES, PICTURE_S)
        found = await services.share.run(lambda: services.control.classify(data), call.client.key)
    return json_response(translate.classification(found))
