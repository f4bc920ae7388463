"""One file over HTTP: resumed where it broke off, verified, and put in its place in one step.

pooch (1.8) verifies and renames; it begins again after a break, so the transfer itself is ours.
Not here: where files are looked for first (`pipelines.ingest.fetching.files`).
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger("matstrata.ingest")

CONNECT_SECONDS, SILENCE_SECONDS = 3, 30
_CHUNK = 1 << 20
_OK, _PARTIAL, _PAST_THE_END = 200, 206, 416


def download(url: str, sha256: str, place: Path) -> None:
    """Download a file to `place`; what came before a break stays next to it, as `<name>.part`.

    Raises:
        requests.RequestException: the transfer failed.
        ValueError: the bytes are not those of the hash; both are named.
        OSError: the disk refuses.
    """
    import pooch  # deferred: 0.2 s

    pooch.get_logger().setLevel(logging.WARNING)  # it tells the same in its own words, on the terminal
    log.info("downloading %s", url)
    part = place.with_name(f"{place.name}.part")

    def fetch(address: str, output_file: str, _pooch: object) -> None:
        _transfer(address, part)
        part.replace(output_file)

    pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=place.name, path=place.parent, downloader=fetch)


def _transfer(url: str, part: Path) -> None:
    """Get the bytes that `part` lacks, or all of them where the server knows no ranges."""
    import requests  # deferred: 0.2 s
    import urllib3

    received = part.stat().st_size if part.exists() else 0
    # the hash is that of the file, not of a compressed transfer
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={received}-"} if received else {})
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)) as response:
        if response.status_code == _PAST_THE_END:
            part.unlink()
        elif response.status_code not in (_OK, _PARTIAL):
            response.raise_for_status()
        else:
            with part.open("ab" if response.status_code == _PARTIAL else "wb") as stream:
                try:
                    while chunk := response.raw.read1(_CHUNK):  # what has come is kept, unlike by iter_content
                        stream.write(chunk)
                except urllib3.exceptions.HTTPError as error:
                    raise requests.exceptions.ChunkedEncodingError(str(error)) from error
            return
    _transfer(url, part)
