"""The Pod Security Standards: what pods of a level may be. Pure; the admission plugin asks here.

Source: the documentation page "Pod Security Standards". Upstream: pod-security-admission/policy.
"""
