"""Clouds by way of Apache Libcloud (extra `tiphys[libcloud]`)."""
