"""Files on model hubs: a local copy or a download; an unreachable hub is detected in seconds."""

import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

TIMEOUT = 4.0  # seconds


class HubUnreachable(Exception):
    """The hub cannot be reached, or does not hold the file."""


@dataclass(frozen=True)
class HubFile:
    """A weights file on a hub."""

    repo: str = ""  # on Hugging Face; "" for a file at a `url`
    names: tuple[str, ...] = ()  # of files to try in the repository, best first
    url: str = ""  # of a file that is not on Hugging Face

    def __str__(self) -> str:
        return self.repo or self.url

    @property
    def address(self) -> str:
        """The address of the file for a browser."""
        return self.url or f"{constants.ENDPOINT}/{self.repo}/resolve/main/{self.names[0]}"


def fetch(file: HubFile) -> Path:
    """Return the path of the local copy of a file, after downloading it if there is none."""
    return _from_address(file.url) if file.url else _from_hugging_face(file)


def _from_hugging_face(file: HubFile) -> Path:
    for name in file.names:
        copy = huggingface_hub.try_to_load_from_cache(file.repo, name)
        if isinstance(copy, str):
            return Path(copy)
    endpoint = constants.ENDPOINT
    if constants.HF_HUB_OFFLINE:
        raise HubUnreachable(f"{endpoint} (HF_HUB_OFFLINE is set, and there is no local copy)")
    if not is_reachable(endpoint):
        raise HubUnreachable(f"{endpoint} (not reachable, and there is no local copy)")
    for name in file.names:
        try:
            return Path(huggingface_hub.hf_hub_download(file.repo, name))
        except EntryNotFoundError:
            continue
        except (OSError, HfHubHTTPError) as error:
            raise HubUnreachable(f"{file} ({str(error).splitlines()[0]})") from error
    raise HubUnreachable(f"{file} (none of {', '.join(file.names)} is in it)")


def _from_address(url: str) -> Path:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    copy = folder / url.rsplit("/", 1)[1]
    if copy.is_file():
        return copy
    if not is_reachable(url):
        raise HubUnreachable(f"{url} (not reachable, and there is no local copy)")
    folder.mkdir(parents=True, exist_ok=True)
    # torchvision's file names end in the first digits of their sha256.
    prefix = copy.stem.rsplit("-", 1)[1] if "-" in copy.stem else None
    try:
        torch.hub.download_url_to_file(url, str(copy), prefix, progress=True)
    except (OSError, RuntimeError) as error:
        raise HubUnreachable(f"{url} ({error})") from error
    return copy


@cache
def is_reachable(url: str) -> bool:
    """Return whether a server answers; in a thread, since looking up a name ignores time-outs."""
    answered = threading.Event()

    def request_head() -> None:
        request = urllib.request.Request(url, method="HEAD")
        # A refusal is an answer; other errors of the network are none.
        with suppress(OSError):
            with suppress(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=TIMEOUT)
            answered.set()

    thread = threading.Thread(target=request_head, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return answered.is_set()
