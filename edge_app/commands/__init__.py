"""One module a command of `edge-app`: `add_parser(subparsers)` and `run(args) -> exit status`."""
