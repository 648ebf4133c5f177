"""YAML texts that are more, or other, than they seem."""

import pytest
import yaml

from gpudl4.core.errors import DataFileError
from gpudl4.io.yaml_input import parse_yaml
from tests.io.fuzz.mutate import BOMB


def test_what_it_reads_is_what_yaml_says():
    text = "a: &x [1, 2.5, null, true, 'ü']\nb: *x\nc: {d: 2020-01-01, e: *x}\n"
    assert parse_yaml(text, "f") == yaml.safe_load(text)
    assert parse_yaml(text.encode(), "f") == yaml.safe_load(text)
    assert parse_yaml("", "f") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"^f: the YAML text repeats parts of itself \(aliases\) until it has [\d,]{15,} entries"),
        ("a: &a [1, *a]", "line 1 contains itself"),
        ("&a {b: {c: *a}}", "line 1 contains itself"),
        ("a: 1\nb: 2\na: 3", "key 'a' is given twice, again in line 3"),
        ("x: [{p: 1, p: 2}]", "key 'p' is given twice"),
        ("a: [1, 2", r"did not find expected ',' or ']', line 1"),
        ("a: *secret", "undefined alias.*line 1"),
        ("a: !secret_tag 1", "could not determine a constructor"),
        ("a: 2020-99-99", r"does not parse as YAML \(ValueError\)"),
        ("[" * 5000, "does not parse as YAML: exceeded maximum nesting depth|RecursionError"),
        (b"a: \xff", "holds no text in UTF-8"),
    ],
)
def test_refused(text, message):
    with pytest.raises(DataFileError, match=message) as caught:
        parse_yaml(text, "f")
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_many_references_to_small_things_are_legal():
    names = ", ".join(["*x"] * 5000)
    assert parse_yaml(f"a: &x [1, 2]\nb: [{names}]", "f")["b"][4999] == [1, 2]
