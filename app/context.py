"""What every page knows: the workspace, the region and day chosen, the language; kept in the page's address."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import streamlit as st

from agro.reports.i18n import LANGUAGES, Translator
from agro.store.workspace import RegionStore, Workspace
from app.data import RegionInfo

WORKSPACE_VARIABLE = "AGRO_WORKSPACE"
DEFAULT_LANGUAGE = "fr"


@dataclass(frozen=True)
class Context:
    """Choices that hold on all pages."""

    root: Path
    region: RegionInfo
    issued_on: date
    tr: Translator

    @property
    def store(self) -> RegionStore:
        """The region's folder."""
        return Workspace(self.root).region(self.region.region_id)

    @property
    def folder(self) -> Path:
        """Folder of the run shown."""
        return self.store.run(self.issued_on).path

    def crop_name(self, crop: str) -> str:
        """Name of a crop in the page's language, the region's own name first."""
        return self.tr.word("crop", crop, self.region.crops)

    @property
    def region_name(self) -> str:
        """Name of the region in the page's language, else in English, else its identifier."""
        names = self.region.name
        return self.tr.name(names.get(self.tr.language) or names.get("en") or self.region.region_id)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read ``--workspace`` and ``--region``; the workspace may come from AGRO_WORKSPACE."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workspace", type=Path, default=Path(os.environ.get(WORKSPACE_VARIABLE, "demo")))
    parser.add_argument("--region", default=None)
    return parser.parse_known_args(list(arguments))[0]


def first_choice(name: str, allowed: Sequence[Any], default: Any) -> Any:
    """Choice kept in the session, else in the page's address, else the default; only what is allowed.

    What stands in the address is compared with what there is, never used as it stands.
    """
    kept = st.session_state.get(name)
    if kept in allowed:
        return kept
    asked = st.query_params.get(name)
    return next((choice for choice in allowed if str(choice) == asked), default)


def language() -> str:
    """Language chosen, of the page's address, or of the browser."""
    try:
        browser = (st.context.locale or "")[:2]
    except Exception:  # outside a browser there is no context to ask
        browser = ""
    return str(first_choice("lang", LANGUAGES, browser if browser in LANGUAGES else DEFAULT_LANGUAGE))


def remember(**choices: Any) -> None:
    """Write choices to the page's address, so that it can be kept and sent."""
    for name, value in choices.items():
        text = None if value is None else str(value)
        if text is None:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != text:
            st.query_params[name] = text


def restored(key: str, default: Any, allowed: Sequence[Any] | None = None) -> None:
    """Give a widget back its value from before the reader went to another page.

    Streamlit forgets a widget that is not on the page; :func:`keep` holds its value meanwhile.
    """
    value = st.session_state.get(key, st.session_state.get(f"kept_{key}", default))
    if allowed is not None:
        value = (
            [v for v in value if v in allowed] if isinstance(value, list) else value if value in allowed else default
        )
    st.session_state[key] = value


def keep(key: str) -> None:
    """Hold a widget's value for :func:`restored`."""
    st.session_state[f"kept_{key}"] = st.session_state.get(key)
