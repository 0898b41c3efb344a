"""The sections of the configuration, each the object that its user takes: immutable, and checked when it is made.

One declaration a key: its type, default, range with its unit, and description. systemd/config.toml and
docs/configuration.md are written from these (`make config-docs`).
"""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edge_app.checks import FLAG, NAME, list_of, matching, number, one_of, table_of, text, whole
from edge_app.config.section import Section
from edge_app.config.section import declared as _key
from edge_app.config.values import ADDRESS, ANCESTORS, CLASSES, GATEWAY, NETWORKS, PATH, REGION, device, name_text
from edge_app.devices import BUTTONS, CAMERAS, INDICATORS, watched_uri
from edge_app.devices.uri import split_scheme
from edge_app.errors import InputError
from edge_app.roles import ROLES

MAIN = "camera"
"""Name of the camera of the section [camera], and of the only place of a device without [[places]]."""
RECORDINGS = ("dir", "file", "events")
"""Schemes of `watched_uri` whose cameras play pictures, a video or recorded events."""
POLICIES = ("refuse", "replace-oldest")
LEVELS = ("debug", "info", "warning", "error")
MQTT_ROLES = ("none", "teach", "administer")
MOST_DREAMS = 16
"""Of one example: further ones would repeat earlier views."""
MQTT_OFFERS = ("off", "by-hand", "signed")
_TOPIC = r"[^/$+#\s\x00-\x1f][^+#\s\x00-\x1f]{0,98}(?<!/)"
"""Levels of an MQTT topic that others may follow."""


@dataclass(frozen=True, slots=True)
class CameraSettings(Section):
    """The keys of a camera, in [camera] and in [[cameras]]."""

    uri: str = _key(
        "sim:",
        device(CAMERAS),
        "Where frames come from: sim: (a simulation), v4l2:/dev/video0, picamera2:, gst:PIPELINE, rtsp://..., "
        "http://..., dir:FOLDER, file:VIDEO, events:metavision, events:RECORDING, events:CAMERA. docs/cameras.md "
        "describes each.",
    )
    region: tuple[float, float, float, float] = _key(
        (0.0, 0.0, 1.0, 1.0),
        REGION,
        "The part of the picture to use, as fractions of its width and height before rotation: x, y, width, height. "
        "Everything sees this part alone: the encoder (which takes its centre square), the thumbnails, the page.",
    )
    rotation: int = _key(0, one_of(0, 90, 180, 270, unit="degrees"), "Rotate the picture clockwise.")
    mirror: bool = _key(False, FLAG, "Swap left and right, after rotation.")
    stall_after_s: float = _key(
        5.0,
        number(0.1, 600, "s"),
        "Close and reopen the camera after this time without a frame. Must be longer than the time between two frames.",
    )
    stuck_after_s: float = _key(
        10.0,
        number(1, 3600, "s", zero="never"),
        "Reopen the camera after this time of identical pictures (every byte), noise or black. Not used with dir:, "
        "file: and events:, whose pictures may stand still. A camera that stays black is reported once and used.",
    )
    give_up_after_s: float = _key(
        120.0,
        number(1, 86400, "s"),
        "End the program with status 9 after this time without a usable frame, so that systemd restarts it.",
    )

    @property
    def recording(self) -> bool:
        """Whether the camera plays pictures or a video: it may show one picture for long, and is never reopened."""
        return split_scheme(watched_uri(self.uri))[0] in RECORDINGS


@dataclass(frozen=True, slots=True)
class CameraConfig(CameraSettings):
    """[camera]: where frames come from, the part of them that is used, and when the camera counts as broken."""

    place: str = _key(
        MAIN,
        name_text(100, least=1, printable=True),
        "Name of the place that the camera sees, in the history, in rules and in messages, where there are no "
        "[[places]].",
    )


