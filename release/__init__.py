"""Builds what is released: man page, shell completion, Debian packages, image, checks and sums (`make release`)."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
