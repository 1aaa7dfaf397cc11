"""Who may ask, and what a browser may do with the answer.

The page is for people on this machine: a site that resolves its own name to 127.0.0.1 is known by
its Host, a form on somebody else's page by its Origin. Whoever comes over another address has to
show the token, and so has everyone who wants to change something.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aletheia_like.ui.links import separated

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MAY_CHANGE = "aletheia.may_change"
_READING = frozenset({"GET", "HEAD"})
_COOKIE = "aletheia-token"
_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)
"""Plotly's own: an empty one, which its script fills, and that of its maps, which nobody sees."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Without any referrer browsers send no Origin with a form either.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def policy(scripts: str = "", styles: str = "") -> str:
    """Return what a browser may do with a page.

    Args:
        scripts: The hash of the script that stands in each page itself.
        styles: The hash of its style sheet.
    """
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' {styles} {_STYLES}; "
        "img-src 'self' data: blob:; "
        "media-src 'self'; connect-src 'self'; font-src 'self'; frame-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may ask.

    Attributes:
        token: What has to be known.
        open_to_readers: Whether reading needs no token; only ever on this machine.
        policy: What a browser may do with a page; see `policy`.
    """

    token: str
    open_to_readers: bool = True
    policy: str = policy()


class Guard:
    """Refuses requests against the rules, and adds headers to every answer.

    Args:
        app: What answers.
        rules: Who may ask.
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._headers = {"content-security-policy": rules.policy, **_HEADERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        raw = scope["raw_path"].decode("ascii", "replace")
        inner = {**scope, "path": separated(raw), MAY_CHANGE: self._has_token(scope)}
        await self._app(inner, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._rules.open_to_readers and _hostname(host) not in LOOPBACK:
            return _refuse(f"this page is for this machine only, not for {host!r:.80}")
        if scope["method"] not in _READING and not _is_own(headers.get("origin", ""), host):
            return _refuse("this was sent by another page")
        query = parse_qsl(scope["query_string"].decode("ascii", "replace"), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and scope["method"] in _READING:
            if not self._is_token(given):
                return _refuse("this is not the token: open the link that `aletheia ui` printed")
            return _remember(scope, [(name, one) for name, one in query if name != "token"], given)
        needs_token = not self._rules.open_to_readers or scope["method"] not in _READING
        if needs_token and not self._has_token(scope):
            return _refuse("this needs the token: open the link that `aletheia ui` printed")
        return None

    def _has_token(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(scope))
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._rules.token.encode())


def _refuse(why: str) -> Response:
    return PlainTextResponse(f"403 refused: {why}\n", 403)


def _remember(scope: Scope, query: list[tuple[str, str]], token: str) -> Response:
    """Keep the token in a cookie, and out of the address that people share."""
    raw = "/" + scope["raw_path"].decode("ascii", "replace").lstrip("/\\")
    answer = RedirectResponse(f"{raw}?{urlencode(query)}" if query else raw, 303)
    answer.set_cookie(_cookie_name(scope), token, httponly=True, samesite="strict")
    return answer


def _cookie_name(scope: Scope) -> str:
    """Return a name of this server's own: browsers share cookies between ports."""
    server = scope.get("server")
    return f"{_COOKIE}-{server[1]}" if server else _COOKIE


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own(origin: str, host: str) -> bool:
    return bool(origin) and urlsplit(origin).netloc == host
