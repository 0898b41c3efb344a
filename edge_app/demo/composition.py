"""Opens the demo's parts, runs it and closes them."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from edge_app.demo.edges import SIZE, EventScene
from edge_app.demo.run import DemoEvent, DemoRun
from edge_app.demo.script import FPS, NEW, SHOT_S, TAUGHT, UNDO, Script, write_script
from edge_app.demo.sheet import ContactSheet
from edge_app.demo.tally import Tally
from edge_app.demo.transcript import DIM, Transcript
from edge_app.errors import InputError
from edge_app.pipeline.pipeline import PipelineParts, one_place
from edge_app.simulation.devices import Scene, SimulatedButtons, SimulatedCamera, SimulatedClock, SimulatedIndicator
from edge_app.simulation.photographs import Photographs, load_photographs
from edge_app.simulation.scene import PhotographScene

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

PICTURE = "demo.png"


class Options(NamedTuple):
    """Options of `edge-app demo`."""

    seed: int = 0
    shots: int = 4
    frames: int = 64
    out: Path = Path()
    """Folder of the picture; created if missing."""
    state: Path | None = None
    """State folder; None: a temporary one."""
    model: str | None = None
    events: bool = False
    """Whether the camera shows events."""


def play(options: Options, stream: TextIO) -> dict[str, Any]:
    """Run the demo, write its transcript to `stream` and its contact sheet to a file; return the result as JSON values.

    Raises RuntimeMissing without scikit-image or a TFLite runtime, InputError for an option out of range, a folder
    that cannot be written or a state that is not empty, and the errors of encoder and learner.
    """
    started = time.perf_counter()
    clock = SimulatedClock()
    photographs = load_photographs()
    script = write_script(
        photographs, seed=options.seed, shots=options.shots, frames=options.frames, start_ns=clock.monotonic_ns()
    )
    # before anything is loaded: the picture is written at the end
    path = _writable(options.out) / PICTURE
    tally = Tally()
    transcript = Transcript(stream, tally, script.start_ns)
    sheet = ContactSheet(options.shots)

    def tell(event: DemoEvent) -> None:
        tally.add(event)
        transcript.add(event)
        sheet.add(event)

    with ExitStack() as stack:
        parts = _open_parts(stack, options, photographs, script, clock, transcript)
        # inside the `with`: it closes what the run uses
        DemoRun(parts, clock, script, tell).play()
    transcript.summary()
    sheet.save(path, tally)
    seconds = time.perf_counter() - started
    transcript.say(f"  picture          {path}")
    transcript.say(f"  all in           {seconds:.1f} s")
    result = {"seed": options.seed, "shots": options.shots, **tally.to_dict()}
    return {**result, "picture": str(path), "seconds": round(seconds, 2)}


def _open_parts(
    stack: ExitStack,
    options: Options,
    photographs: Photographs,
    script: Script,
    clock: SimulatedClock,
    transcript: Transcript,
) -> PipelineParts:
    """Open the real parts and the simulated ones; the stack closes them."""
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.learner import Learner

    manifest = load_manifest(options.model)
    manifest.require_events(options.events)
    encoder = stack.enter_context(TFLiteEncoder(manifest))
    transcript.say(f"encoder {manifest.name} on {encoder.runtime}; seed {options.seed}", DIM)
    folder = options.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-app-demo-")))
    learner = stack.enter_context(Learner.open(folder, manifest))
    if learner.labels:
        raise InputError(
            f"--state {folder}: holds {len(learner.labels)} classes already; the demo needs an empty or new folder"
        )
    _warm_up(manifest, transcript)
    scene: Scene = PhotographScene(photographs, script.shot, shot_s=SHOT_S)
    if options.events:
        scene = PhotographScene(photographs, script.shot, shot_s=SHOT_S, size=SIZE)
        scene = EventScene(scene, manifest.event_colours)
    camera = stack.enter_context(SimulatedCamera(scene, clock, fps=FPS))
    # events look like noise at times, and are no fault of the camera
    camera.repeats = options.events
    buttons = stack.enter_context(SimulatedButtons((*TAUGHT, NEW, UNDO), clock))
    script.press_all(buttons)

    def make_preprocess() -> Preprocessor:
        return Preprocessor(manifest.input_size, crop=manifest.crop)

    indicator, size = SimulatedIndicator(clock), manifest.input_size
    return one_place(camera, buttons, indicator, make_preprocess, encoder, learner, size)


def _writable(folder: Path) -> Path:
    """Create the folder and check that it can be written, before a minute is spent; raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {folder}: cannot write there: {error.strerror}; name another folder") from error
    return folder


def _warm_up(manifest: "ModelManifest", transcript: Transcript) -> None:
    """Compile the kernels, or load them from numba's cache, before a frame is timed."""
    from edge_app.kernel_cache import compile_all

    started = time.perf_counter()
    compiled, loaded = compile_all(manifest)
    seconds = time.perf_counter() - started
    transcript.say(f"kernels: {compiled} compiled, {loaded} from numba's cache, {seconds:.1f} s", DIM)
