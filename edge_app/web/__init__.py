"""The page and the HTTP API: speaks to the device through `edge_app.control` alone; needs the extra `web`."""
