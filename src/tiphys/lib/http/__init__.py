"""HTTP/1.1 over TLS: server, client and stream upgrades (WebSocket, SPDY/3.1)."""
