"""The table of CRI messages is whole."""

from tiphys.cri.schema import schema


def test_every_type_that_is_named_exists() -> None:
    table = schema()
    for message in table.messages.values():
        for field in message.by_name.values():
            if field.kind == "message":
                assert field.type_name in table.messages, f"{message.name}.{field.name}"
    for method in table.methods.values():
        assert method.request in table.messages
        assert method.response in table.messages


def test_methods_know_their_path_and_shape() -> None:
    methods = schema().methods
    assert methods["RunPodSandbox"].path == "/runtime.v1.RuntimeService/RunPodSandbox"
    assert methods["PullImage"].path == "/runtime.v1.ImageService/PullImage"
    assert methods["GetContainerEvents"].streams
    assert not methods["Version"].streams
