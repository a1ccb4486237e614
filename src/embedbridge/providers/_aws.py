"""Who asks AWS, and where: region, endpoint and credentials by AWS's own rules, and the signature of a request.

Nothing here uses a network before the first request, and botocore is not imported before: it finds credentials and
makes signatures, and sends nothing of ours. Bedrock's own keys need neither.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from embedbridge._threads.background import in_background, run_in_background
from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError, RequestFailed

from ._connected import MOST_INLINE
from ._network import time_left

SERVICE = "bedrock"
"""As signatures name it."""
HOST = re.compile(
    r"https://([a-z0-9-]+\.)?bedrock-runtime(-fips)?\.(?P<region>[a-z0-9-]+)\.(vpce\.)?"
    r"(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|api\.amazonwebservices\.com\.cn)/?"
)
"""AWS's own addresses, private ones of a VPC among them: whichever is asked, the models are the same."""
WAYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK; or name a profile of ~/.aws by "
    "provider_options={'profile': …} or AWS_PROFILE"
)
"""How credentials can be given."""
RENEW = (
    "check that the AWS credentials have not ended, belong to this region, and may invoke the model: log in again "
    "(aws sso login), or renew AWS_SESSION_TOKEN beside the access key"
)
REMOTE = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Variables by which a container or cluster says where credentials are."""
_ACCESS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """An access key, as it is given."""

    access: str
    secret: SecretStr
    token: SecretStr | None = None


def given_keys(access: SecretStr | None, secret: SecretStr | None, token: SecretStr | None) -> Keys | None:
    """The access key of options. Raises `ConfigurationError` for half of one."""
    if access is not None and secret is not None:
        return Keys(access.get_secret_value(), secret, token)
    if access or secret or token:
        raise ConfigurationError(
            "provider_options: aws_access_key_id and aws_secret_access_key go together, with aws_session_token where "
            "they are temporary; give both or none"
        )
    return None


def keys_of_environment() -> Keys | None:
    """The access key of the environment. Raises `ConfigurationError` for half of one."""
    access, secret, token = (os.environ.get(name, "").strip() for name in _ACCESS)
    if access and secret:
        return Keys(access, SecretStr(secret), SecretStr(token) if token else None)
    if access or secret:
        raise ConfigurationError(f"the environment has only one of {_ACCESS[0]} and {_ACCESS[1]}; set both or none")
    return None


def find_region(given: str | None, profile: str | None, *names: str | None) -> str | None:
    """The region: as given, else of an address or ARN in `names`, else the environment's, else the profile's."""
    if given:
        return given
    for name in filter(None, names):
        found = HOST.fullmatch(name) or re.match(r"arn:[a-z-]+:bedrock:(?P<region>[a-z0-9-]+):", name)
        if found:
            return found["region"]
    ambient = os.environ.get("AWS_REGION", "").strip() or os.environ.get("AWS_DEFAULT_REGION", "").strip()
    return ambient or profile_settings(profile).get("region")


def find_endpoint(profile: str | None) -> str | None:
    """The address that AWS's variables and the profile say, in the order of AWS's own clients; None: the region's."""
    if _is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return None
    variables = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")
    ambient = next((os.environ[name] for name in variables if os.environ.get(name, "").strip()), None)
    if ambient or not any(map(os.path.exists, _files())) or find_spec("botocore") is None:
        return ambient
    settings, services = profile_settings(profile), _load().get("services", {})
    own: Any = services.get(str(settings.get("services")), {}).get("bedrock_runtime", {})
    found = own.get("endpoint_url") if isinstance(own, Mapping) else None
    return found or settings.get("endpoint_url")


def endpoint_in(region: str) -> str:
    """AWS's address of the service in a region."""
    fips = "-fips" if _is_on("AWS_USE_FIPS_ENDPOINT") else ""
    china, dual = region.startswith("cn-"), _is_on("AWS_USE_DUALSTACK_ENDPOINT")
    suffix = "amazonaws.com.cn" if china else "amazonaws.eu" if region.startswith("eusc-") else "amazonaws.com"
    if dual:
        suffix = "api.amazonwebservices.com.cn" if china else "api.aws"
    return f"https://bedrock-runtime{fips}.{region}.{suffix}"


def profile_settings(profile: str | None) -> Mapping[str, Any]:
    """What ~/.aws says of a profile. Raises `ConfigurationError` for one that is named and not there."""
    named = profile or os.environ.get("AWS_DEFAULT_PROFILE") or os.environ.get("AWS_PROFILE")  # botocore's order
    if not any(map(os.path.exists, _files())):
        found: Any = None
    else:
        found = _load()["profiles"].get(named or "default")
    if found is None and named:
        raise ConfigurationError(f"AWS's files have no profile {named!r}; look into {' and '.join(_files())}")
    return found or {}


