"""Teach as fast as it goes, and tell the host of each example that was acknowledged, until the plug is pulled."""

from bench import Bench, require
from devices import CHECKERS, RED
from scenario import Figures, Scenario


def until_cut(bench: Bench) -> Figures:
    """Wait for the host's word when ready; from then on there is no end but the cut."""
    bench.service.wait_ready()
    stored = bench.stored()
    require(stored, "what was taught before is there")
    bench.line.tell("ready to cut", stored=[[example["id"], example["label"]] for example in stored])
    bench.line.hear()
    buttons = [("cup", RED), ("cat", CHECKERS)]
    while True:
        for button, pattern in buttons:
            bench.camera.show(pattern)
            mark = bench.journal.mark()
            bench.lines.press(button, hold_s=0.05)
            found = bench.journal.wait(r"(learnt label=(\S+) example=(\d+)|command_failed .*)", mark)
            require(found.group(3), found.group(0))
            bench.line.tell("acknowledged", example=int(found.group(3)), label=found.group(2))


SCENARIOS = (Scenario("until cut", "teaching until the plug is pulled", until_cut, needed=True),)
