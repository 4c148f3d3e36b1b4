"""Clients of the API: REST, watch, informer, leader election, event recorder, kubeconfig."""
