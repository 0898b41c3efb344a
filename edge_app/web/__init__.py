"""The page and the HTTP API; uses the device through `edge_app.control` only, and needs the extra `web`."""
