"""The ordering service on Flask: `flask --app backend_flask run`, or `python -m backend_flask`."""

from backend_flask.app import create_app

__all__ = ["create_app"]
