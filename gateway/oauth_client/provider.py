"""The SDK's provider, with what it lacks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import jwt
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.oauth2 import OAuthContext
from mcp.client.auth.utils import issuers_match
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, BaseModel, ValidationError

from gateway.oauth_client.config import (
    BASIC,
    CODE,
    JWT_BEARER,
    NONE,
    POST,
    PRIVATE_KEY_JWT,
    ClientConfig,
    Records,
    is_safe_url,
)
from gateway.oauth_client.dpop import Dpop
from gateway.oauth_client.dpop import kept as kept_key

Ask = Callable[[str], Awaitable[AuthorizationCodeResult]]
"""Gets the URL that a person opens, and gives what the browser brings back."""

ASSERTION_SECONDS: Final = 300
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_KEPT: Final[dict[str, type[BaseModel]]] = {
    "client_info": OAuthClientInformationFull,
    "current_tokens": OAuthToken,
    "oauth_metadata": OAuthMetadata,
    "protected_resource_metadata": ProtectedResourceMetadata,
}


@dataclass
class Context(OAuthContext):
    """The state of a flow, in which the client proves who it is in the way that it should."""

    config: ClientConfig | None = None

    def auth_method(self) -> str:
        """How the client is known at the token endpoint. A registration that does not say it means
        basic (RFC 7591, section 2), if the server can do that."""
        assert self.config is not None  # noqa: S101 - Provider makes no other
        info = self.client_info
        declared = self.config.auth_method or (info and info.token_endpoint_auth_method)
        if declared:
            return declared
        if self.config.private_key is not None:
            return PRIVATE_KEY_JWT
        if info is None or info.client_secret is None:
            return NONE
        metadata = self.oauth_metadata
        offered = metadata.token_endpoint_auth_methods_supported if metadata is not None else None
        return POST if offered and POST in offered and BASIC not in offered else BASIC

    def prepare_token_auth(
        self, data: dict[str, str], headers: dict[str, str] | None = None
    ) -> tuple[dict[str, str], dict[str, str]]:
        headers = headers if headers is not None else {}
        if self.client_info is None:
            return data, headers
        method = self.auth_method()
        if method != PRIVATE_KEY_JWT:
            self.client_info.token_endpoint_auth_method = method
            return super().prepare_token_auth(data, headers)
        return {**data, **self._signed(self.client_info.client_id)}, headers

    def _signed(self, client_id: str) -> dict[str, str]:
        """RFC 7523, section 2.2. It is made for the issuer, so no other server can use it."""
        config, metadata = self.config, self.oauth_metadata
        if config is None or config.private_key is None or metadata is None:
            raise OAuthFlowError("there is no key to sign with, or nobody to sign for")
        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": str(metadata.issuer),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        try:
            signed = jwt.encode(claims, config.private_key, algorithm=config.signing_algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError):
            # Raised for a key of another kind; the last for an algorithm it does not know.
            raise OAuthFlowError("the private key does not fit its algorithm") from None
        return {"client_assertion": signed, "client_assertion_type": _ASSERTION_TYPE}


class Provider(OAuthClientProvider):
    """See the module. ``ask`` is needed for the grant with a code."""

    context: Context

    def __init__(self, config: ClientConfig, records: Records, ask: Ask | None) -> None:
        redirect_uris = [AnyUrl(config.redirect_uri)] if config.redirect_uri else None
        metadata = OAuthClientMetadata(
            redirect_uris=redirect_uris,
            client_name=config.name,
            application_type=config.application_type,
            grant_types=[CODE, "refresh_token"] if config.grant == CODE else [config.grant],
            scope=config.scope,
        )
        super().__init__(config.server_url, metadata, self, client_metadata_url=config.metadata_url)
        self.context = Context(
            server_url=config.server_url,
            client_metadata=metadata,
            storage=self,
            redirect_handler=self._to_person,
            callback_handler=self._from_person,
            client_metadata_url=config.metadata_url,
            config=config,
        )
        self._config = config
        self._records = records
        self._ask = ask
        self._url = ""
        self.dpop: Dpop | None = None
        """What the tokens are bound to."""
        self.is_step_up = False
        """The flow that begins is for more scopes than there are."""

    # What is kept

    async def load(self) -> None:
        """Take up what was kept, before anything is asked of it."""
        await self._initialize()

    async def _initialize(self) -> None:
        """A client that was registered by hand is what it is configured to
        be; the server that it was first used with stays with it."""
        record = await self._records.load() or {}
        if record.get("of") != self._config.identity():
            record = {}
        context = self.context
        for name, model in _KEPT.items():
            setattr(context, name, _read(model, record.get(name)))
        context.auth_server_url = record.get("auth_server_url")
        context.token_expiry_time = record.get("token_expiry_time")
        self.dpop = kept_key(record.get("dpop")) if self._config.may_bind else None
        kept = context.client_info
        if kept is not None and 0 < (kept.client_secret_expires_at or 0) <= time.time():
            context.client_info = None
        if self._config.client_id is not None:
            is_same = kept is not None and kept.client_id == self._config.client_id
            context.client_info = self._registered_by_hand()
            if context.client_info.issuer is None and is_same and kept is not None:
                context.client_info.issuer = kept.issuer
        self._initialized = True

    def _registered_by_hand(self) -> OAuthClientInformationFull:
        config = self._config
        return OAuthClientInformationFull(
            client_id=config.client_id or "",
            client_secret=config.client_secret,
            token_endpoint_auth_method=config.auth_method,
            issuer=config.issuer,
        )

    async def save(self) -> None:
        """Keep what there is now."""
        context = self.context
        record: dict[str, Any] = {
            "of": self._config.identity(),
            "auth_server_url": context.auth_server_url,
            "token_expiry_time": context.token_expiry_time,
            "dpop": self.dpop and self.dpop.record(),
        }
        for name in _KEPT:
            value = getattr(context, name)
            record[name] = value and value.model_dump(mode="json", exclude_none=True)
        await self._records.save(record)

    async def forget_tokens(self) -> None:
        """They are of no use any more."""
        self.context.clear_tokens()
        await self.save()

    async def forget_registration(self) -> None:
        """The server does not know it any more; what was registered by hand stays."""
        self.context.clear_tokens()
        if self._config.client_id is None:
            self.context.client_info = None
        await self.save()

    # What the SDK keeps: the same, whatever part of it has changed

    async def get_tokens(self) -> OAuthToken | None:
        return self.context.current_tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.context.client_info

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._bind()
        await self.save()

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        await self.save()

    def _bind(self) -> None:
        """A client id that was registered by hand is for the server that has taken it."""
        info, metadata = self.context.client_info, self.context.oauth_metadata
        if info is not None and info.issuer is None and metadata is not None:
            info.issuer = str(metadata.issuer)

    # Which server

    def _select_authorization_server(self, advertised: list[str]) -> str:
        issuer = self._issuer()
        return next((s for s in advertised if issuer and issuers_match(s, issuer)), advertised[0])

    def _expected_issuer(self) -> str:
        """A client id from a registration by hand is shown to nobody but the server it is from."""
        expected, issuer = super()._expected_issuer(), self._issuer()
        if issuer is not None and not issuers_match(expected, issuer):
            raise OAuthFlowError(f"it wants a login at {expected}, and the client is of {issuer}")
        return expected

    def _issuer(self) -> str | None:
        info = self.context.client_info
        if self._config.client_id is None or info is None:
            return self._config.issuer
        return info.issuer

    # Grants

    async def _perform_authorization(self) -> httpx2.Request:
        if self._config.scope is not None and not self.is_step_up:
            self.context.client_metadata.scope = self._config.scope
        if self._config.grant == CODE:
            self._check_pkce()
            return await super()._perform_authorization()
        data = {"grant_type": self._config.grant}
        if self._config.grant == JWT_BEARER:
            data["assertion"] = await self._assertion()
            if self.context.client_info is not None and self.context.auth_method() == NONE:
                data["client_id"] = self.context.client_info.client_id
        data, headers = self.context.prepare_token_auth(data, dict(_FORM))
        data["resource"] = self.context.get_resource_url()
        if self.context.client_metadata.scope:
            data["scope"] = self.context.client_metadata.scope
        return httpx2.Request("POST", self._get_token_endpoint(), data=data, headers=headers)

    def _check_pkce(self) -> None:
        """A server that does not say that it checks codes is not used (revision 2026-07-28,
        authorization code protection); one without metadata is of a time before that."""
        metadata = self.context.oauth_metadata
        if metadata is not None and "S256" not in (metadata.code_challenge_methods_supported or ()):
            raise OAuthFlowError("the authorization server does not support PKCE with S256")

    async def _assertion(self) -> str:
        config, metadata = self._config, self.context.oauth_metadata
        if config.assertion is None or metadata is None:
            raise OAuthFlowError("there is no assertion, or no authorization server to show it to")
        issuer = str(metadata.issuer)
        assertion = await config.assertion(issuer, self.context.get_resource_url())
        if not _is_for(assertion, issuer, str(metadata.token_endpoint)):
            raise OAuthFlowError(f"the assertion is not for the authorization server {issuer}")
        return assertion

    async def _to_person(self, url: str) -> None:
        """An endpoint may have a query of its own (RFC 6749, section 3.1)."""
        endpoint, _, query = url.partition("?")
        self._url = f"{endpoint}?{query.replace('?', '&', 1)}"
        if not is_safe_url(self._url):
            raise OAuthFlowError(f"{endpoint} is neither https nor on this machine")

    async def _from_person(self) -> AuthorizationCodeResult:
        if self._ask is None:
            raise OAuthFlowError("nobody can be asked to log in")
        return await self._ask(self._url)


def _is_for(assertion: str, issuer: str, token_endpoint: str) -> bool:
    """Whether a JWT names the server that it is to be shown to: another could use it in the place
    of its owner (RFC 7523, section 3)."""
    try:
        audience = jwt.decode(assertion, options={"verify_signature": False}).get("aud")
    except jwt.PyJWTError:
        return False
    named = audience if isinstance(audience, list) else [audience]
    return token_endpoint in named or any(
        isinstance(each, str) and issuers_match(each, issuer) for each in named
    )


def _read(model: type[BaseModel], kept: Any) -> Any:
    try:
        return model.model_validate(kept) if kept is not None else None
    except ValidationError:  # of another version
        return None
