"""Teaching by pointer, finger and key, and undo."""

import pytest

pytestmark = pytest.mark.slow


def right_of(page, label):
    """Return how many of the last examples of a class were named right, and of how many."""
    words = page.text(f'.class[data-label="{label}"] .standing').split()
    return (int(words[0]), int(words[4])) if words[1:4] == ["of", "the", "last"] else (0, 0)


def test_two_classes_are_learnt_and_accuracy_rises(page, device):
    page.open(device)
    page.wait_ready()
    for label in ("disc", "cross"):
        page.add_class(label, when=label)
    assert page.labels == ["disc", "cross"]
    before = {label: right_of(page, label) for label in page.labels}
    for _ in range(3):
        for key, label in (("1", "disc"), ("2", "cross")):
            page.wait_shape(label)
            page.press(key)
            page.press(key)
    page.wait(lambda: device.counts() == {"disc": 7, "cross": 7}, "seven examples each")
    assert before == {"disc": (0, 0), "cross": (0, 0)}
    for label in page.labels:
        page.wait(lambda label=label: right_of(page, label)[1] == 6, f"{label} to be tried six times")
        assert right_of(page, label)[0] >= 5
        page.wait(lambda label=label: page.is_shown(f'.class[data-label="{label}"] .standing.enough'), "enough")
        page.wait_text(f'.class[data-label="{label}"] .advice', "Enough")
    for label in page.labels:
        page.wait_shape(label)
        page.wait_text("#decision", label)
        page.wait(lambda: int(page.find("#confidence").get_attribute("aria-valuenow")) > 0, "confidence")
        page.wait_text("#confidence-words", "sure")


def test_what_is_taught_is_what_was_on_the_screen(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("square", when="square")
    (example,) = device.ask("GET", "examples")["examples"]
    picture = f"{device.url}api/v1/examples/{example['id']}/thumbnail.jpg"
    colour = """
    const done = arguments[1], image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
      [canvas.width, canvas.height] = [image.width, image.height];
      context.drawImage(image, 0, 0);
      const pixels = context.getImageData(0, 0, image.width, image.height).data;
      let blue = 0;
      for (let i = 0; i < pixels.length; i += 4) blue += pixels[i + 2] > pixels[i] + 80;
      done(blue / (pixels.length / 4));
    };
    image.src = arguments[0];
    """
    assert page.browser.execute_async_script(colour, picture) > 0.03


def test_a_tap_teaches_one_example(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.click(page.class_button("thing"))
    page.wait(lambda: page.count("thing") == 2, "the second example")
    page.wait_text(f"{page.class_button('thing')} .run", "+")
    page.wait(lambda: device.counts() == {"thing": 2}, "the device to have it too")


def test_holding_teaches_until_it_is_let_go(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.actions.click_and_hold(page.find(page.class_button("thing"))).perform()
    page.wait(lambda: page.text(f"{page.class_button('thing')} .run") in ("+4", "+5"), "several examples")
    page.actions.release().perform()
    page.wait(lambda: not page.text(f"{page.class_button('thing')} .run"), "the run to end")
    assert page.count("thing") == device.counts()["thing"] >= 4


def test_a_held_key_teaches_several(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.actions.key_down("1").perform()
    page.wait(lambda: page.count("thing") >= 4, "three more")
    page.actions.key_up("1").perform()
    page.wait(lambda: not page.text(f"{page.class_button('thing')} .run"), "the run to end")
    assert page.count("thing") == device.counts()["thing"]


def test_a_finger_taps_and_may_scroll(page, device):
    page.show(width=360, height=740, mobile=True)
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.touch(page.class_button("thing"), -40, -120)
    page.touch(page.class_button("thing"))
    page.wait(lambda: page.count("thing") == 2, "one more example")
    page.wait(lambda: not page.text(f"{page.class_button('thing')} .run"), "the run to end")
    assert device.counts() == {"thing": 2}


def test_keys_are_left_alone_while_one_types_and_when_switched_off(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.type("#new-class-name", "1u1")
    assert page.find("#new-class-name").get_attribute("value") == "1u1"
    page.run("document.activeElement.blur()")
    page.click("#keys")
    page.press("1")
    page.click("#keys")
    page.press("1")
    page.wait(lambda: page.count("thing") == 2, "the key to teach again")
    assert device.counts() == {"thing": 2}


def test_undo_says_what_it_took_back(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.wait_toast("Taught thing")
    page.click(page.class_button("thing"))
    page.wait(lambda: page.count("thing") == 2, "the second example")
    page.click("#undo")
    page.wait_toast("Removed 1 example of thing")
    page.wait(lambda: page.count("thing") == 1, "one example")
    page.press("u")
    page.wait(lambda: page.labels == [], "no class")
    assert device.counts() == {}


def test_a_name_is_shown_as_text_whatever_it_holds(page, device):
    label = '<img src=x onerror=alert(1)> & "a/b" %2F?#'
    page.open(device)
    page.wait_ready()
    page.add_class(label)
    page.wait(lambda: len(page.all(".class")) == 1, "the class")
    page.click(".class .class-button")
    page.wait(lambda: device.counts() == {label: 2}, "a second example")
    assert page.text(".class .name") == label
    assert page.all("#main img[src='x']") == []


def test_a_refusal_is_said_plainly(page, device):
    page.open(device)
    page.wait_ready()
    page.expected.add("/teach")
    page.run("document.getElementById('new-class-name').value = 'a\\u200b\\u0007b'")
    page.click("#new-class button")
    page.wait_toast("control characters")
    assert page.find("#toast").get_attribute("class") == "toast bad"
    assert device.counts() == {}
