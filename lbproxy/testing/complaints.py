"""What the balancer complains of."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer


@implementer(ILogObserver)
class Complaints:
    """What is logged as an error while it is open: none is expected.

    Attributes:
        said: The complaints.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def __enter__(self) -> Complaints:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Heed what is logged (`ILogObserver`)."""
        failure = event.get("log_failure")
        if failure is not None or event.get("log_level") in (LogLevel.error, LogLevel.critical):
            said = formatEvent(event)
            if failure is not None:
                said = f"{said}: {failure.getBriefTraceback()}"
            self.said.append(said)
