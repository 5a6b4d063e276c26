"""Who asks: addresses of the deployments, the user's credentials, and the token that opens them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sentinelhub import SentinelHubSession, SHConfig

from agro.schema.errors import ConfigError, SourceError
from agro.sources.net import Call, Client, Estimate, checked_url
from agro.sources.providers import provider

ID_VARIABLE, SECRET_VARIABLE = "SH_CLIENT_ID", "SH_CLIENT_SECRET"
_OPTIONS = "imagery.options"


@dataclass(frozen=True)
class Deployment:
    """A place where Sentinel Hub runs.

    Parameters
    ----------
    name : str
        Of the source, in rows and in the ledger.
    url, token_url : str
        Where data are asked for, and where the token is.
    """

    name: str
    url: str
    token_url: str


#: Deployment -> key of ``providers.yaml``, which is also the name of the source.
DEPLOYMENTS = {"cdse": "sentinelhub-cdse", "commercial": "sentinelhub"}


def deployment_of(name: str, url: str | None, token_url: str | None) -> Deployment:
    """A deployment, with the addresses of a region file in the place of its own.

    Raises
    ------
    ConfigError
        No such deployment, no address, or a token asked for without encryption beyond this machine.
    """
    if name not in DEPLOYMENTS:
        raise ConfigError(
            f"no deployment {name!r}", where=f"{_OPTIONS}.deployment", do=f"Known: {', '.join(DEPLOYMENTS)}"
        )
    known = provider(DEPLOYMENTS[name])
    token = checked_url(token_url or known.token_url or "", f"{_OPTIONS}.token_url")
    parts = urlsplit(token)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(
            "the secret would be sent without encryption", where=f"{_OPTIONS}.token_url", do="Give https://..."
        )
    return Deployment(DEPLOYMENTS[name], checked_url(url or known.url, f"{_OPTIONS}.url"), token)


def configuration(deployment: Deployment, profile: str | None) -> SHConfig:
    """Settings of the ``sentinelhub`` package: credentials of the environment, else of the user's profile.

    Parameters
    ----------
    deployment : Deployment
    profile : str, optional
        Of the package's ``config.toml``; None: ``SH_PROFILE``, else its default. The file is never made.

    Raises
    ------
    ConfigError
        The file cannot be read, or has no such profile.
    """
    found = {"sh_client_id": os.environ.get(ID_VARIABLE, ""), "sh_client_secret": os.environ.get(SECRET_VARIABLE, "")}
    if not all(found.values()):
        path = Path(SHConfig.get_config_location())
        if path.exists():
            try:
                kept = SHConfig.load(profile=profile)
            except (KeyError, ValueError, TypeError, OSError) as error:
                raise ConfigError(
                    f"the profile cannot be read: {error}", where=str(path),
                    do=f"Correct it, or set {ID_VARIABLE} and {SECRET_VARIABLE}",
                ) from error  # fmt: skip
            found = {"sh_client_id": kept.sh_client_id, "sh_client_secret": kept.sh_client_secret}
        elif profile:
            raise ConfigError(
                f"no profile {profile!r}: there is no such file", where=str(path),
                do=f"Make it with: sentinelhub.config, or set {ID_VARIABLE} and {SECRET_VARIABLE}",
            )  # fmt: skip
    return SHConfig(
        use_defaults=True, sh_base_url=deployment.url, sh_token_url=deployment.token_url,
        sh_client_id=found["sh_client_id"], sh_client_secret=found["sh_client_secret"],
        # Only its requests are built by the package; should it ever send one, it ends.
        max_retries=3, max_download_attempts=3, download_timeout_seconds=60.0,
    )  # fmt: skip


class Account:
    """The token of a user, asked for when first needed and again when it has run out.

    The package's own sign-in waits without limit for an answer, and its session makes a settings file where there is none:
    the token is fetched by our client and held here.

    Parameters
    ----------
    config : SHConfig
        With credentials.
    client : Client
        For the token.

    Raises
    ------
    ConfigError
        No credentials.
    """

    def __init__(self, config: SHConfig, client: Client) -> None:
        if not (config.sh_client_id and config.sh_client_secret):
            missing = [
                variable
                for variable, value in ((ID_VARIABLE, config.sh_client_id), (SECRET_VARIABLE, config.sh_client_secret))
                if not value
            ]
            raise ConfigError(
                f"no credentials for Sentinel Hub: {' and '.join(missing)} not set", where="environment",
                do=f"Make an OAuth client in your account's settings and set {ID_VARIABLE} and {SECRET_VARIABLE}, "
                f"or keep them in a profile of {SHConfig.get_config_location()}",
            )  # fmt: skip
        self._config = config
        self._client = client
        self._token = ""
        self._until = 0.0
        self._lock = threading.Lock()
        self._used = threading.local()

    def sign(self, url: str, renew: bool) -> tuple[str, Mapping[str, str]]:
        """Add the token; see :data:`agro.sources.net.Signer`."""
        with self._lock:
            # Refused was the token that this thread used last; another thread may have fetched a newer one since.
            refused = renew and getattr(self._used, "token", "") == self._token
            if not self._token or refused or time.monotonic() >= self._until:
                self._token = self._fetch()
            self._used.token = self._token
            return url, {"Authorization": f"Bearer {self._token}"}

    def _fetch(self) -> str:
        call = Call(
            self._config.sh_token_url, method="POST", ttl_s=0, piece="sign-in", estimate=Estimate(requests=1),
            form={
                "grant_type": "client_credentials", "client_id": self._config.sh_client_id,
                "client_secret": self._config.sh_client_secret,
            },
            check=_token_fault,
        )  # fmt: skip
        try:
            token = self._client.fetch(call).json()
        except SourceError as error:
            if error.transient:
                raise
            raise SourceError(
                f"Sentinel Hub does not know the credentials ({error.what})", where=error.where,
                do=f"Check {ID_VARIABLE} and {SECRET_VARIABLE}, and that they are of this deployment",
            ) from error  # fmt: skip
        lasts = float(token["expires_in"])
        # Tokens that live shorter than twice the margin serve half of their life.
        self._until = time.monotonic() + max(lasts - SentinelHubSession.DEFAULT_SECONDS_BEFORE_EXPIRY, lasts / 2)
        return str(token["access_token"])


def _token_fault(content: bytes) -> str:
    token = json.loads(content)
    if not isinstance(token, dict) or not isinstance(token.get("access_token"), str) or not token["access_token"]:
        return "no token in the answer"
    lasts = token.get("expires_in")
    return "" if isinstance(lasts, (int, float)) and lasts > 0 else "no life time of the token in the answer"
