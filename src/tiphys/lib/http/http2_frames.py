"""The library's side of an HTTP/2 connection (frames, states, windows) with our limits."""

from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from tiphys.lib.http.http2_head import PlainEncoder

STREAM_WINDOW_BYTES: Final = 256 * 1024  # resourceBody99Percentile in secure_serving.go
CLOSED_STREAMS_MAX: Final = 1024  # Remembered, for frames that were under way.


class _Frames(H2Connection):
    MAX_CLOSED_STREAMS = CLOSED_STREAMS_MAX


def make_frames(head_bytes_max: int, streams_max: int) -> H2Connection:
    """A connection of the library with our limits.

    What comes in is checked by decode_head, in one go; what we send is made by us.
    """
    config = H2Configuration(
        client_side=False,
        header_encoding=None,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    frames = _Frames(config)
    frames.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.MAX_CONCURRENT_STREAMS: streams_max,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
            SettingCodes.MAX_HEADER_LIST_SIZE: head_bytes_max,
        },
    )
    frames.encoder = PlainEncoder()  # type: ignore[assignment] # All that is asked of one.
    frames.decoder.max_header_list_size = head_bytes_max
    return frames
