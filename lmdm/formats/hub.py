"""Models of the Hugging Face hub, kept in the user's model folder."""

from __future__ import annotations

import re
from pathlib import Path

from lmdm.errors import InputError

WANTED = ["*.json", "*.safetensors", "*.model", "*.txt", "LICENSE*", "README.md"]
REFUSED = ["*.ckpt", "*.pt", "*.pth", "*.bin"]  # pickles


def models_folder() -> Path:
    """Where fetched models lie."""
    import platformdirs

    return platformdirs.user_data_path("lmdm") / "models"


def is_id(text: str) -> bool:
    """Whether a text could name a model of the hub: owner/name."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text) is not None


def fetch(name: str, folder: Path | None = None) -> Path:
    """The folder of a model of the hub, fetched unless it is whole there already; resumable.

    Raises:
        InputError: huggingface_hub is not installed, the hub cannot be reached, there is no such
            model, or its licence is not accepted.
    """
    place = folder or models_folder() / name.split("/")[-1]
    if folder is None and (place / "fetched").exists():
        return place
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
        )
    except ImportError:
        raise InputError(
            f"there is no folder {name!r} here, and fetching it from the hub needs "
            "huggingface_hub: pip install 'lmdm-live[stable-audio]'"
        ) from None
    offline = (
        f"there is no folder {name!r} here, and the hub cannot be reached; go online, or download "
        "the model elsewhere and give its folder"
    )
    try:
        snapshot_download(name, local_dir=place, allow_patterns=WANTED, ignore_patterns=REFUSED)
    except GatedRepoError:
        raise InputError(
            f"{name} is gated: accept its licence on its page of the hub, log in with "
            "`hf auth login`, and try again"
        ) from None
    except RepositoryNotFoundError:
        raise InputError(f"the hub has no model {name!r}, or it is private") from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError):
        raise InputError(offline) from None
    except Exception as problem:  # httpx and requests have errors of their own when offline
        if type(problem).__module__.split(".")[0] in ("httpx", "requests", "httpcore"):
            raise InputError(offline) from None
        raise
    (place / "fetched").touch()
    return place
