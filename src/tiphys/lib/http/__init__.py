"""HTTP over TLS: server (HTTP/1.1, HTTP/2), client and stream upgrades (WebSocket, SPDY/3.1)."""
