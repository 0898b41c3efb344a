"""A virtual device: QEMU, Debian's kernel, systemd, a V4L2 camera (vivid), GPIO lines (gpio-sim), and edge-app in it.

`python -m virtual_device` builds it, boots it, and lets its scenarios be asserted from inside; docs/virtual-device.md.
"""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).resolve().parents[1] / "system" / "guest"
