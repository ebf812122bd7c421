"""Headers that keep browsers from doing what no page of ours asks for."""

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

SECURITY = {
    # Nothing inline, nothing from elsewhere: hostile text that slipped through escaping still could not run.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


async def add_security_headers(message: Message, _scope: Scope) -> None:
    """Litestar's hook before a message is sent: every response gets them, errors too."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in SECURITY.items():
            headers.setdefault(name, value)
