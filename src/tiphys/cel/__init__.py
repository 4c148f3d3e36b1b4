"""The Common Expression Language, as Kubernetes uses it. Pure: no clock, no sockets, no files.

An expression is parsed (`parser`), checked against declared types (`checker`), estimated
(`estimate`) and made into closures (`program`), which count what they cost and stop at a limit. The
functions that expressions may call are in `library`, one file per subject. Whoever compiles
expressions begins with `environment.base()` and declares variables.

Nothing is imported here: a server that meets no expression loads no part of this package.

Source: github.com/google/cel-spec (doc/langdef.md); upstream: github.com/google/cel-go,
apiserver/pkg/cel.
"""
