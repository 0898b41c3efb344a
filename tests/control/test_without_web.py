"""Without the page none of its libraries is loaded, and if they are missing, the error says what to install."""

import subprocess
import sys

LIBRARIES = ("starlette", "uvicorn", "msgspec", "websockets", "anyio")


def test_the_program_without_a_page_loads_none_of_its_libraries() -> None:
    code = f"import sys, edge_app.app, edge_app.commands.token; print([n for n in {LIBRARIES!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_named_with_the_command_that_installs_it() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from edge_app import cli\n"
        "print(cli.run(['run', '--web', '--state', '/nowhere', '--camera', 'sim:', '--buttons', 'sim:']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"
    assert "the page and the API need uvicorn: pip install 'edge-app[web]'" in done.stderr
