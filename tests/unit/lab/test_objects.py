"""What is said where an object is not."""

import pytest

from labkit.lab.objects import instead

THERE = [("default", "web"), ("default", "api"), ("shop", "cart")]
MANY = [("a", f"p{n}") for n in range(9)]


@pytest.mark.parametrize(
    ("name", "namespace", "there", "said"),
    [
        ("cart", "default", THERE, "There is one in namespace shop: say namespace='shop'."),
        ("wbe", "default", THERE, 'Did you mean "web"?'),
        ("zzzzzz", "default", THERE, "There are in namespace default: web, api."),
        ("web", "empty", [("shop", "cart")], "There are none in namespace empty."),
        ("x", "", [("", "node-1")], "There are: node-1."),
        ("x", "", [], "There are none."),
        ("zz", "a", MANY, "There are in namespace a: p0, p1, p2, p3, p4, p5, p6, p7 and 1 more."),
    ],
)  # fmt: skip
def test_what_there_is_instead(name: str, namespace: str, there: list[tuple[str, str]], said: str) -> None:
    assert instead(name, namespace, there) == said
