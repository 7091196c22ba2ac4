"""The ABNF of RFC 9110, 9112 and 3986 as patterns of bytes.

All repetitions are possessive, so that a match takes time linear in its input. A pattern is for
`fullmatch` unless it says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

#: What may stand in a line: visible ASCII, obs-text, space and tab (RFC 9110 section 5.5).
TEXT = rb"[\t\x20-\x7e\x80-\xff]*+"

_FIELD_LINES = rb"(?:" + TOKEN + rb":" + TEXT + rb"\r\n)*+"

#: A whole head: method, target, major and minor version, and the block of field lines, which begins
#: with the LF of the line before it: so each line has one in front.
REQUEST_HEAD = re.compile(
    rb"(" + TOKEN + rb") ([\x21-\x7e]++) HTTP/([0-9])\.([0-9])\r(\n" + _FIELD_LINES + rb")\r\n"
)

#: Major and minor version, status, reason, block. Servers that leave out the reason often leave out
#: the space before it too.
RESPONSE_HEAD = re.compile(
    rb"HTTP/([0-9])\.([0-9]) ([1-5][0-9]{2})(?: (" + TEXT + rb"))?\r(\n" + _FIELD_LINES + rb")\r\n"
)


def _in_any_case(name: bytes) -> bytes:
    """A name as a pattern. With a class for each letter the engine need not enter an alternative
    to see that its first letter is another one, as it must under `re.IGNORECASE`."""
    letters = (
        b"[%c%c]" % (letter - 32, letter) if chr(letter).isalpha() else b"%c" % letter
        for letter in name
    )
    return b"".join(letters)


def _any_of(names: Collection[bytes]) -> bytes:
    """One of several names, as a pattern that looks at what they begin with in common once."""
    by_first: dict[bytes, list[bytes]] = {}
    for name in sorted(names, reverse=True):  # A name comes before one that it begins with.
        by_first.setdefault(name[:1], []).append(name[1:])
    ways = [
        _in_any_case(first) + (_any_of(rests) if first else b"")
        for first, rests in by_first.items()
    ]
    return ways[0] if len(ways) == 1 else b"(?:" + b"|".join(ways) + b")"


def control_fields(*names: bytes) -> re.Pattern[bytes]:
    """For `split` over a block: the lines of these names, and of all that have an underscore.

    What is split off is the name and the value, with the space behind it; what is left is a block
    again when it is joined.

    Args:
        names: In lower case.
    """
    underscored = rb"[!#$%&'*+\-.^`|~0-9A-Za-z]*+_[^:\n]*+"
    names_of_lines = _any_of(names) + rb"|" + underscored
    return re.compile(rb"\n(" + names_of_lines + rb"):[ \t]*+([^\r]*+)\r")


def field_named(name: bytes) -> re.Pattern[bytes]:
    """For `search` over a block: whether it has a line of this name, which is in lower case."""
    return re.compile(rb"\n" + _in_any_case(name) + rb":")


#: What an intermediary has to read, to replace or to keep to itself.
CONNECTION_FIELDS = (
    b"connection",
    b"content-length",
    b"http2-settings",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"x-request-id",
)
REQUEST_CONTROL = control_fields(
    *CONNECTION_FIELDS,
    b"client-cert",
    b"client-cert-chain",
    b"expect",
    b"forwarded",
    b"host",
    b"max-forwards",
    b"x-client-cert-subject",
    b"x-forwarded-by",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-forwarded-server",
    b"x-real-ip",
)
RESPONSE_CONTROL = control_fields(*CONNECTION_FIELDS)

#: For `sub`: a name and the space behind it, which a proxy has to remove from an answer (RFC 9112
#: section 5.1); but not from what says where the answer ends, which readers could read differently.
SPACE_BEFORE_COLON = re.compile(
    rb"(?<=\n)(?!(?i:content-length|transfer-encoding)[ \t])(" + TOKEN + rb")[ \t]++(?=:)"
)

TRAILERS = re.compile(_FIELD_LINES + rb"\r\n")

#: For `findall` over a block: names, and values without the space before them.
FIELD = re.compile(rb"\n([^:]++):[ \t]*+([^\r]*+)\r")

#: For `search`: what no head may have, so that a head need not be whole to be refused.
NEVER_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")

# What browsers send, which is RFC 3986 and a few characters more: neither a fragment, nor what one
# reader takes for a slash or the end of the target and another does not.
_PLAIN = rb"[!$&-;=?-\[\]-~]*+"
_PATH = _PLAIN + rb"(?:%[0-9A-Fa-f]{2}" + _PLAIN + rb")*+"

# A comma would be valid in a name (RFC 3986 section 3.2.2), and also joins two lines of `Host`.
_NAME = rb"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++"
_LITERAL = rb"\[(?:[0-9A-Fa-f:.]++|[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]"
_HOST = rb"(?:" + _NAME + rb"|" + _LITERAL + rb")"

#: `Host`, and the authority of a target: no user, and an `http` URI has a host (RFC 9110 4.2).
HOST = re.compile(_HOST + rb"(?::[0-9]{0,5})?")

#: The forms of a target (RFC 9112 section 3.2); the absolute form gives its authority.
ORIGIN_FORM = re.compile(rb"/" + _PATH)
ABSOLUTE_FORM = re.compile(
    rb"[hH][tT][tT][pP][sS]?://(" + _HOST + rb"(?::[0-9]{0,5})?)(?:[/?]" + _PATH + rb")?"
)
AUTHORITY_FORM = re.compile(_HOST + rb":[0-9]{1,5}")

#: One length, written in the one way that all readers read alike.
LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")

#: A number of seconds that somebody announces, up to 31 years.
SECONDS = re.compile(rb"[0-9]{1,9}")

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'

#: A chunk's first line: its size and its extensions (RFC 9112 section 7.1).
CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:[ \t]*+;[ \t]*+"
    + TOKEN
    + rb"(?:[ \t]*+=[ \t]*+(?:"
    + TOKEN
    + rb"|"
    + _QUOTED
    + rb"))?)*+)"
)
