"""Sort the pictures of a folder by what they show: python classify_folder.py STATE FOLDER

Teach STATE first, for example: edge-app teach --state STATE --folder photos/
"""

import sys
from pathlib import Path

from edge_app import Classifier, InputError


def main(state: str, folder: str) -> None:
    """Print a line for each file: class, confidence, name."""
    with Classifier(state, read_only=True) as classifier:
        for path in sorted(Path(folder).iterdir()):
            try:
                found = classifier.classify(path)
            except InputError as error:
                print(f"{'-':12} {'':4} {error}")
            else:
                print(f"{found.label or 'unknown':12} {found.confidence:4.0%} {path.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