@dataclass(frozen=True, slots=True)
class ButtonsConfig(Section):
    """[buttons]: the buttons, and the class that each teaches."""

    uri: str = _key("sim:", device(BUTTONS), "The buttons: gpio:..., keyboard:KEY=NAME,..., sim:NAME,NAME.")
    classes: Mapping[str, str] = _key(
        {},
        CLASSES,
        'The class that each button teaches: { left = "mug", right = "pen" }. A button that is not listed teaches the '
        "class of its own name.",
    )
    undo: str = _key("undo", text(), "Name of the button that undoes the last example taught.")
    hold_to_forget_s: float = _key(
        0.0, number(0.5, 60, "s", zero="off"), "Forget a class when its button is held down this long."
    )
    places: Mapping[str, str] = _key(
        {},
        table_of(name_text(40, least=1)),
        'The place in which each button teaches: { left = "gate", right = "shelf" }. A button that is not listed '
        "teaches in the first place.",
    )
    chord_s: float = _key(
        0.0,
        number(0.02, 1, "s", zero="off"),
        'Two buttons pressed within this time create a class, "class N". A press then teaches that much later, but '
        "still the frame that was shown at the press.",
    )

    def unknown(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return (key, button) of each setting for a button that is not among `names`; none if there are no names."""
        if not names:  # without buttons, as on a board that is used over the page
            return []
        tables = {"buttons.classes": self.classes, "buttons.places": self.places}
        return [(key, button) for key, table in tables.items() for button in table if button not in names]


@dataclass(frozen=True, slots=True)
class LightsConfig(Section):
    """[lights]: lights that show the decision and acknowledge a press."""

    uri: str = _key(
        "",
        device(INDICATORS, needed=False),
        "Lights that show the decision, and blink when an example was learnt or undone or an error occurred: gpio:...; "
        '"": none.',
    )
    place: str = _key("", name_text(40), 'The place whose decision the lights show; "": the first.')


@dataclass(frozen=True, slots=True)
class EncoderConfig(Section):
    """[encoder]: the model, and the processor cores that it may use."""

    model: str = _key(
        "",
        text(),
        'Name of the encoder model, or path of its manifest; "": the model that the state was taught with, else the '
        "shipped one.",
    )
    threads: int = _key(1, whole(1, 64, "cores"), "Processor cores that one frame may use.")


@dataclass(frozen=True, slots=True)
class StateConfig(Section):
    """[state]: where examples are stored, and how many."""

    folder: str = _key("", PATH, 'Folder of the stored examples; "": the service\'s own, /var/lib/edge-app.')
    examples_per_class: int = _key(1000, whole(1, 1_000_000), "Examples stored of one class.")
    classes: int = _key(
        1000,
        whole(1, 10_000),
        "Classes. The time to learn an example grows with their number: to teach 1000 classes takes half a minute on a "
        "Raspberry Pi 4, 5000 a quarter of an hour.",
    )
    import_examples: int = _key(
        5000,
        whole(1, 32_768),
        "Examples of one import or upload while the device runs; each takes up to 9 kB of memory.",
    )
    disk_mb: int = _key(1024, whole(1, 1_000_000, "MB"), "Space on disk that the folder may use.")
    when_full: str = _key(
        "refuse",
        one_of(*POLICIES),
        'What happens at either limit: "refuse" new examples, or "replace-oldest": forget the oldest for each new one.',
    )

    @property
    def disk_bytes(self) -> int:
        """Bytes that examples and snapshots may take together."""
        return self.disk_mb << 20


@dataclass(frozen=True, slots=True)
class DecisionConfig(Section):
    """[decision]: how often a decision is made, over how many frames, and when it is "unknown"."""

    max_fps: float = _key(0.0, number(0.01, 1000, "fps", zero="no limit"), "Decisions per second at most.")
    vote: int = _key(
        1,
        whole(1, 100),
        "The label is the most frequent of this many last decisions, their novelty averaged; 1: each frame is decided "
        "on its own.",
    )
    strictness: float = _key(
        0.5,
        number(0, 1),
        'When a decision is "unknown": 0 only if no column spiked; 1 unless it looks just like the examples. '
        "What the page or the API sets counts instead, until this is changed.",
    )


@dataclass(frozen=True, slots=True)
class IdleConfig(Section):
    """[idle]: when a picture counts as unchanged and is not encoded again."""

    threshold: float = _key(
        0.0,
        number(0.1, 255, "levels", zero="off"),
        "A frame is not encoded while no patch of the picture (1/14 of its side) changes its mean brightness by more "
        "than this; 3 is above the noise of most cameras.",
    )
    watch_fps: float = _key(
        5.0,
        number(1, 1000, "fps", zero="every frame"),
        "Frames read per second once the picture has not changed for two seconds, until it changes.",
    )


@dataclass(frozen=True, slots=True)
class ConsolidationConfig(Section):
    """[consolidation]: dreams and rehearsals of stored examples while the device is idle."""

    enabled: bool = _key(
        True,
        FLAG,
        'While the device is idle, learn each stored example again: slightly enlarged, shifted or mirrored ("dreams"), '
        "or unchanged once its class has been seen often enough (rehearsals). docs/consolidation.md has the gain.",
    )
    dreams: int = _key(1, whole(0, MOST_DREAMS), "Dreams of one example at most.")
    per_class: int = _key(
        60,
        whole(0, 1_000_000),
        "A class with this many examples and dreams is rehearsed instead.",
    )
    rehearsals: int = _key(4, whole(0, MOST_DREAMS), "Rehearsals of one example at most, its dreams included.")
    idle_s: float = _key(
        30.0,
        number(1, 86400, "s"),
        "Begin when the picture has not changed, and no button was pressed, for this long.",
    )
    share: float = _key(0.1, number(0.01, 1), "Share of the processor's time at most.")

    @property
    def active(self) -> bool:
        """Whether a running device replays examples at all."""
        return self.enabled and self.dreams > 0


@dataclass(frozen=True, slots=True)
class HistoryConfig(Section):
    """[history]: whether visits are stored, and how much of them is kept."""

    enabled: bool = _key(
        True,
        FLAG,
        "Store each visit: which class was seen, from when to when, how surely (docs/history.md). The oldest are "
        "deleted at the limits below, and nothing is stored while the disk is nearly full.",
    )
    pictures: bool = _key(
        True,
        FLAG,
        "Keep a picture of each visit, so that it can be looked at and taught later; false: store no pictures.",
    )
    picture_role: str = _key(
        "view", one_of(*ROLES), "Role of those who may see these pictures, over the page and the API."
    )
    days: int = _key(30, whole(1, 36_500, "days"), "A visit is deleted after this time.")
    megabytes: int = _key(
        256,
        whole(8, 1_000_000, "MB"),
        "Space on disk that the history may use, in addition to [state] disk_mb. The oldest pictures are deleted "
        "first, then the oldest visits.",
    )

    @property
    def most_bytes(self) -> int:
        """Size of the database at most."""
        return self.megabytes << 20


@dataclass(frozen=True, slots=True)
class TemperatureConfig(Section):
    """[temperature]: lowers the rate while the processor is hot."""

    sensor: str = _key(
        "/sys/class/thermal/thermal_zone0/temp",
        PATH,
        'File in which the kernel gives the processor\'s temperature; "": do not read it.',
    )
    slow_at_c: float = _key(
        75.0,
        number(20, 120, "°C"),
        "Lower the rate at this temperature. A Raspberry Pi throttles its processor at 80 °C.",
    )
    resume_at_c: float = _key(
        70.0, number(20, 120, "°C"), "Return to the full rate below this temperature; less than slow_at_c."
    )
    slow_fps: float = _key(2.0, number(0.01, 1000, "fps"), "Frames per second while the processor is hot.")

    def _check_together(self) -> None:
        if self.resume_at_c >= self.slow_at_c:
            raise InputError(
                f"temperature.resume_at_c = {self.resume_at_c:g}, expected less than slow_at_c = {self.slow_at_c:g}"
            )


@dataclass(frozen=True, slots=True)
class MqttConfig(Section):
    """[mqtt]: decisions and events to a message broker, and commands from it."""

    enabled: bool = _key(
        False,
        FLAG,
        "Publish decisions and events to a message broker, and take commands from it: docs/mqtt.md. Needs `pip install "
        "'edge-app[mqtt]'`; for a broker on another machine the service also needs a drop-in, which docs/mqtt.md has.",
    )
    host: str = _key("localhost", matching(r"[^\s/]{1,253}", "a host name or an address"), "The broker; MQTT 5.")
    port: int = _key(0, whole(0, 65535), "The broker's port; 0: 1883, or 8883 with TLS.")
    device: str = _key(
        "",
        matching(r"[A-Za-z0-9_-]{0,64}", "at most 64 letters, digits, - and _"),
        'Name of this device in topics; "": derived from the machine\'s id, which it does not reveal.',
    )
    name: str = _key("", text(), 'Name of this device for people; "": edge-app and the device\'s name in topics.')
    base: str = _key(
        "edge-app",
        matching(_TOPIC, "the first levels of a topic, without +, #, white space or / at an end"),
        "The first levels of every topic.",
    )
    user: str = _key("", text(), "User name at the broker.")
    password_file: str = _key("", PATH, "File with the password, mode 0600, owned by the service's user.")
    tls: bool = _key(False, FLAG, "Use TLS.")
    ca_file: str = _key(
        "", PATH, "Certificate authority that the broker's certificate is checked against; \"\": the system's."
    )
    certificate_file: str = _key("", PATH, "This device's own certificate, where the broker asks for one.")
    key_file: str = _key("", PATH, "Private key of that certificate.")
    discovery: str = _key(
        "homeassistant",
        matching(f"|{_TOPIC}", 'the prefix of a topic, or "" (off)'),
        'Home Assistant\'s discovery prefix; "": announce nothing, and remove earlier announcements.',
    )
    page: str = _key(
        "",
        matching(r"|https?://[^\s?#\x00-\x1f]+", 'an address such as "https://shelf.local:8765", or ""'),
        'Address of this device\'s page, for the link in Home Assistant, such as "https://shelf.local:8765"; "": none.',
    )
    commands: str = _key(
        "none",
        one_of(*MQTT_ROLES),
        'Commands taken over MQTT: "none", "teach" (teach, undo, relabel), "administer" (all).',
    )
    hold_s: float = _key(
        0.5,
        number(0.05, 60, "s", zero="every change"),
        "Publish a decision once every answer for this long had the same label.",
    )
    thumbnails: bool = _key(
        False, FLAG, "Publish a picture with each published decision, for everyone who may read from the broker."
    )
    thumbnail_side: int = _key(320, one_of(320, 640, 1280, unit="pixels"), "Longer side of that picture.")
    buffer: int = _key(
        1000,
        whole(16, 100_000),
        "Events kept while the broker is away. Beyond that the oldest are dropped, and counted.",
    )
    offers: str = _key(
        "off",
        one_of(*MQTT_OFFERS),
        'Classes that devices offer one another: "off", "by-hand" (a command accepts each) or "signed" (accepted at '
        "once if signed with the key in offers_key_file, otherwise refused).",
    )
    offers_key_file: str = _key(
        "", PATH, "File with the key that offers are signed with, 32 characters or more, mode 0600."
    )
    offer_mb: int = _key(4, whole(1, 16, "MB"), "Size of one offered class at most.")

    @property
    def picture_side(self) -> int:
        """The longer side of a published picture, pixels; 0: none is published."""
        return self.thumbnail_side if self.thumbnails else 0

    @property
    def offer_bytes(self) -> int:
        """The size of an offered class at most."""
        return self.offer_mb << 20

    @property
    def port_in_use(self) -> int:
        """The port, the protocol's own where none was named."""
        return self.port or (8883 if self.tls else 1883)

    def _check_together(self) -> None:
        needs = (
            ("password_file", "user", self.password_file and not self.user),
            ("ca_file", "tls", self.ca_file and not self.tls),
            ("certificate_file", "tls", self.certificate_file and not self.tls),
            ("certificate_file", "key_file", self.certificate_file and not self.key_file),
            ("key_file", "certificate_file", self.key_file and not self.certificate_file),
            ('offers = "signed"', "offers_key_file", self.offers == "signed" and not self.offers_key_file),
        )
        for key, other, missing in needs:
            if missing:
                raise InputError(f"mqtt.{key} is set and {other} is not: set both, or neither")


@dataclass(frozen=True, slots=True)
class WebConfig(Section):
    """[web]: the page and the API, and access to them."""

    enabled: bool = _key(
        False,
        FLAG,
        "Serve the page and the API: docs/page.md, docs/api.md. Needs `pip install 'edge-app[web]'`.",
    )
    host: str = _key(
        "127.0.0.1",
        ADDRESS,
        'The address to listen on: "127.0.0.1" for this machine only, "0.0.0.0" for every machine that can reach it. '
        "Other machines need a token (`edge-app token make ROLE`), and the service a drop-in (docs/service.md).",
    )
    port: int = _key(8765, whole(0, 65535), "The port to listen on; 0: any free port.")
    names: tuple[str, ...] = _key(
        (),
        list_of(NAME, "a list of texts in quotes"),
        "Names by which browsers may call this machine, besides its addresses, localhost, its own name and NAME.local.",
    )
    loopback_role: str = _key(
        "administer",
        one_of("none", *ROLES),
        "What programs and people on this machine may do without a token.",
    )
    tokens: str = _key("", PATH, 'File of the tokens; "": tokens.json in the state folder.')
    certificate: str = _key("", PATH, "File of the TLS certificate, with its chain.")
    key: str = _key("", PATH, "File of the certificate's private key.")
    plain_http: bool = _key(
        False,
        FLAG,
        "Let other machines in without TLS. Everyone on the same network can then read the token.",
    )
    proxies: tuple[str, ...] = _key(
        (),
        NETWORKS,
        "Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted. Clients that come through one "
        "need a token.",
    )
    gateway: str = _key(
        "",
        GATEWAY,
        "Address of a gateway that only signed-in people come through, such as the ingress of Home Assistant "
        "(172.30.32.2); its clients need no token.",
    )
    gateway_role: str = _key("administer", one_of(*ROLES), "Role of those who come through the gateway.")
    frame_ancestors: tuple[str, ...] = _key(
        (),
        ANCESTORS,
        'Sites whose pages may show the page in a frame, such as ["https://home.example:8123"]; "self": a page of the '
        "same site, as under ingress.",
    )
    max_clients: int = _key(16, whole(1, 1000), "Pages open at a time.")
    picture_fps: float = _key(10.0, number(0.1, 60, "fps"), "Pictures per second sent to a page at most.")
    max_upload_mb: int = _key(64, whole(1, 4096, "MB"), "Size of an imported file, or of a zip of pictures, at most.")
    session_days: int = _key(30, whole(1, 3650, "days"), "A browser has to sign in again after this time.")
    hsts_days: int = _key(
        0,
        whole(0, 3650, "days"),
        "Tell browsers to use only HTTPS for this host name, on every port, for this time (HSTS); 0: do not. Leave it "
        "at 0 while another service on the same host name uses plain HTTP.",
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def _check_together(self) -> None:
        if bool(self.certificate) != bool(self.key):
            missing, given = ("key", "certificate") if self.certificate else ("certificate", "key")
            raise InputError(f"web.{missing} is missing: TLS needs web.{given} and web.{missing}")
        if self.enabled and not self.loopback and not self.certificate and not self.plain_http:
            raise InputError(
                f"web.host = {self.host!r} lets other machines in, and their tokens would cross the network "
                "unencrypted: set web.certificate and web.key (docs/api.md shows how to make them), put a "
                "proxy with TLS before 127.0.0.1, or set plain_http = true on a network that only you use"
            )


@dataclass(frozen=True, slots=True)
class LogConfig(Section):
    """[log]: level of the log."""

    level: str = _key("info", one_of(*LEVELS), "Least important events to log.")
