"""Starts the app: imported by a server it is the ASGI app, run inside a script run it is the script."""

import runpy
import sys
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

HERE = Path(__file__).resolve().parent
SITE = HERE / "pages" / "_site.py"
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

if get_script_run_ctx(suppress_warning=True) is None:
    from pages import _server

    _server.refuse_unsafe()
    app = st.App(
        SITE,
        lifespan=_server.lifespan,
        routes=_server.ROUTES,
        middleware=_server.MIDDLEWARE,
        on_script_error=_server.on_script_error,
    )
    if __name__ == "__main__":
        app.run(config={"server.headless": True})
else:
    runpy.run_path(str(SITE), run_name="__main__")
