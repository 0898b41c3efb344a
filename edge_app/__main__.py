"""``python -m edge_app`` is the same as ``edge-app``."""

from edge_app.cli import main

if __name__ == "__main__":
    main()
