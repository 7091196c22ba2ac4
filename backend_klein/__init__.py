"""The ordering service on Klein: `python -m backend_klein`.

Or, as any Klein application, `twistd -n web --listen=tcp:3001 --class=backend_klein.resource`.
"""

from backend_klein.app import resource

__all__ = ["resource"]
