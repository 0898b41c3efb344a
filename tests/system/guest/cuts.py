"""Teach as fast as it goes, and tell the host of each example that was acknowledged, until the plug is pulled."""

from bench import Bench, require
from scenario import Figures, Scenario

from devices import CHECKERS, RED

MOST_REFUSED = 20
"""Presses of one life that may be refused."""


def until_cut(bench: Bench) -> Figures:
    """Wait for the host's word when ready; from then on there is no end but the cut."""
    bench.service.wait_ready()
    stored = bench.stored()
    require(stored, "what was taught before is there")
    visits = [visit["id"] for visit in bench.visits()]
    require(visits, "the history has visits")
    stored = [[example["id"], example["label"]] for example in stored]
    bench.line.tell("ready to cut", stored=stored, visits=visits)
    bench.line.hear()
    buttons = [("cup", RED), ("cat", CHECKERS)]
    refused = 0
    while True:
        for button, pattern in buttons:
            bench.look_at(pattern)  # or the frame of the press might still show the other one
            mark = bench.journal.mark()
            bench.lines.press(button, hold_s=0.05)
            found = bench.journal.wait(r"(learnt label=(\S+) example=(\d+)|command_failed .*)", mark)
            if found.group(3):
                bench.line.tell("acknowledged", example=int(found.group(3)), label=found.group(2))
            else:  # no frame was new enough: the machine was away for a while
                refused += 1
                require(refused < MOST_REFUSED, found.group(0))


SCENARIOS = (Scenario("until cut", "teaching until the plug is pulled", until_cut, needed=True),)
