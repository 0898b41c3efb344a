"""Pictures that clients send over HTTP: decided on without being taught, bounded, at a share of the time."""

import asyncio
import io
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress

import httpx
import numpy as np
import pytest
from PIL import Image

from edge_app.datasets.pictures import decode_image
from edge_app.web.outside import PICTURE_BYTES
from edge_app.web.responses import ApiError
from edge_app.web.share import Share, Slots
from support.pipeline_parts import colour
from support.served import Served, api

PNG = {"content-type": "image/png"}


def png(name: str, side: int = 32) -> bytes:
    file = io.BytesIO()
    Image.fromarray(colour(name, 3, side)).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_decided_on_and_nothing_is_taught(served: Served) -> None:
    assert served.http.post(api("/classify"), content=png("red"), headers=PNG).json()["label"] is None
    taught = served.control.teach("thing")
    shown = decode_image(served.control.thumbnail(taught.example) or b"")
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG")
    for media in ("image/png", "image/x-anything", "application/octet-stream"):
        answer = served.http.post(api("/classify"), content=file.getvalue(), headers={"content-type": media})
        assert answer.status_code == 200
        found = answer.json()
        assert found["nearest"] == "thing"
        assert (found["label"], found["confidence"] > 0) in (("thing", True), (None, False))
        assert set(found["spikes"]) == set(found["first_spike"]) == {"thing"}
    assert served.device.learner.classes() == {"thing": 1}
    assert served.device.learner.history()[-1].changes[0].example == taught.example


def test_the_decision_is_that_of_the_live_loop_on_the_same_picture(served: Served) -> None:
    for label in ("a", "b"):
        served.control.teach(label)
    image = colour("green", 5, 16)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    found = served.http.post(api("/classify"), content=file.getvalue(), headers=PNG).json()
    decision = served.device.learner.classify(served.device.encoder.encode(image))
    assert found["spikes"] == dict(zip(decision.labels, decision.spikes.tolist(), strict=True))
    assert (found["nearest"], found["margin"]) == (decision.label, decision.margin)


@pytest.mark.parametrize(
    ("content", "media", "status", "code", "words"),
    [
        (b"<html>", "image/png", 422, "unreadable_picture", "web page"),
        (b"", "image/png", 422, "unreadable_picture", "is empty"),
        (png("red")[:60], "image/png", 422, "unreadable_picture", "cannot be read"),
        (b"{}", "application/json", 415, "media_type", "expected image/*"),
        (b"x", "", 415, "media_type", "of no type"),
    ],
)
def test_what_is_no_picture_is_refused(
    served: Served, content: bytes, media: str, status: int, code: str, words: str
) -> None:
    answer = served.http.post(api("/classify"), content=content, headers={"content-type": media} if media else {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert words in answer.json()["error"]["message"]


def test_a_picture_that_is_too_large_is_refused_before_it_is_read(served: Served) -> None:
    head = f"POST {api('/classify')} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Edge-App: 1\r\nContent-Type: image/png\r\n"
    with socket.create_connection(("127.0.0.1", served.server.port), 30) as raw:
        raw.sendall(f"{head}Content-Length: {PICTURE_BYTES + 1}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with suppress(httpx.TransportError):  # it may hang up while the client is still sending
        assert served.http.post(api("/classify"), content=endless(), headers=PNG).status_code == 413


def test_a_client_that_may_only_view_may_ask(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    assert served.http.post(api("/classify"), content=png("red"), headers=PNG).status_code == 401
    token = served.server.tokens.make("view")
    with served.client(token) as http:
        assert http.post(api("/classify"), content=png("red"), headers=PNG).status_code == 200


def test_many_clients_at_once_are_served_one_after_the_other(served: Served) -> None:
    """The encoder is held while they come: those beyond the slots are told to try again, the others are answered."""
    served.server._policy._limiter._rate = served.server._policy._limiter._burst = 1e9
    encoder = served.device.encoder
    encoder.frozen = threading.Event()
    assert encoder.entered.wait(30)
    services = served.server._site._services["camera"]
    services.slots._most = 4

    def ask(_: int) -> int:
        with served.client() as http:
            return http.post(api("/classify"), content=png("blue"), headers=PNG).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, number) for number in range(8)]
        refused = [future.result() for future in itertools.islice(as_completed(answers, 30), 4)]
        assert refused == [503] * 4
        encoder.frozen.set()
        assert sorted(future.result(30) for future in answers) == [200] * 4 + [503] * 4
    assert services.slots._inside == 0


def test_a_share_of_the_time_is_kept() -> None:
    now = [0.0]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    def work() -> float:
        now[0] += 0.5
        return now[0]

    async def run() -> list[float]:
        share = Share(0.2, lambda: now[0], sleep)
        found = [await share.run(work, "a"), await share.run(work, "b")]
        now[0] += 100.0
        found.append(await share.run(work, "a"))
        with pytest.raises(ZeroDivisionError):
            await share.run(lambda: 1 / 0, "a")
        return found

    assert asyncio.run(run()) == pytest.approx([0.5, 3.0, 103.5])
    assert slept == pytest.approx([2.0, 2.0])


def test_slots_are_given_in_turn_and_one_to_a_client() -> None:
    async def run() -> list[str]:
        slots, held, free = Slots(2, 2), [], asyncio.Event()

        async def hold(client: str) -> None:
            async with slots.take(client):
                held.append(client)
                await free.wait()

        tasks = [asyncio.create_task(hold(client)) for client in ("a", "a", "b", "c")]
        while len(held) < 2:
            await asyncio.sleep(0)
        with pytest.raises(ApiError, match="too many pictures"):
            async with slots.take("d"):
                pass
        first = list(held)
        free.set()
        await asyncio.gather(*tasks)
        return first + sorted(held[2:])

    assert asyncio.run(run()) == ["a", "b", "a", "c"]


def test_the_embedding_is_not_shared_with_the_loop(served: Served) -> None:
    outside = served.control._outside
    prepared = outside.prepare(png("red"))
    first = outside.encode(prepared.image)
    second = outside.encode(outside.prepare(png("blue")).image)
    assert not np.array_equal(first, second)
