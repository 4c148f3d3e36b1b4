from tiphys.codec.go_order import in_go_order


def test_fields_stand_as_declared_and_keys_sorted() -> None:
    expression = {"values": ["b", "a"], "operator": "In", "key": "k"}
    given = {"matchExpressions": [expression], "matchLabels": {"b": "1", "a": "2"}, "other": 1}
    found = in_go_order(given, "meta.v1.LabelSelector")
    assert list(found) == ["matchLabels", "matchExpressions"]
    assert list(found["matchLabels"]) == ["a", "b"]
    assert list(found["matchExpressions"][0]) == ["key", "operator", "values"]
    assert found["matchExpressions"][0]["values"] == ["b", "a"]


def test_what_is_no_object_stays() -> None:
    assert in_go_order(None, "meta.v1.LabelSelector") is None
