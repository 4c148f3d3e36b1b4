"""Admission plugins, one per file, in upstream's order.

Upstream: pkg/kubeapiserver/options/plugins.go (AllOrderedPlugins).
"""
