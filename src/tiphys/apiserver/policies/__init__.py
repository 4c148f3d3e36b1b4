"""Admission policies: what their expressions may speak of, and what they say of requests.

Upstream: apiserver/pkg/admission/plugin/cel, pkg/admission/plugin/policy.
"""
