"""A camera that speaks RTSP, of GStreamer's own server: run by the system's Python, which has its bindings.

usage: /usr/bin/python3 rtsp_server.py PORT [guarded] [h264]

Serves /red on the loopback, prints the port that it got. h264: with a key frame at the start and every 20 s after
that, where x264enc is there. Guarded: only for the user "me" with the password "s3cret".
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 after the versions

PICTURE = "videotestsrc is-live=true pattern=red ! video/x-raw,format=I420,width=320,height=240,framerate=15/1"

H264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=300 option-string=scenecut=0"


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    if "h264" in sys.argv:
        if Gst.ElementFactory.find("x264enc") is None:
            sys.exit("no x264enc: apt-get install gstreamer1.0-plugins-ugly")
        factory.set_launch(f"( {PICTURE} ! {H264} ! rtph264pay name=pay0 config-interval=1 )")
    else:
        factory.set_launch(f"( {PICTURE} ! jpegenc ! rtpjpegpay name=pay0 )")
    if "guarded" in sys.argv:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "person")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("me", "s3cret"), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("person", "media.factory.access", True)
        permissions.add_permission_for_role("person", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/red", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main()