def check_can_be_found(profile: str | None) -> None:
    """Raise `ConfigurationError` where it is certain without a network that there are no credentials."""
    if profile_settings(profile) or any(os.environ.get(name) for name in REMOTE):
        return
    if _is_on("AWS_EC2_METADATA_DISABLED"):  # else the machine itself may have a role
        raise ConfigurationError(f"no AWS credentials: {WAYS}")


class Signer:
    """Signs requests. Made when the first is sent: to find credentials may take a network, for a role or a login.

    Args:
        region: as signatures name it.
        keys: the access key, where one was given.
        profile: of ~/.aws.

    Raises:
        RequestFailed: there are no credentials.
    """

    def __init__(self, region: str, keys: Keys | None, profile: str | None) -> None:
        from botocore.credentials import Credentials

        self._region = region
        if keys is not None:
            token = keys.token.get_secret_value() if keys.token else None
            self._credentials: Any = Credentials(keys.access, keys.secret.get_secret_value(), token)
            return
        from botocore.session import Session

        with telling_failures():
            self._credentials = Session(profile=profile).get_credentials()
            if self._credentials is not None:
                self._credentials.get_frozen_credentials()
        if self._credentials is None:
            raise RequestFailed("no AWS credentials were found", kind="key", credentials=WAYS)

    @property
    def may_wait(self) -> bool:
        """Whether the next signature may take a network, because credentials end soon."""
        due = getattr(self._credentials, "refresh_needed", None)
        return bool(due and due())

    def headers(self, url: str, body: bytes) -> dict[str, str]:
        """The headers of a POST of these very bytes, now. Raises `RequestFailed` where credentials have ended."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        class Auth(SigV4Auth):  # type: ignore[misc]  # botocore has no types
            def canonical_request(self, request: Any) -> str:  # which botocore's log would show with a session's token
                return Unsaid(super().canonical_request(request))

        request = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
        with telling_failures():
            Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())


class Unsaid(str):
    """A text that no log shows."""

    __slots__ = ()

    def __str__(self) -> str:
        return "(not shown: it may hold a token)"


class SigningClient:
    """A client of HTTP that signs each request as it is sent, or sends a bearer token."""

    def __init__(self, http: Any, signer: Signer | None, bearer: str, *, blocking: bool) -> None:
        self._http, self._signer, self._blocking = http, signer, blocking
        self._headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}

    def post(self, url: str, body: bytes) -> Any:
        """Send these bytes; to be awaited for the async client."""
        if not self._blocking:
            return self._apost(url, body)
        headers = self._headers
        if self._signer is not None:
            sign = partial(self._signer.headers, url, body)
            with _in_time():
                headers = in_background(sign).result(time_left()) if self._signer.may_wait else sign()
        return self._http.post(url, content=body, headers=headers)

    async def _apost(self, url: str, body: bytes) -> Any:
        headers = self._headers
        if self._signer is not None:
            sign = partial(self._signer.headers, url, body)
            with _in_time():
                async with asyncio.timeout(time_left()):
                    apart = self._signer.may_wait or len(body) > MOST_INLINE
                    headers = await run_in_background(sign) if apart else sign()
        return await self._http.post(url, content=body, headers=headers)


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise RequestFailed("AWS credentials did not come in time", kind="timeout") from None


@contextmanager
def telling_failures() -> Iterator[None]:
    """Raise what botocore raises about credentials as `RequestFailed`, without its words, which may name accounts."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, PartialCredentialsError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        kind = type(error).__name__
        lost = isinstance(error, HTTPClientError)
        half = error.kwargs["cred_var"] if isinstance(error, PartialCredentialsError) else ""
        told = f"AWS credentials could not be had ({kind})" if not half else f"AWS credentials lack {half}"
        advice = f"add it beside the other; or {WAYS}" if half else RENEW
        raise RequestFailed(told, kind="connection" if lost else "key", credentials=advice) from None


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() == "true"


def _files() -> tuple[str, str]:
    names = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
    config, credentials = (str(Path(os.environ.get(name) or usual).expanduser()) for name, usual in names.items())
    return config, credentials


def _load() -> dict[str, Any]:
    """Both files, as botocore reads them: profiles, and services. Raises `ConfigurationError` for others."""
    with importing():
        from botocore.configloader import load_config, raw_config_parse
        from botocore.exceptions import BotoCoreError
    config, credentials = _files()
    try:
        found: dict[str, Any] = load_config(config) if os.path.exists(config) else {"profiles": {}}  # noqa: PTH110
        own = raw_config_parse(credentials) if os.path.exists(credentials) else {}  # noqa: PTH110
    except BotoCoreError as error:
        raise ConfigurationError(
            f"AWS's files cannot be read ({type(error).__name__}): {config}, {credentials}"
        ) from None
    for name, settings in own.items():
        found["profiles"].setdefault(name, {}).update(settings)
    return found
